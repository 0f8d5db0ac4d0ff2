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

	delivered, bytes uint64
	rate             rate
	lastError        string
	lastErrorAt      time.Time
}

// NewHandoff returns a handoff that does nothing before Run.
func NewHandoff(o HandoffOptions, store HintStore, peers Peers, views Views) *Handoff {
	if o.Pace == nil {
		o.Pace = unpaced{}
	}
	return &Handoff{
		opts: o, log: o.Logger, store: store, peers: peers, views: views,
		by:     delivery{self: o.Self, store: store, peers: peers, probe: o.Probe},
		owners: map[string]*recipient{},
	}
}

// Run delivers until ctx ends. What fails is tried again.
func (h *Handoff) Run(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(maxHandoffs)
	tick := time.NewTicker(handoffPoll)
	defer tick.Stop()
	for {
		if v := h.views.View(); v.Ring != nil {
			for _, s := range h.store.HintStats() {
				if !h.claim(&s, v) {
					continue
				}
				if !g.TryGo(func() error { h.deliver(ctx, s, v); return nil }) {
					h.release(s.Owner)
				}
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return g.Wait()
		}
	}
}

// reachable reports whether a delivery to the node has a chance.
func (h *Handoff) reachable(node string) bool { return node == h.opts.Self || h.peers.Up(node) }

// claim reports whether there is something to do about an owner's hints now,
// and keeps others from doing it.
func (h *Handoff) claim(s *replica.HintStats, v *gossip.View) bool {
	if s.Cells == 0 && !s.Full {
		return false
	}
	up := h.reachable(s.Owner)
	_, member := v.Ring.Member(s.Owner)
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.owners[s.Owner]
	if r == nil {
		r = &recipient{}
		h.owners[s.Owner] = r
	}
	if up && !r.up {
		r.failures, r.again = 0, time.Time{}
	}
	r.up = up
	if r.busy || time.Now().Before(r.again) || member && !up && r.routed == v.History {
		return false
	}
	r.busy = true
	return true
}

func (h *Handoff) release(owner string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owners[owner].busy = false
}

// deliver makes one pass over an owner's hints, and notes how it went.
func (h *Handoff) deliver(ctx context.Context, s replica.HintStats, v *gossip.View) {
	err := h.pass(ctx, s.Owner)
	if err == nil && s.Full {
		err = h.compare(ctx, s.Owner, v)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.owners[s.Owner]
	r.busy = false
	if err == nil {
		r.failures, r.again, r.routed = 0, time.Time{}, v.History
		return
	}
	if ctx.Err() != nil {
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
	r, n, size := h.owners[p.owner], len(p.cells), pageBytes(p.cells)
	r.delivered += uint64(n)
	r.bytes += uint64(size)
	r.rate.add(float64(n), time.Now())
	return nil
}

// compare has an owner that too much was to be kept for compare everything
// with the other owners.
func (h *Handoff) compare(ctx context.Context, owner string, v *gossip.View) error {
	if _, member := v.Ring.Member(owner); member && owner != h.opts.Self {
		if !h.reachable(owner) {
			return nil
		}
		if _, err := ask(ctx, h.peers, owner, replica.KindCompare, nil); err != nil {
			return fmt.Errorf("asking for a full compare: %w", err)
		}
	}
	h.store.ClearFull(owner)
	return nil
}
