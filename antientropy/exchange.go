package antientropy

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
)

const (
	// pollEvery is how soon a peer's return is noticed.
	pollEvery = 100 * time.Millisecond
	// scanEvery is how often changed slots are looked for.
	scanEvery = 250 * time.Millisecond
	// maxRounds is how many peers are compared with at once.
	maxRounds = 3
	// maxFailed is how many slots of a round may fail, each for itself, before
	// the round does.
	maxFailed = 8
	// maxWaiting bounds the requests for a full compare that wait for it.
	maxWaiting = 64
	// compareWait is how long such a request waits.
	compareWait = 50 * time.Second
)

// Store is this node's replica, as the exchange needs it. *replica.Replica is
// one.
type Store interface {
	Cells
	Hashed
	Changes
	Uptime() time.Duration
	Stats() replica.Stats
}

// ExchangeOptions configure an Exchange.
type ExchangeOptions struct {
	Self   string
	Pace   Pace         // nil: as fast as the others answer
	Logger *slog.Logger // nil: discard
}

// Exchange compares what this node holds with what the other owners of its
// slots do, and has both sides hold the same (Dynamo, SOSP 2007, section 4.7).
type Exchange struct {
	opts   ExchangeOptions
	log    *slog.Logger
	store  Store
	peers  Peers
	views  Views
	counts exchangeCounts
	wake   chan struct{} // capacity 1: look at once

	mu       sync.Mutex
	schedule *schedule
	ring     *ring.Ring // whose shared slots are in the schedule
	running  int        // rounds
	scanned  time.Duration
	writes   uint64 // of the store, as of the last scan
	waiting  []waiter
	closed   bool // nothing may wait any more
}

// waiter is a peer that waits for a full compare as of since.
type waiter struct {
	since, until time.Duration
	req          answerer
}

// answerer is the part of a *peer.Request that answers it.
type answerer interface {
	Reply(body []byte)
	Fail(code peer.Code, text string)
}

