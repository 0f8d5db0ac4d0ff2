package coordinator

import (
	"slices"
	"time"

	"github.com/dynaring/dynaring/ring"
)

// This file is the sloppy part of a read's quorum (paper, section 4.6): the
// first healthy nodes answer, owners before fallbacks. What a fallback keeps is
// as good as an owner's copy; that it keeps nothing says nothing.

// widen lets fallbacks answer, and this node's own replica, where it has not
// been asked yet and this node is no present owner: it stands in itself.
func (d *readDriver) widen(g *readGroup) {
	c := d.c
	g.wide = true
	if !g.here && g.next == 0 && d.keptHere(g) {
		g.tally.admit(0)
		g.tally.ask(0)
		g.tally.answer(0, true)
	}
	from := len(g.targets)
	for _, last := range [...]bool{false, true} {
		for _, n := range g.fallbacks {
			if n != c.opts.Self && c.peers.Up(n) && c.health.passed(n) == last && len(g.targets) < maxOwners-1 {
				g.targets = append(g.targets, n)
			}
		}
	}
	for at := range g.targets[from:] {
		g.tally.admit(1 + from + at)
	}
}

// keptHere reads what the local replica holds of a group's cells, its own and
// hints, and reports whether it could.
func (d *readDriver) keptHere(g *readGroup) bool {
	p := d.ring.Lookup(d.items[g.items[0]].key.Slot)
	if p.Role(d.c.opts.Self) == ring.None {
		return false
	}
	for _, n := range g.items {
		it := &d.items[n]
		own, err := d.c.replica.Get(it.key)
		if err == nil {
			it.kept, err = d.c.replica.Held(it.key)
		}
		if err != nil {
			d.c.log.Warn("the local replica cannot be read", "err", err)
			return false
		}
		it.local = own
	}
	return true
}

// ownersSay reports whether a present owner has answered: only they know what
// there is not.
func (g *readGroup) ownersSay() bool { return g.tally.good&g.owners != 0 }

// conclusive reports whether the answers that a group has got say something of
// each of its items.
func (d *readDriver) conclusive(g *readGroup) bool {
	if g.ownersSay() {
		return true
	}
	for at, n := range g.items {
		it := &d.items[n]
		if it.local == nil && it.kept == nil &&
			!slices.ContainsFunc(g.answers, func(l *readLeg) bool { return !l.same && l.got[at].Cell != nil }) {
			return false
		}
	}
	return true
}

// more reports whether a group may get further answers, and asks for one if
// none is on its way.
func (d *readDriver) more(g int, now time.Time) bool {
	group := &d.groups[g]
	return group.tally.waiting()&group.tally.voters != 0 || d.ask(g, now)
}
