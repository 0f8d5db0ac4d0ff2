package coordinator

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// Read reads the cells at R and fills in what each found. The local replica
// answers first, if this node is a present owner; R-1 others are asked whether
// theirs are the same. Where they are not, the answer is the merge, and who
// lacks a part of it is repaired in the background. Where fewer than R owners
// can be reached, or answer, fallbacks are asked for what they keep in their
// place. It returns within the request's bound, or ctx's if that is earlier.
func (c *Coordinator) Read(ctx context.Context, reads []Read) {
	v := c.views.View()
	c.counters.reads.Add(uint64(len(reads)))
	var d *readDriver
	for i := range reads {
		r := &reads[i]
		r.Cell, r.Err = nil, nil
		if v.Ring == nil {
			r.Err = ErrLoading
			continue
		}
		p := v.Ring.Lookup(r.Key.Slot)
		need := quorum(r.R, c.opts.R, p.Width)
		here := slices.Contains(p.Owners, c.opts.Self)
		if need == 1 && here {
			if r.Cell, r.Err = c.replica.Get(r.Key); r.Err == nil {
				continue
			}
		}
		if d == nil {
			d = c.reader()
		}
		d.add(&v, p, need, here, r.Key, i)
	}
	if d == nil {
		return
	}
	d.run(ctx, c.deadline(ctx, time.Now()))
	for n := range d.items {
		it := &d.items[n]
		reads[it.tag].Cell, reads[it.tag].Err = it.cell, it.err
		if it.behind {
			c.repairs.add("", it.key, it.cell, d.began)
		}
	}
	d.leave()
}

// readDriver reads one batch of keys. All but the inbox belongs to the caller.
type readDriver struct {
	driver
	c        *Coordinator
	ring     *ring.Ring
	began    time.Time // what it reads is as of then, or later
	deadline time.Time
	check    bool // of a write: this node is told too what its own replica lacks where it stands in
	items    []readItem
	groups   []readGroup
	legs     []*readLeg // asked so far; the rest of its capacity is kept for reuse
	open     int        // groups without an outcome
	buf      []byte     // the request that encoded says
	encoded  encoded
	asks     []replica.Ask
	answers  []replica.Answer

	mu    sync.Mutex
	inbox []*readLeg // answered, not yet looked at
	gone  bool       // the caller has left
}

// readItem is one key.
type readItem struct {
	key    replica.Key
	tag    int           // the caller's number for it
	local  *version.Cell // what this node's replica holds, if it votes
	kept   *version.Cell // the same with the hints that it keeps, if it stands in
	cell   *version.Cell // the answer
	behind bool          // the local replica lacks a part of the answer, and is to have it
	err    error
}

// readGroup is the keys of a batch that have the same owners and the same R,
// and, where fallbacks have to answer, the same fallbacks: as many as a frame
// should hold.
type readGroup struct {
	set       int
	size      int // of its request, about
	here      bool
	tally     tally    // position 0 is this node, i+1 is targets[i]
	owners    uint64   // positions of present owners
	targets   []string // other nodes that can be called, the first to ask first: present owners, and then fallbacks
	next      int      // target to ask next
	fallbacks []string
	short     bool // fewer owners than needed could be reached from the start
	wide      bool // fallbacks are among the targets
	items     []int32
	late      time.Time // when to ask a further one; zero: never
	answers   []*readLeg
	result    outcome
}

func (c *Coordinator) reader() *readDriver {
	d, _ := c.readers.Get().(*readDriver)
	if d == nil {
		d = &readDriver{c: c}
		d.init(func() {
			d.reset()
			c.readers.Put(d)
		})
		d.reset()
	}
	d.hold()
	return d
}

// reset lets go of everything that is not the driver's own.
func (d *readDriver) reset() {
	for i := range d.groups {
		g := &d.groups[i]
		clear(g.answers)
		clear(g.targets)
		g.answers, g.items, g.targets, g.fallbacks = g.answers[:0], g.items[:0], g.targets[:0], nil
	}
	for _, l := range d.legs {
		clear(l.got)
		l.got, l.body, l.err = l.got[:0], keepSmall(l.body), nil
	}
	clear(d.items)
	clear(d.asks)
	clear(d.answers)
	d.items, d.groups, d.legs = d.items[:0], d.groups[:0], d.legs[:0]
	d.asks, d.answers, d.buf = d.asks[:0], d.answers[:0], keepSmall(d.buf)
	d.ring = nil
	d.open, d.encoded, d.inbox, d.gone, d.check = 0, encoded{group: -1}, d.inbox[:0], false, false
}