// NewExchange returns an exchange that does nothing before Run.
func NewExchange(o ExchangeOptions, store Store, peers Peers, views Views) *Exchange {
	if o.Pace == nil {
		o.Pace = unpaced{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Exchange{
		opts: o, log: o.Logger, store: store, peers: peers, views: views,
		wake: make(chan struct{}, 1), schedule: newSchedule(o.Self),
	}
}

// Run compares until ctx ends.
func (e *Exchange) Run(ctx context.Context) error {
	var rounds sync.WaitGroup
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		for _, r := range e.due() {
			rounds.Go(func() { e.round(ctx, r) })
		}
		e.answer()
		select {
		case <-tick.C:
		case <-e.wake:
		case <-ctx.Done():
		}
	}
	rounds.Wait()
	for _, w := range e.close() {
		w.req.Fail(replica.CodeClosed, "this node is shutting down")
	}
	return nil
}

func (e *Exchange) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// sharedSlots returns the slots that self owns together with each other node.
func sharedSlots(r *ring.Ring, self string) map[string][]uint16 {
	out := map[string][]uint16{}
	for _, s := range r.Ranges() {
		if s.Preference.Role(self) != ring.Owner {
			continue
		}
		for _, other := range s.Preference.Owners {
			if other != self {
				out[other] = appendSlots(out[other], replica.SlotRange{First: s.Range.Lo, Last: s.Range.Hi})
			}
		}
	}
	return out
}

// due takes in what has happened, and returns the rounds to be begun.
func (e *Exchange) due() []round {
	v := e.views.View()
	if v.Ring == nil {
		return nil
	}
	up := map[string]bool{}
	for _, m := range v.Ring.Members() {
		if m.Name != e.opts.Self {
			up[m.Name] = e.peers.Up(m.Name)
		}
	}
	writes, now := e.store.Stats().Writes, e.store.Uptime()
	e.mu.Lock()
	defer e.mu.Unlock()
	if v.Ring != e.ring {
		e.ring = v.Ring
		e.schedule.share(now, sharedSlots(v.Ring, e.opts.Self))
	}
	for name, up := range up {
		e.schedule.observe(now, name, up)
	}
	if e.schedule.stale || now-e.scanned >= scanEvery && (writes != e.writes || !e.schedule.idle(now)) {
		e.schedule.scan(now, e.store)
		e.scanned, e.writes = now, writes
	}
	var out []round
	for e.running < maxRounds {
		r, ok := e.schedule.next(now)
		if !ok {
			break
		}
		e.running++
		out = append(out, r)
	}
	return out
}

// round compares what is due with one peer.
func (e *Exchange) round(ctx context.Context, r round) {
	var failed atomic.Int32
	err := e.compare(ctx, r.peer, r.slots, outcome{
		stepped: func(slots []uint16) { e.note(r, slots, e.schedule.stepped) },
		unsure:  func(slots []uint16) { e.note(r, slots, e.schedule.unsure) },
		failed: func(slot uint16, err error) error {
			if !ofSlot(err) || failed.Add(1) > maxFailed {
				return err
			}
			e.log.Warn("a slot could not be compared, will try again", "peer", r.peer, "slot", slot, "err", err)
			e.note(r, []uint16{slot}, e.schedule.unsure)
			return nil
		},
	})
	if err != nil && ctx.Err() == nil {
		e.log.Info("comparing with another owner was cut short, will try again", "peer", r.peer, "err", err)
	}
	now := e.store.Uptime()
	e.mu.Lock()
	e.running--
	e.schedule.finish(now, r, err)
	e.mu.Unlock()
	e.nudge()
}

// ofSlot reports whether an error may be one of the slot's cells alone: the
// peer has answered, and is neither stopping nor too busy.
func ofSlot(err error) bool {
	var remote *peer.RemoteError
	return errors.Is(err, replica.ErrMalformed) ||
		errors.As(err, &remote) && remote.Code != replica.CodeClosed && remote.Code != replica.CodeOverloaded
}

func (e *Exchange) note(r round, slots []uint16, as func(round, []uint16)) {
	e.counts.compared.Add(uint64(len(slots)))
	e.mu.Lock()
	defer e.mu.Unlock()
	as(r, slots)
}

// compare compares slots with a peer, and repairs both sides.
func (e *Exchange) compare(ctx context.Context, name string, slots []uint16, out outcome) error {
	theirs := &remote{name: name, peers: e.peers, pace: e.opts.Pace, bytes: &e.counts.bytes}
	by := delivery{self: e.opts.Self, peers: e.peers}
	r := repairer{mine: e.store, peer: theirs, counts: &e.counts,
		push: func(ctx context.Context, cells []replica.KeyedCell, read time.Time) error {
			return by.push(ctx, name, cells, read)
		}}
	c := comparison{
		mine: local{e.store}, theirs: theirs, repair: r.repair, outcome: out,
		differed: func(uint16) { e.counts.differed.Add(1) },
	}
	return c.run(ctx, slots)
}

// Compare has this node and a peer hold the same of some slots, which are in
// order, as of now. It is for slots that the exchange does not compare by
// itself: those that this node is coming to own.
func (e *Exchange) Compare(ctx context.Context, peer string, slots []uint16) error {
	nothing := func([]uint16) {}
	return e.compare(ctx, peer, slots, outcome{nothing, nothing, func(_ uint16, err error) error { return err }})
}

// Mark has a slot compared with all its owners at once.
func (e *Exchange) Mark(slot uint16) {
	now := e.store.Uptime()
	e.mu.Lock()
	e.schedule.mark(now, slot)
	e.mu.Unlock()
	e.nudge()
}

// Serve answers a KindCompare request, when everything that this node owns has
// been compared with everybody else who owns it. It fails when that takes too
// long: because one of them is down, perhaps.
func (e *Exchange) Serve(req *peer.Request) { e.serve(req) }

func (e *Exchange) serve(req answerer) {
	now := e.store.Uptime()
	e.mu.Lock()
	closed, full := e.closed, len(e.waiting) >= maxWaiting
	if !closed && !full {
		e.waiting = append(e.waiting, waiter{since: now, until: now + compareWait, req: req})
		e.schedule.request(now)
	}
	e.mu.Unlock()
	switch {
	case closed:
		req.Fail(replica.CodeClosed, "this node is shutting down")
	case full:
		req.Fail(replica.CodeOverloaded, "too many wait for a compare already")
	default:
		e.nudge()
	}
}

// answer ends the waits that are over.
func (e *Exchange) answer() {
	now := e.store.Uptime()
	var done, late []waiter
	e.mu.Lock()
	rest := e.waiting[:0]
	for _, w := range e.waiting {
		switch {
		case e.ring != nil && e.schedule.fullSince(w.since):
			done = append(done, w)
		case now >= w.until:
			late = append(late, w)
		default:
			rest = append(rest, w)
		}
	}
	clear(e.waiting[len(rest):])
	e.waiting = rest
	e.mu.Unlock()
	for _, w := range done {
		w.req.Reply(nil)
	}
	for _, w := range late {
		w.req.Fail(replica.CodeFailed, "not everything could be compared with every owner in time")
	}
}

// close refuses further requests, and returns those that wait.
func (e *Exchange) close() []waiter {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	out := e.waiting
	e.waiting = nil
	return out
}
