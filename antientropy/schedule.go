package antientropy

import (
	"time"

	"github.com/dynaring/dynaring/replica"
)

// When slots are compared.
const (
	// quietFor is how long a slot that has changed is left alone: what differs
	// sooner is mostly on its way.
	quietFor = time.Second
	// patience is how long a slot that is never quiet goes uncompared.
	patience = 30 * time.Second
	// retryPair is the least between two compares of a slot with one peer.
	retryPair = time.Second
	// fullEvery is how often everything is compared, whatever seems in step.
	fullEvery = 5 * time.Minute
	// backoffMin and backoffMax bound the pause after a round that failed.
	backoffMin = 250 * time.Millisecond
	backoffMax = 10 * time.Second
	// maxRoundSlots bounds what one round compares.
	maxRoundSlots = 4096
)

// never is earlier than every time that a schedule knows.
const never = time.Duration(-1 << 62)

// hindsight is how much later than the time that it is said to be of a change
// may be seen.
const hindsight = 100 * time.Millisecond

// Changes tells when slots last changed on this node, in its uptime, as all
// times of a schedule are: 0 for not since its start. *replica.Replica does.
type Changes interface {
	Slot(slot uint16) replica.SlotState
	// Changed bounds what Slot says of some slots.
	Changed(first, last uint16) time.Duration
}

// schedule knows for every slot that this node shares with a peer since when
// the two are not known to be in step, and says what to compare next. It is
// pure: its owner tells it the time.
type schedule struct {
	self  string
	plans map[string]*plan
	// stale: something happened since the last scan that may make a slot due.
	stale bool
}

// round is slots to be compared with a peer. What it finds in step is so as of
// its start.
type round struct {
	peer  string
	slots []uint16
	start time.Duration
}

func newSchedule(self string) *schedule { return &schedule{self: self, plans: map[string]*plan{}} }

// share says which slots are shared with whom, in order. What is known of
// those that stay is kept; new ones are due at once.
func (s *schedule) share(now time.Duration, shared map[string][]uint16) {
	for name := range s.plans {
		if len(shared[name]) == 0 {
			delete(s.plans, name)
		}
	}
	for name, slots := range shared {
		if len(slots) == 0 {
			continue
		}
		p := s.plans[name]
		if p == nil {
			p = &plan{since: now, want: now, full: never, hold: never, began: never}
			s.plans[name] = p
		}
		old := p.pairs
		p.pairs, p.due = make([]pair, len(slots)), nil
		for i, slot := range slots {
			for len(old) > 0 && old[0].slot < slot {
				old = old[1:]
			}
			if len(old) > 0 && old[0].slot == slot {
				p.pairs[i] = old[0]
			} else {
				p.pairs[i] = pair{slot: slot, stepped: never, tried: never, want: never, dirty: never}
			}
		}
		p.block()
		if p.from = 0; s.self > name {
			// The other compares with this node as well: where much differs,
			// the two meet, instead of doing the same at the same time.
			p.from = len(p.blocks) / 2
		}
	}
	s.stale = true
}

// observe says whether a peer can be reached. With one that comes back
// everything is compared: it may have missed writes, or lost its disk.
func (s *schedule) observe(now time.Duration, name string, up bool) {
	p := s.plans[name]
	if p == nil || p.up == up {
		return
	}
	p.up = up
	if up {
		p.since, p.want, p.hold, p.backoff = now, now, never, 0
		s.stale = true
	}
}

// request has everything compared with everybody, as of now.
func (s *schedule) request(now time.Duration) {
	for _, p := range s.plans {
		p.want = now
	}
	s.stale = true
}

// mark has one slot compared with everybody, as of now.
func (s *schedule) mark(now time.Duration, slot uint16) {
	for _, p := range s.plans {
		if pr, at := p.find(slot); pr != nil {
			pr.want, pr.tried = now, never
			p.blocks[at].still = never
		}
	}
	s.stale = true
}

