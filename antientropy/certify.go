package antientropy

import (
	"slices"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
)

// This file is the pure part of collection: what makes a dead cell certain to
// be gone for good, and since when. DESIGN.md has the argument.

// collectAfter is how long after a first certificate the second may be: what
// was on its way, or in memory, at the first has then arrived or is refused.
const collectAfter = replica.MaxMessageAge + replica.OpLifetime

// verdict is what one or all members' answers make of a candidate.
type verdict uint8

const (
	refused verdict = iota // somebody holds something else, or may
	young                  // nobody does, but hints have come or gone lately
	certain                // nobody does, and nothing can be on its way
)

// candidate is a dead cell: its key, and its digest on the first owner.
type candidate = replica.Ask

// judge returns what a member's answer makes of a candidate, and why it is
// refused.
func judge(owner bool, want uint64, a replica.Inspected) (verdict, reason) {
	switch {
	case a.Hinted:
		return refused, hasHint
	case !owner && a.Digest != 0:
		return refused, hasStray
	case owner && a.Digest != want:
		return refused, hasOther
	case !a.Dead:
		return refused, notDead
	case a.Recent:
		return young, noRefusal
	}
	return certain, noRefusal
}

// certificate is what all members answered about some candidates.
type certificate struct {
	verdicts []verdict // by candidate
	refusals []refusal // likewise: who was the first to refuse it, and why
	refused  int
}

// certify judges the answers of all members of the ring: found has one for
// each member and candidate.
func certify(r *ring.Ring, cells []candidate, found map[string][]replica.Inspected) certificate {
	c := certificate{verdicts: make([]verdict, len(cells)), refusals: make([]refusal, len(cells))}
	for i := range cells {
		owners := r.Lookup(cells[i].Key.Slot).Owners
		v := certain
		for _, m := range r.Members() {
			answers := found[m.Name]
			if len(answers) != len(cells) {
				v, c.refusals[i] = refused, refusal{m.Name, notKnown}
				break
			}
			one, why := judge(slices.Contains(owners, m.Name), cells[i].Digest, answers[i])
			if v = min(v, one); v == refused {
				c.refusals[i] = refusal{m.Name, why}
				break
			}
		}
		if c.verdicts[i] = v; v == refused {
			c.refused++
		}
	}
	return c
}

// pick returns the candidates that have the verdict.
func (c *certificate) pick(cells []candidate, v verdict) (out []candidate) {
	for i := range cells {
		if c.verdicts[i] == v {
			out = append(out, cells[i])
		}
	}
	return out
}

// moment is a time on two clocks: a monotonic one, and the cluster's own,
// which the age of messages is measured by. That one stands still for a while
// where a wall clock was set back.
type moment struct {
	up    time.Duration
	clock int64 // ms
}

// collection is the candidates that have been certified once, until they may
// be again. It is pure: its owner tells it the time.
type collection struct {
	history *ring.History // by which they were certified
	batches []batch       // the oldest first
	cells   int
	bytes   int
	slots   map[uint16]int // how many of them are in a slot
}

// batch is candidates that were certified at one moment.
type batch struct {
	cells []candidate
	since moment
}

// Bounds of what waits. What does not fit is found again later.
const (
	maxWaitingCells = 1 << 16
	maxWaitingBytes = 16 << 20
)

func newCollection() *collection { return &collection{slots: map[uint16]int{}} }

// follow forgets everything when the ring is another: who is to certify has
// changed.
func (c *collection) follow(h *ring.History) {
	if c.history != h {
		*c = collection{history: h, slots: map[uint16]int{}}
	}
}

// room reports whether another batch may wait.
func (c *collection) room() bool { return c.cells < maxWaitingCells && c.bytes < maxWaitingBytes }

// add has candidates wait that all members have certified, after the moment
// now. Those that were called young count too: only the second certificate
// asks for more.
func (c *collection) add(cells []candidate, now moment) {
	if len(cells) == 0 {
		return
	}
	c.batches = append(c.batches, batch{cells, now})
	c.count(cells, 1)
}

func (c *collection) count(cells []candidate, sign int) {
	c.cells += sign * len(cells)
	for i := range cells {
		k := &cells[i].Key
		c.bytes += sign * (len(k.Key) + len(k.Field))
		if c.slots[k.Slot] += sign; c.slots[k.Slot] == 0 {
			delete(c.slots, k.Slot)
		}
	}
}

// due returns the oldest candidates if they have waited long enough. stuck says
// that they have, but for the cluster's clock.
func (c *collection) due(now moment) (cells []candidate, ok, stuck bool) {
	if len(c.batches) == 0 || now.up-c.batches[0].since.up < collectAfter {
		return nil, false, false
	}
	b := &c.batches[0]
	if now.clock-b.since.clock < collectAfter.Milliseconds() {
		return nil, false, true
	}
	return b.cells, true, false
}

// settle takes the oldest candidates' second certificate, and returns those
// that may be dropped. A second one that is too young counts as a first.
func (c *collection) settle(cert certificate, now moment) []candidate {
	cells := c.batches[0].cells
	c.batches = c.batches[1:]
	c.count(cells, -1)
	c.add(cert.pick(cells, young), now)
	return cert.pick(cells, certain)
}
