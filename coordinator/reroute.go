package coordinator

import (
	"slices"
	"time"
)

// This file is the part of passing commands on that tries them elsewhere.

// maxTries bounds how often a command is sent to some node.
const maxTries = 8

// sendsStandIn reports whether node is to run a command as a stand-in.
func (c *Coordinator) sendsStandIn(v *View, slot uint16, node string) bool {
	if v.Ring == nil {
		return false
	}
	p := v.Ring.Lookup(slot)
	if slices.Contains(p.Owners, node) {
		return false
	}
	return !c.ownerReachable(v, p)
}

// lost decides what to do about a command whose frame failed, or that was
// refused.
func (d *forwardDriver) lost(i int, notStarted bool) {
	cmd := &d.commands[i]
	switch {
	case cmd.done || cmd.pending > 0: // another leg may still answer
	case notStarted || d.x.Commands[i].Class == Reading:
		d.todo = append(d.todo, int32(i))
	default:
		d.giveUp(i)
	}
}

// retry passes on what is to be tried elsewhere to the next owners.
func (d *forwardDriver) retry() {
	for len(d.todo) > 0 {
		to := d.next(func(i int32, err error) { d.finish(int(i), nil, err) })
		d.c.counters.rerouted.Add(uint64(len(d.batch)))
		switch {
		case len(d.batch) == 0:
		case to == "":
			d.runHere(d.batch)
		default:
			d.send(to, d.batch)
		}
	}
}

// next moves the commands that go to one node from todo to batch, and returns
// that node. Those that can go nowhere are given to failed.
func (d *forwardDriver) next(failed func(i int32, err error)) (to string) {
	d.batch = d.batch[:0]
	rest := d.todo[:0]
	for _, i := range d.todo {
		cmd := &d.x.Commands[i]
		node, standIn, err := d.c.route(cmd.Slot, cmd.Class, d.triedBy(i))
		if err == nil && d.commands[i].sent >= maxTries {
			err = &NoQuorumError{Op: "route", Need: 1}
		}
		switch {
		case err != nil:
			failed(i, err)
		case len(d.batch) == 0 || node == to:
			to, cmd.StandIn = node, standIn
			d.batch = append(d.batch, i)
		default:
			rest = append(rest, i)
		}
	}
	d.todo = rest
	return to
}

// triedBy lists the nodes that a command was sent to.
func (d *forwardDriver) triedBy(i int32) []string {
	var tried []string
	for at, n := range d.nodes {
		if d.commands[i].tried&bit(at) != 0 {
			tried = append(tried, n)
		}
	}
	return tried
}

// runHere runs commands on this node, which is the next in line.
func (d *forwardDriver) runHere(index []int32) {
	at := slices.Index(d.nodes, "")
	if at < 0 {
		at = len(d.nodes)
		d.nodes = append(d.nodes, "")
	}
	sub := Exec{Proto: d.x.Proto, R: d.x.R, W: d.x.W}
	for _, i := range index {
		d.commands[i].tried |= bit(at)
		d.commands[i].sent++
		sub.Commands = append(sub.Commands, d.x.Commands[i])
	}
	d.c.runLocal(until{d.ctx, d.deadline}, &sub)
	for n, i := range index {
		cmd := &sub.Commands[n]
		if cmd.Err != nil && NotStarted(cmd.Err) {
			d.lost(int(i), true)
			continue
		}
		d.finish(int(i), cmd.Reply, cmd.Err)
	}
}

// nextEvent returns when the driver has to look again without any answer.
func (d *forwardDriver) nextEvent() time.Time {
	next := d.deadline
	for _, l := range d.legs {
		if !l.late.IsZero() && l.late.Before(next) {
			next = l.late
		}
	}
	return next
}

// hedge asks other owners for the reads of a frame that is late.
func (d *forwardDriver) hedge(now time.Time) {
	for _, l := range d.legs {
		if l.late.IsZero() || now.Before(l.late) {
			continue
		}
		l.late = time.Time{}
		for _, i := range l.idx {
			if cmd := &d.commands[i]; d.x.Commands[i].Class == Reading && !cmd.done && cmd.pending == 1 {
				d.todo = append(d.todo, i)
			}
		}
	}
	for len(d.todo) > 0 {
		to := d.next(func(int32, error) {}) // the late one may still answer
		if to != "" {
			d.c.counters.hedges.Add(1)
			d.send(to, d.batch)
		}
	}
}