// scan looks for what is due now.
func (s *schedule) scan(now time.Duration, changes Changes) {
	s.stale = false
	for _, p := range s.plans {
		p.due, p.open, p.more = p.due[:0], 0, false
		if !p.up {
			continue
		}
		if now-p.want >= fullEvery {
			p.want = now
		}
		full := true
		for i := range p.blocks {
			b := &p.blocks[(p.from+i)%len(p.blocks)]
			if p.passOver(b, changes) {
				continue
			}
			open, done := p.look(b, now, changes)
			if p.open += open; open == 0 {
				b.still = now
			}
			full = full && done
		}
		if full {
			p.full = p.want
		}
	}
}

// idle reports that nothing can become due unless a slot changes or this
// schedule is told something, or until everything is to be compared again.
func (s *schedule) idle(now time.Duration) bool {
	for _, p := range s.plans {
		if p.up && (p.open > 0 || now-p.want >= fullEvery) {
			return false
		}
	}
	return !s.stale
}

// next returns a round of what the last scan found due, with the peer whose
// turn it is. The peer is busy until finish.
func (s *schedule) next(now time.Duration) (round, bool) {
	name := ""
	for n, p := range s.plans {
		if !p.up || p.busy || p.hold > now || len(p.due) == 0 {
			continue
		}
		if name == "" || p.began < s.plans[name].began || p.began == s.plans[name].began && n < name {
			name = n
		}
	}
	if name == "" {
		return round{}, false
	}
	p := s.plans[name]
	r := round{peer: name, slots: p.due, start: now}
	p.busy, p.began, p.due = true, now, nil
	_, p.from = p.find(r.slots[len(r.slots)-1])
	return r, true
}

// stepped says that slots are in step with the round's peer as of its start.
func (s *schedule) stepped(r round, slots []uint16) {
	s.each(r, slots, func(pr *pair, _ *block) {
		pr.stepped, pr.tried, pr.dirty = max(pr.stepped, r.start), r.start, never
	})
}

// unsure says that slots were compared, and whether they are in step is not
// known: they are to be compared again.
func (s *schedule) unsure(r round, slots []uint16) {
	s.each(r, slots, func(pr *pair, b *block) {
		pr.tried, pr.want, b.still = r.start, max(pr.want, r.start), never
	})
}

func (s *schedule) each(r round, slots []uint16, do func(*pair, *block)) {
	p := s.plans[r.peer]
	if p == nil {
		return
	}
	for _, slot := range slots {
		if pr, at := p.find(slot); pr != nil {
			do(pr, &p.blocks[at])
		}
	}
}

// finish ends a round. A peer with which it failed is left alone for a while;
// then what the round did not come to has its turn first.
func (s *schedule) finish(now time.Duration, r round, err error) {
	p := s.plans[r.peer]
	if p == nil {
		return
	}
	p.busy = false
	if err == nil {
		p.backoff = 0
		s.stale = s.stale || p.more
		return
	}
	p.backoff = min(max(2*p.backoff, backoffMin), backoffMax)
	p.hold = now + p.backoff
	for _, slot := range r.slots {
		if pr, at := p.find(slot); pr != nil && pr.tried < r.start {
			p.from = at
			break
		}
	}
}

// fullSince reports whether everything was compared with everybody since then.
func (s *schedule) fullSince(then time.Duration) bool {
	for _, p := range s.plans {
		if p.full < then {
			return false
		}
	}
	return true
}

// unstepped returns how many pairs are not known to be in step, and for how
// long the one that has been so for longest.
func (s *schedule) unstepped(now time.Duration, changes Changes) (n int, lag time.Duration) {
	for _, p := range s.plans {
		for i := range p.blocks {
			b := &p.blocks[i]
			if p.passOver(b, changes) {
				continue
			}
			for k := range b.pairs {
				pr := &b.pairs[k]
				if at := changes.Slot(pr.slot).Changed; !p.known(pr, at) {
					n, lag = n+1, max(lag, now-p.unknownSince(pr, at))
				}
			}
		}
	}
	return n, lag
}

// unknownSince returns since when a pair is not known to be in step.
func (p *plan) unknownSince(pr *pair, changed time.Duration) time.Duration {
	switch {
	case pr.dirty != never:
		return pr.dirty
	case pr.changed(changed):
		return changed
	}
	return max(p.since, pr.want)
}
