package antientropy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
)

// HintStore is this node's replica, as far as a handoff needs it.
type HintStore interface {
	Keeper
	HintStats() []replica.HintStats
	Hints(ctx context.Context, owner string, after []byte, limit int) (replica.Page, error)
	ClearFull(owner string)
}

// HandoffOptions configure a Handoff.
type HandoffOptions struct {
	Self string
	Pace Pace // nil: as fast as the owners take them
	// Probe has an owner put on disk what it was handed before the hints go:
	// for durability modes in which replicas acknowledge from memory.
	Probe  bool
	Logger *slog.Logger // nil: discard
}

const (
	// handoffPoll is how soon an owner's return is noticed.
	handoffPoll = 100 * time.Millisecond
	// maxHandoffs is how many owners are delivered to at a time.
	maxHandoffs = 4
	// What a delivery that failed waits, doubled each time. The owner's
	// return ends the wait.
	handoffAgain    = 100 * time.Millisecond
	handoffAgainMax = 10 * time.Second
)

// Handoff delivers the hints that this node keeps: to the owner that they
// name, or, where the ring has passed its slots on, to those who own them now.
// A hint is dropped when all of them have it on disk, and not before.
type Handoff struct {
	opts  HandoffOptions
	log   *slog.Logger
	store HintStore
	peers Peers
	views Views
	by    delivery

	mu     sync.Mutex
	owners map[string]*recipient
}

// recipient is what is remembered of one owner's deliveries.
type recipient struct {
	busy     bool
	up       bool          // when last looked at
	failures int           // in a row
	again    time.Time     // not before
	routed   *ring.History // with it, nothing but the owner's own is left
	passed   bool          // all hints have been gone through since it came up

	comparing    bool
	compareAgain time.Time // not before

	cells, bytes uint64
	rate         rate
	lastError    string
	lastErrorAt  time.Time
}

// HandoffStatus is what has been handed over since the start.
type HandoffStatus struct {
	Cells, Bytes uint64
	Owners       map[string]HandedOver
}

// HandedOver is what one owner was handed over, or others in its place.
type HandedOver struct {
	Cells, Bytes uint64
	Rate         float64   // cells a second, lately
	LastError    string    // why the last delivery failed that did
	LastErrorAt  time.Time // zero: none did
}

// Status returns what has been handed over so far.
func (h *Handoff) Status() HandoffStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := HandoffStatus{Owners: map[string]HandedOver{}}
	for name, r := range h.owners {
		s.Cells += r.cells
		s.Bytes += r.bytes
		s.Owners[name] = HandedOver{
			Cells: r.cells, Bytes: r.bytes, Rate: r.rate.value(time.Now()), LastError: r.lastError, LastErrorAt: r.lastErrorAt,
		}
	}
	return s
}

