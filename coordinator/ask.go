package coordinator

import (
	"slices"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
)

// This file is the part of a read that asks other nodes and takes in what they
// answer.

// readLeg is one node asked by one group.
type readLeg struct {
	d     *readDriver
	group int
	pos   int
	node  string
	owner bool // a present owner; else a fallback
	sent  time.Time
	done  func(peer.Reply)

	asked []int32          // items of the group that the request on its way asks for
	got   []replica.Answer // one for each item of the group
	same  bool             // all of them are as the local ones
	body  []byte
	err   error
}

// ask sends the group's request to its next target.
func (d *readDriver) ask(g int, now time.Time) bool {
	group := &d.groups[g]
	if group.next == len(group.targets) {
		return false
	}
	l := d.leg(len(group.items))
	l.group, l.node = g, group.targets[group.next]
	group.next++
	l.pos = group.next
	l.owner = group.owners&bit(l.pos) != 0
	group.tally.ask(l.pos)
	d.encode(l)
	late := now.Add(d.c.late.after(l.node, replica.KindRead))
	if late.After(group.late) {
		group.late = late
	}
	d.send(l, now)
	return true
}

func (d *readDriver) send(l *readLeg, now time.Time) {
	l.sent = now
	d.hold()
	d.c.peers.Call(l.node, peer.Foreground, replica.KindRead, d.buf, d.deadline, l.done)
}

// encoded says what the driver's buffer holds: the request of a whole group, to
// owners or to fallbacks.
type encoded struct {
	group int // -1: something else
	owner bool
}

// encode makes the request of a leg: the keys that it asks for, and what the
// local replica holds of them.
func (d *readDriver) encode(l *readLeg) {
	g := &d.groups[l.group]
	whole := encoded{-1, false}
	if len(l.asked) == len(g.items) {
		whole = encoded{l.group, l.owner}
		if d.encoded == whole {
			return
		}
	}
	d.encoded = whole
	d.asks = d.asks[:0]
	for _, at := range l.asked {
		it := &d.items[g.items[at]]
		d.asks = append(d.asks, replica.Ask{Key: it.key, Digest: it.local.Digest()})
	}
	if l.owner {
		d.buf = replica.AppendRead(d.buf[:0], d.asks, false)
	} else {
		d.buf = replica.AppendStandInRead(d.buf[:0], d.asks)
	}
}

// leg returns a leg that asks for all n items of its group.
func (d *readDriver) leg(n int) *readLeg {
	d.legs = grow(d.legs)
	l := d.legs[len(d.legs)-1]
	if l == nil {
		l = &readLeg{d: d}
		l.done = l.answered
		d.legs[len(d.legs)-1] = l
	}
	l.got = slices.Grow(l.got[:0], n)[:n]
	l.asked = l.asked[:0]
	for at := range n {
		l.asked = append(l.asked, int32(at))
	}
	l.same = true
	return l
}

// answered takes a node's answer, on the goroutine that brings it.
func (l *readLeg) answered(r peer.Reply) {
	d := l.d
	d.c.observe(l.node, replica.KindRead, l.sent, r.Err)
	d.mu.Lock()
	if !d.gone {
		l.err = r.Err
		l.body = append(l.body[:0], r.Body...)
		d.inbox = append(d.inbox, l)
	}
	d.mu.Unlock()
	d.nudge()
	d.release()
}

// collect counts the answers that have arrived.
func (d *readDriver) collect() {
	for {
		d.mu.Lock()
		if len(d.inbox) == 0 {
			d.mu.Unlock()
			return
		}
		l := d.inbox[len(d.inbox)-1]
		d.inbox = d.inbox[:len(d.inbox)-1]
		d.mu.Unlock()
		g := &d.groups[l.group]
		if l.err == nil {
			l.err = d.parse(g, l)
		}
		if l.err == nil && len(l.asked) > 0 {
			d.encode(l)
			d.send(l, time.Now())
			continue
		}
		if l.err == nil {
			g.answers = append(g.answers, l)
		}
		g.tally.answer(l.pos, l.err == nil)
		d.advance(l.group, time.Now())
	}
}

// parse takes an answer apart. It leaves in l.asked the items that the answer
// had no room for.
func (d *readDriver) parse(g *readGroup, l *readLeg) (err error) {
	d.answers, err = replica.DecodeAnswers(d.answers[:0], l.body, len(l.asked))
	if err != nil {
		return err
	}
	later := l.asked[:0]
	for i, at := range l.asked {
		switch a := d.answers[i]; {
		case a.Status == replica.Later:
			later = append(later, at)
			continue
		case a.Status == replica.Same || a.Status == replica.Absent && d.items[g.items[at]].local == nil:
			l.got[at] = replica.Answer{Status: replica.Same}
		default:
			l.got[at], l.same = a, false
		}
	}
	l.asked = later
	return nil
}
