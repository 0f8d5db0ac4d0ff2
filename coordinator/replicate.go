package coordinator

import (
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage/version"
)

// This file is the part of a write that runs elsewhere than the caller: on the
// lane that has applied the batch, on its syncer, and on the connections that
// bring the other owners' answers. Nothing here waits.

// writeLeg is one owner that a group's cells were sent to.
type writeLeg struct {
	d     *writeDriver
	group int
	pos   int
	node  string
	done  func(peer.Reply)
	parts int   // frames without an answer, and one while there are more to send
	err   error // of the first that failed
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
	d.deadline = d.deadline.Add(allowance(size))
	if d.overdue { // it was held up here: the others still get time to answer
		d.deadline = time.Now().Add(d.c.opts.Timeout/4 + allowance(size))
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

// replicate sends a group's cells to its targets.
func (d *writeDriver) replicate(g int) {
	group := &d.groups[g]
	d.cells = d.cells[:0]
	for _, u := range group.units {
		if cell := d.units[u].cell; cell != nil {
			d.cells = append(d.cells, replica.KeyedCell{Key: d.set.keys[u].key, Cell: cell})
		}
	}
	if len(d.cells) == 0 { // nothing was written, nothing has to be stored
		d.mu.Lock()
		group.result = enough
		d.open--
		d.mu.Unlock()
		return
	}
	first := len(d.legs)
	for i, node := range group.targets {
		d.leg(g, i+1, node)
	}
	legs := d.legs[first:]
	for from := 0; from < len(d.cells); {
		to, size := from, 0
		for ; to < len(d.cells) && (size < softFrame || to == from); to++ {
			size += len(d.cells[to].Cell.Bytes())
		}
		d.buf = replica.AppendApply(d.buf[:0], d.cells[from:to])
		from = to
		for _, l := range legs {
			d.post(l)
		}
	}
	for _, l := range legs {
		l.part(nil) // there is no more to send
	}
	for range group.absent {
		d.missed()
	}
}

func (d *writeDriver) leg(g, pos int, node string) {
	d.legs = grow(d.legs)
	l := d.legs[len(d.legs)-1]
	if l == nil {
		l = &writeLeg{d: d}
		l.done = l.answered
		d.legs[len(d.legs)-1] = l
	}
	l.group, l.pos, l.node, l.parts, l.err = g, pos, node, 1, nil
	d.mu.Lock()
	d.groups[g].tally.ask(pos)
	d.mu.Unlock()
}

// post sends what is in the buffer.
func (d *writeDriver) post(l *writeLeg) {
	d.mu.Lock()
	l.parts++
	d.mu.Unlock()
	d.hold()
	d.c.peers.Call(l.node, peer.Foreground, replica.KindApply, d.buf, d.deadline, l.done)
}

// answered takes the answer to one frame, on the goroutine that brings it.
func (l *writeLeg) answered(r peer.Reply) {
	d := l.d
	l.part(r.Err)
	d.release()
}

// part notes that a frame has its answer. When the last has, the owner has.
func (l *writeLeg) part(err error) {
	d := l.d
	d.mu.Lock()
	if l.err == nil {
		l.err = err
	}
	if l.parts--; l.parts > 0 {
		d.mu.Unlock()
		return
	}
	ok, late := l.err == nil, d.gone
	d.answer(l.group, l.pos, ok)
	d.mu.Unlock()
	switch {
	case !ok:
		d.missed()
	case late:
		d.c.counters.stragglers.Add(1)
	}
}

// answer counts an owner's answer. A quorum that is missed is no outcome yet:
// the caller is told on how many owners the write is, so the others that were
// asked are waited for. d.mu is held.
func (d *writeDriver) answer(g, pos int, ok bool) {
	group := &d.groups[g]
	now := group.tally.answer(pos, ok)
	if group.result != pending || now == pending || now == failed && group.tally.waiting()&group.tally.voters != 0 {
		return
	}
	group.result = now
	if d.open--; d.open == 0 && d.stage != queued {
		d.nudge()
	}
}

// missed is where it is known that an owner may not have stored a group's
// cells: it was not to be reached, or did not answer well.
func (d *writeDriver) missed() { d.c.counters.missed.Add(1) }

// durable takes the local replica's own answer, on a lane or its syncer.
func (d *writeDriver) durable(err error) {
	d.mu.Lock()
	if d.stage == queued {
		d.stage, d.refusal, d.open = refused, err, 0
		d.nudge()
	} else {
		d.stage = settled
		for g := range d.groups {
			d.answer(g, 0, err == nil)
		}
	}
	d.mu.Unlock()
	d.release()
}
