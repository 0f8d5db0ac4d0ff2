package coordinator

import (
	"math/bits"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
)

// This file is the sloppy part of a write's quorum: who covers an owner that is
// not there (paper, section 4.6). Each copy that the write is to have is a leg:
// an owner's own, or the one that a fallback keeps for it. A leg that fails, or
// is late while the caller waits, is covered by the next fallback, for the same
// owner, until one has the cells or there is nobody left.

// reserve is a fallback that is asked only where the quorum cannot be reached
// without it: it has refused further hints, or is passed over.
type reserve struct {
	node string
	pos  int
}

// cover makes the leg of the next fallback, which keeps the group's cells for
// owner, or returns nil if there is none. d.mu is held. The caller sends it.
func (d *writeDriver) cover(g int, owner string) *writeLeg {
	group, c := &d.groups[g], d.c
	if time.Since(d.born) >= replica.OpLifetime {
		return nil // it is too old to be sent anywhere (law 7)
	}
	var to reserve
	for to.node == "" && group.next < len(group.fallbacks) && group.places < maxOwners {
		n := group.fallbacks[group.next]
		group.next++
		if n == c.opts.Self || !c.peers.Up(n) {
			continue
		}
		at := reserve{n, group.places}
		group.places++
		if c.health.passed(n) {
			group.reserve = append(group.reserve, at)
		} else {
			to = at
		}
	}
	must := bits.OnesCount64(group.hopes) < group.tally.need
	if to.node == "" && must && len(group.reserve) > 0 {
		to, group.reserve = group.reserve[0], group.reserve[1:]
		group.tally.retry(to.pos)
	}
	if to.node == "" {
		return nil
	}
	group.tally.admit(to.pos)
	group.tally.ask(to.pos)
	l := d.leg(g, to.pos, to.node, owner)
	l.hint, l.must = true, must
	c.counters.hintsSent.Add(1)
	return l
}

// coverLate makes the legs that cover for those who are late, of groups that
// the caller waits for, and returns when to look again. d.mu is held.
func (d *writeDriver) coverLate(now time.Time) (covers []*writeLeg, next time.Time) {
	next = d.deadline
	for _, l := range d.legs {
		g := &d.groups[l.group]
		switch {
		case g.result != pending || l.parts == 0 || l.covered || l.owner == "" || l.late.IsZero():
		case now.Before(l.late):
			next = earlier(next, l.late)
		default:
			l.late = time.Time{}
			g.hopes &^= bit(l.pos)
			if s := d.cover(l.group, l.owner); s != nil {
				l.covered = true
				covers = append(covers, s)
			}
		}
	}
	d.c.counters.lateCovered.Add(uint64(len(covers)))
	return covers, next
}

// settle counts a leg's answer, and returns the leg that has to be sent because
// of it: the same one again, the one that covers for it, or nil. d.mu is held.
func (d *writeDriver) settle(l *writeLeg) (next *writeLeg) {
	g := &d.groups[l.group]
	if l.err == nil {
		d.answer(l.group, l.pos, true)
		return nil
	}
	code := codeOf(l.err)
	if code == replica.CodeStale && !l.again && time.Since(d.born) < replica.OpLifetime {
		l.again = true // what it answered has moved this node's clock
		return l
	}
	g.tally.answer(l.pos, false)
	g.hopes &^= bit(l.pos)
	if l.hint {
		d.c.counters.hintsFailed.Add(1)
		if code == replica.CodeHintsFull && !l.must {
			g.reserve = append(g.reserve, reserve{l.node, l.pos})
		}
	}
	if !l.covered && l.owner != "" {
		next = d.cover(l.group, l.owner)
		l.covered = next != nil
	}
	if next == nil && !l.covered {
		// It is known now that an owner may not have the group's cells, and
		// nobody keeps them for it.
		d.c.counters.missed.Add(1)
	}
	d.decide(l.group)
	return next
}

// answer counts a node's answer. d.mu is held.
func (d *writeDriver) answer(g, pos int, ok bool) {
	d.groups[g].tally.answer(pos, ok)
	d.decide(g)
}

// decide notes when a group has its outcome. A quorum that is missed is none
// yet: the caller is told on how many nodes the write is, so the others that
// were asked are waited for. d.mu is held.
func (d *writeDriver) decide(g int) {
	group := &d.groups[g]
	now := group.tally.outcome()
	if group.result != pending || now == pending || now == failed && group.tally.waiting()&group.tally.voters != 0 {
		return
	}
	group.result = now
	if d.open--; d.open == 0 && d.stage != queued {
		d.nudge()
	}
}

// codeOf returns the code of a failure that a node answered, else 0.
func codeOf(err error) peer.Code {
	if remote, ok := err.(*peer.RemoteError); ok {
		return remote.Code
	}
	return 0
}