// NewHandoff returns a handoff that does nothing before Run.
func NewHandoff(o HandoffOptions, store HintStore, peers Peers, views Views) *Handoff {
	if o.Pace == nil {
		o.Pace = unpaced{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handoff{
		opts: o, log: o.Logger, store: store, peers: peers, views: views,
		by:     delivery{self: o.Self, store: store, peers: peers, probe: o.Probe},
		owners: map[string]*recipient{},
	}
}

// Run delivers until ctx ends. What fails is tried again.
func (h *Handoff) Run(ctx context.Context) error {
	var deliveries, compares errgroup.Group
	deliveries.SetLimit(maxHandoffs)
	compares.SetLimit(maxHandoffs)
	tick := time.NewTicker(handoffPoll)
	defer tick.Stop()
	for {
		if v := h.views.View(); v.Ring != nil {
			for _, s := range h.store.HintStats() {
				if h.claim(&s, v) && !deliveries.TryGo(func() error { h.deliver(ctx, s.Owner, v.History); return nil }) {
					h.release(s.Owner)
				}
				if h.claimCompare(&s) && !compares.TryGo(func() error { h.compare(ctx, s.Owner, v.Ring); return nil }) {
					h.releaseCompare(s.Owner, 0)
				}
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			_, _ = deliveries.Wait(), compares.Wait() // both are nil: what fails is tried again
			return nil
		}
	}
}

// reachable reports whether a delivery to the node has a chance.
func (h *Handoff) reachable(node string) bool { return node == h.opts.Self || h.peers.Up(node) }

// recipient returns what is remembered of an owner; h.mu is held.
func (h *Handoff) recipient(owner string) *recipient {
	r := h.owners[owner]
	if r == nil {
		r = &recipient{}
		h.owners[owner] = r
	}
	return r
}

// claim reports whether an owner's hints are to be gone through now, and keeps
// others from doing it.
func (h *Handoff) claim(s *replica.HintStats, v *gossip.View) bool {
	up := h.reachable(s.Owner)
	_, member := v.Ring.Member(s.Owner)
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.recipient(s.Owner)
	if up != r.up {
		r.up, r.failures, r.passed = up, 0, false
		r.again, r.compareAgain = time.Time{}, time.Time{}
	}
	if r.busy || time.Now().Before(r.again) {
		return false
	}
	if s.Cells == 0 {
		r.passed = up || !member
		return false
	}
	if member && !up && r.routed == v.History {
		return false
	}
	r.busy = true
	return true
}

func (h *Handoff) release(owner string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recipient(owner).busy = false
}

// deliver makes one pass over an owner's hints, and notes how it went.
func (h *Handoff) deliver(ctx context.Context, owner string, history *ring.History) {
	err := h.pass(ctx, owner)
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.recipient(owner)
	r.busy = false
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		r.failures, r.again, r.routed, r.passed = 0, time.Time{}, history, r.up
		return
	}
	r.again = time.Now().Add(min(handoffAgain<<min(r.failures, 10), handoffAgainMax))
	r.failures++
	r.lastError, r.lastErrorAt = err.Error(), time.Now()
}

// receivers returns who is to have a cell that is kept for owner: the owner,
// or, where it is none any more, everybody who is.
func receivers(r *ring.Ring, owner string, slot uint16) []string {
	p := r.Lookup(slot)
	switch p.Role(owner) {
	case ring.Owner, ring.Coming:
		return []string{owner}
	}
	return slices.Concat(p.Owners, p.Coming)
}

// errWaits: hints have receivers that cannot be reached.
var errWaits = errors.New("cannot be reached")

// pass hands over the owner's hints page by page. Those whose receivers cannot
// be reached are passed over; anything else that fails ends the pass.
func (h *Handoff) pass(ctx context.Context, owner string) error {
	var after []byte
	var waits error
	for {
		v, read := h.views.View(), time.Now()
		page, err := h.store.Hints(ctx, owner, after, pageCells)
		if err != nil {
			return fmt.Errorf("reading the hints: %w", err)
		}
		up := h.reachable(owner)
		for _, p := range sortOut(v.Ring, owner, page.Cells) {
			if !up && len(p.to) == 1 && p.to[0] == owner {
				continue // until it is back, which is looked for
			}
			p.read = read
			switch err := h.post(ctx, p, v); {
			case errors.Is(err, errWaits):
				waits = err
			case err != nil:
				return err
			}
		}
		if len(page.Next) == 0 {
			return waits
		}
		after = page.Next
		if err := h.opts.Pace.Wait(ctx, pageBytes(page.Cells)); err != nil {
			return err
		}
	}
}

// sortOut puts hints for the same receivers together.
func sortOut(r *ring.Ring, owner string, cells []replica.KeyedCell) []parcel {
	var out []parcel
	at := map[string]int{}
	for _, kc := range cells {
		to := receivers(r, owner, kc.Key.Slot)
		name := strings.Join(to, "\x00")
		i, ok := at[name]
		if !ok {
			i = len(out)
			at[name] = i
			out = append(out, parcel{owner: owner, to: to})
		}
		out[i].cells = append(out[i].cells, kc)
	}
	return out
}

// post delivers one parcel, if all its receivers can be reached.
func (h *Handoff) post(ctx context.Context, p parcel, v *gossip.View) error {
	for _, node := range p.to {
		if !h.reachable(node) {
			return fmt.Errorf("%s %w", node, errWaits)
		}
	}
	if err := h.by.hand(ctx, p, func() bool { return h.views.View().History == v.History }); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r, size := h.recipient(p.owner), pageBytes(p.cells)
	r.cells += uint64(len(p.cells))
	r.bytes += uint64(size)
	r.rate.add(float64(len(p.cells)), time.Now())
	return nil
}

// claimCompare reports whether an owner that too much was to be kept for is to
// compare everything, once it has what was kept.
func (h *Handoff) claimCompare(s *replica.HintStats) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.recipient(s.Owner)
	if !s.Full || !r.passed || r.comparing || time.Now().Before(r.compareAgain) {
		return false
	}
	r.comparing = true
	return true
}

func (h *Handoff) releaseCompare(owner string, again time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.recipient(owner)
	r.comparing, r.compareAgain = false, time.Now().Add(again)
}

// compare has an owner compare all that it owns with the other owners, and
// clears its mark when it has.
func (h *Handoff) compare(ctx context.Context, owner string, r *ring.Ring) {
	again := time.Duration(0)
	defer func() { h.releaseCompare(owner, again) }()
	if _, member := r.Member(owner); member && owner != h.opts.Self {
		if _, err := ask(ctx, h.peers, owner, replica.KindCompare, nil); err != nil {
			again = handoffAgainMax
			h.log.Info("an owner did not compare everything, will ask again", "err", err)
			return
		}
	}
	h.store.ClearFull(owner)
}