// keepSmall empties a buffer for reuse, or lets go of a large one.
func keepSmall(b []byte) []byte {
	if cap(b) > softFrame {
		return nil
	}
	return b[:0]
}

// add puts a key into the batch, before run. tag is kept for the caller.
func (d *readDriver) add(v *View, p *ring.Preference, need int, here bool, key replica.Key, tag int) {
	n := len(d.items)
	d.ring = v.Ring
	d.items = append(d.items, readItem{key: key, tag: tag})
	size := askBytes + len(key.Key) + len(key.Field)
	for i := range d.groups {
		g := &d.groups[i]
		if g.set == p.Set && g.tally.need == need && g.size+size <= softFrame &&
			(!g.short || slices.Equal(g.fallbacks, p.Fallbacks)) {
			g.items = append(g.items, int32(n))
			g.size += size
			return
		}
	}
	d.groups = grow(d.groups)
	g := &d.groups[len(d.groups)-1]
	g.set, g.size, g.here, g.fallbacks = p.Set, size, here, p.Fallbacks
	g.next, g.late, g.result, g.wide = 0, time.Time{}, pending, false
	g.targets = d.c.reachable(g.targets, v, d.c.others(v.Ring, p))
	voters := (bit(len(g.targets)) - 1) << 1
	if here {
		voters |= bit(0)
	}
	g.tally, g.owners = newTally(need, voters), voters
	g.short = g.tally.outcome() == failed
	g.items = append(g.items, int32(n))
}

// askBytes is what an ask takes in a request beside its key.
const askBytes = 20

// grow lengthens s by one, keeping what the new element held before.
func grow[T any](s []T) []T {
	if len(s) < cap(s) {
		return s[:len(s)+1]
	}
	var zero T
	return append(s, zero)
}

// run reads all items, and returns when each has its answer or the time is
// over.
func (d *readDriver) run(ctx context.Context, deadline time.Time) {
	now := time.Now()
	d.began, d.deadline = now, deadline
	d.open = len(d.groups)
	for g := 0; g < len(d.groups); g++ { // readLocal may append some
		d.readLocal(g)
		d.advance(g, now)
	}
	for d.open > 0 {
		d.sleep(ctx, d.nextEvent())
		d.collect()
		now = time.Now()
		if !now.Before(d.deadline) || ctx.Err() != nil {
			break
		}
		for g := range d.groups {
			d.hedge(g, now)
		}
	}
	for g := range d.groups {
		d.resolve(&d.groups[g])
	}
}

// readLocal takes the local replica's answer.
func (d *readDriver) readLocal(at int) {
	g := &d.groups[at]
	if !g.here || g.tally.asked&bit(0) != 0 {
		return
	}
	var err error
	var damaged []int32
	size := 0
	for _, n := range g.items {
		it := &d.items[n]
		if it.local, err = d.c.replica.Get(it.key); damagedHere(err) {
			damaged = append(damaged, n)
			continue
		}
		if err != nil {
			break
		}
		size += len(it.local.Bytes())
	}
	if len(damaged) > 0 && len(damaged) < len(g.items) && (err == nil || damagedHere(err)) {
		d.setAside(at, damaged)
		g, err = &d.groups[at], nil
	}
	d.deadline = d.deadline.Add(allowance(size)) // the others hold about as much
	g.tally.ask(0)
	g.tally.answer(0, err == nil)
	if err == nil {
		return
	}
	if !damagedHere(err) { // of which the replica tells, once
		d.c.log.Warn("the local replica cannot be read", "err", err)
	}
	for _, n := range g.items {
		d.items[n].local = nil
	}
}

