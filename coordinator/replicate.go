package coordinator

import (
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage/version"
)

// This file is the part of a write that runs elsewhere than the caller: on the
// lane that has applied the batch, on its syncer, and on the connections that
// bring the others' answers. Nothing here waits.

// writeLeg is one node that a group's cells are sent to, or this one's copy.
type writeLeg struct {
	d     *writeDriver
	group int
	pos   int
	node  string // "": this one
	owner string // the owner whose copy it is: who is covered if it is not there; "": nobody
	hint  bool   // node is a fallback, and keeps the cells for owner
	done  func(peer.Reply)

	// Guarded by d.mu.
	parts   int // frames without an answer
	err     error
	sent    time.Time
	late    time.Time // when the next fallback covers for it; zero: never
	covered bool      // one does
	again   bool      // it was sent once more
	must    bool      // it is kept beyond the bound of hints too
}

func (l *writeLeg) kind() uint8 {
	if l.hint {
		return replica.KindHint
	}
	return replica.KindApply
}

// applied sends what the operations wrote to the other owners. It runs on a
// lane.
func (d *writeDriver) applied() {
	size := 0
	for n := range d.batch.Ops {
		if op := &d.batch.Ops[n]; op.Err == nil && op.Delta != nil {
			u := &d.units[d.ops[n].unit]
			u.cell = version.Merge(u.cell, op.Delta)
			size += len(op.Next.Bytes()) // which every owner reads and stores whole
		}
	}
	d.mu.Lock()
	d.born = time.Now()
	d.deadline = d.deadline.Add(allowance(size))
	if d.overdue { // it was held up here: the others still get time to answer
		d.deadline = d.born.Add(d.c.opts.Timeout/4 + allowance(size))
	}
	d.mu.Unlock()
	for g := range d.groups {
		d.replicate(g)
	}
	d.mu.Lock()
	d.stage = sent
	if d.open == 0 || d.overdue {
		d.nudge()
	}
	d.mu.Unlock()
}

// replicate sends a group's cells to its targets, and to fallbacks for those
// that are missing.
func (d *writeDriver) replicate(g int) {
	group, c := &d.groups[g], d.c
	if !d.encode(group) { // nothing was written, nothing has to be stored
		d.mu.Lock()
		group.result = enough
		d.open--
		d.mu.Unlock()
		return
	}
	missing, mine, now := group.missing, c.opts.Self, time.Now()
	if !group.owner { // a stand-in's own copy is for the first that is missing
		mine = ""
		if len(missing) > 0 {
			mine, missing = missing[0], missing[1:]
		}
	}
	d.mu.Lock()
	first := len(d.legs)
	if len(group.waits) > 0 {
		l := d.leg(g, 0, "", mine)
		l.parts, l.late, group.self = 1, now.Add(group.waits[0]+allowance(len(group.body))), l
	}
	for i, node := range group.targets {
		group.tally.ask(i + 1)
		l := d.leg(g, i+1, node, "")
		if i >= group.present {
			continue // who is coming is covered by nobody
		}
		if l.owner = node; c.health.passed(node) {
			group.hopes &^= bit(l.pos)
			l.covered = d.cover(g, node) != nil
		}
	}
	lost := group.lost
	for _, o := range missing {
		if d.cover(g, o) == nil {
			lost++
		}
	}
	legs := d.legs[first:]
	d.mu.Unlock()
	for _, l := range legs {
		if l != group.self {
			d.send(l, now)
		}
	}
	c.counters.missed.Add(uint64(lost))
}

// encode puts a group's cells into frames, and reports whether there are any.
func (d *writeDriver) encode(g *writeGroup) bool {
	d.cells = d.cells[:0]
	for _, u := range g.units {
		if cell := d.units[u].cell; cell != nil {
			d.cells = append(d.cells, replica.KeyedCell{Key: d.set.keys[u].key, Cell: cell})
		}
	}
	for from := 0; from < len(d.cells); {
		to, size := from, 0
		for ; to < len(d.cells) && (size < softFrame || to == from); to++ {
			size += len(d.cells[to].Cell.Bytes())
		}
		g.body = replica.AppendApply(g.body, d.cells[from:to])
		g.ends = append(g.ends, len(g.body))
		from = to
	}
	return len(g.ends) > 0
}

// leg makes a leg. d.mu is held.
func (d *writeDriver) leg(g, pos int, node, owner string) *writeLeg {
	d.legs = grow(d.legs)
	l := d.legs[len(d.legs)-1]
	if l == nil {
		l = &writeLeg{d: d}
		l.done = l.answered
		d.legs[len(d.legs)-1] = l
	}
	*l = writeLeg{d: d, done: l.done, group: g, pos: pos, node: node, owner: owner}
	return l
}

// maxHintHeader is what a hint has before its cells, at most.
const maxHintHeader = 272

// send sends a group's cells to a leg's node.
func (d *writeDriver) send(l *writeLeg, now time.Time) {
	c, g := d.c, &d.groups[l.group]
	late := time.Time{}
	switch more := allowance(len(g.body)); {
	case len(g.waits) == 0: // there is nobody to cover for it
	case l.hint:
		late = now.Add(c.late.after(l.node, replica.KindHint) + more)
	default:
		late = now.Add(g.waits[l.pos] + more)
	}
	d.mu.Lock()
	l.parts, l.err, l.sent, l.late = len(g.ends), nil, now, late
	deadline, must := d.deadline, l.must
	if l.hint || l.again { // what is sent late still gets its time, but for its age
		deadline = earlier(d.born.Add(replica.OpLifetime), later(deadline, now.Add(c.opts.Timeout+allowance(len(g.body)))))
	}
	d.mu.Unlock()
	from := 0
	for _, to := range g.ends {
		body := g.body[from:to]
		if from = to; l.hint {
			body = replica.AppendHinted(make([]byte, 0, len(body)+maxHintHeader), l.owner, must, body)
		}
		d.hold()
		c.peers.Call(l.node, peer.Foreground, l.kind(), body, deadline, l.done)
	}
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// answered takes the answer to one frame, on the goroutine that brings it.
// When the last has its answer, the node has.
func (l *writeLeg) answered(r peer.Reply) {
	d := l.d
	d.mu.Lock()
	if l.err == nil {
		l.err = r.Err
	}
	if l.parts--; l.parts > 0 {
		d.mu.Unlock()
		d.release()
		return
	}
	sent, err, late := l.sent, l.err, d.gone
	next := d.settle(l)
	watched := len(d.groups[l.group].waits) > 0
	d.mu.Unlock()
	if err != nil || watched {
		d.c.observe(l.node, l.kind(), sent, err)
	}
	if err == nil && late {
		d.c.counters.stragglers.Add(1)
	}
	if next != nil {
		d.send(next, time.Now())
		d.nudge() // it may be late in its turn
	}
	d.release()
}

// durable takes the local replica's own answer, on a lane or its syncer.
func (d *writeDriver) durable(err error) {
	var next []*writeLeg
	d.mu.Lock()
	took := time.Since(d.born)
	watched := false
	if d.stage == queued {
		d.stage, d.refusal, d.open = refused, err, 0
		d.nudge()
	} else {
		d.stage = settled
		for g := range d.groups {
			l := d.groups[g].self
			if l == nil {
				d.answer(g, 0, err == nil)
				continue
			}
			watched = true
			l.parts, l.err = 0, err
			if s := d.settle(l); s != nil {
				next = append(next, s)
			}
		}
	}
	d.mu.Unlock()
	for _, l := range next {
		d.send(l, time.Now())
	}
	if watched {
		d.c.late.observe("", replica.KindApply, took)
	}
	d.release()
}