// setAside makes a group of their own of items of a group whose rows are damaged
// here: for them, and only for them, other owners answer in this node's place.
func (d *readDriver) setAside(at int, items []int32) {
	d.groups = grow(d.groups)
	g, n := &d.groups[at], &d.groups[len(d.groups)-1]
	n.set, n.size, n.here, n.fallbacks = g.set, g.size, true, g.fallbacks
	n.next, n.late, n.result, n.wide = 0, time.Time{}, pending, false
	n.targets = append(n.targets[:0], g.targets...)
	n.tally, n.owners = newTally(g.tally.need, g.owners), g.owners
	n.tally.ask(0)
	n.tally.answer(0, false)
	n.short = n.tally.outcome() == failed
	n.items = append(n.items[:0], items...)
	g.items = slices.DeleteFunc(g.items, func(i int32) bool { return slices.Contains(items, i) })
	d.open++
}

// advance asks as many nodes as the group is short of, and notes when it has
// its outcome.
func (d *readDriver) advance(g int, now time.Time) {
	group := &d.groups[g]
	for group.result == pending {
		o := group.tally.outcome()
		switch {
		case o == pending && (group.tally.short() == 0 || !d.ask(g, now)):
			return
		case o == pending:
		case o == failed && !group.wide:
			d.widen(group)
		case o == enough && !d.conclusive(group) && d.more(g, now):
			return
		default:
			group.result = o
			d.open--
		}
	}
}

// nextEvent returns when the driver has to look again without any answer.
func (d *readDriver) nextEvent() time.Time {
	next := d.deadline
	for g := range d.groups {
		group := &d.groups[g]
		if group.result != pending {
			continue
		}
		if !group.late.IsZero() {
			next = earlier(next, group.late)
		}
		if !group.wide && len(group.fallbacks) > 0 {
			next = earlier(next, d.patience())
		}
	}
	return next
}

// patience returns when owners that have not answered are given up for
// fallbacks: with enough time left for these.
func (d *readDriver) patience() time.Time { return d.began.Add(d.deadline.Sub(d.began) / 2) }

// hedge asks a further owner when one is late, and fallbacks when that is no
// use.
func (d *readDriver) hedge(g int, now time.Time) {
	group := &d.groups[g]
	if group.result != pending {
		return
	}
	if !group.wide && len(group.fallbacks) > 0 && !now.Before(d.patience()) {
		d.widen(group)
		for n := group.tally.need - group.tally.acks(); n > 0 && d.ask(g, now); n-- {
		}
	}
	if group.late.IsZero() || now.Before(group.late) {
		return
	}
	group.late = time.Time{}
	if d.ask(g, now) {
		d.c.counters.hedges.Add(1)
	}
}

// resolve fills in the items of a group.
func (d *readDriver) resolve(g *readGroup) {
	if g.tally.outcome() != enough {
		d.c.counters.noQuorum.Add(1)
		err := &NoQuorumError{Op: "read", Need: g.tally.need, Got: g.tally.got()}
		for _, n := range g.items {
			d.items[n].err = err
		}
		return
	}
	same := !slices.ContainsFunc(g.answers, func(l *readLeg) bool { return !l.same })
	for at, n := range g.items {
		it := &d.items[n]
		if it.cell = it.local; it.kept != nil {
			it.cell = version.Merge(it.cell, it.kept)
		}
		if !same {
			for _, l := range g.answers {
				if !l.same {
					it.cell = version.Merge(it.cell, l.got[at].Cell)
				}
			}
		}
		if it.cell == nil && !g.ownersSay() {
			d.c.counters.noQuorum.Add(1)
			it.err = &NoQuorumError{Op: "read", Need: g.tally.need, Unknown: true}
		}
		if !same || it.kept != nil {
			d.repair(g, it, at)
		}
	}
}

// repair finds which owners lack a part of the answer: the others are put into
// the queue of repairs, the local replica is left to the caller. What fallbacks
// keep is not theirs, and is left as it is.
func (d *readDriver) repair(g *readGroup, it *readItem, at int) {
	whole := it.cell.Digest()
	it.behind = g.tally.good&bit(0) != 0 && (g.here || d.check) && it.local.Digest() != whole
	for _, l := range g.answers {
		if !l.owner {
			continue
		}
		held := it.local
		if !l.same && l.got[at].Status != replica.Same {
			held = l.got[at].Cell
		}
		if held.Digest() != whole {
			d.c.repairs.add(l.node, it.key, it.cell, d.began)
		}
	}
}

// leave ends the caller's use of the driver.
func (d *readDriver) leave() {
	d.mu.Lock()
	d.gone = true
	d.mu.Unlock()
	d.release()
}
