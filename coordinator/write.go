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

// Write carries the operations out on the local replica, in order, sends what
// came of them to the other owners, present and coming, and fills in each
// outcome: stored on W present owners, this node among them or not, or why
// not. Whoever answers later is still listened to in the background.
//
// It returns within the request's bound, or ctx's if that is earlier, and an
// allowance for large values beyond; only while the local replica itself is
// held up, between taking an operation and deciding it, does it wait longer,
// because nobody could say what becomes of the operation.
func (c *Coordinator) Write(ctx context.Context, writes []Write) {
	v := c.views.View()
	d := c.writer()
	d.deadline = c.deadline(ctx, time.Now())
	d.set.reset(len(writes))
	for i := range writes {
		w := &writes[i]
		w.Err = d.add(&v, w, i)
	}
	d.check(ctx, &v)
	if d.fill(writes) {
		c.counters.writes.Add(uint64(len(d.batch.Ops)))
		d.run(ctx)
		for n := range d.batch.Ops {
			w, op := &writes[d.ops[n].write], &d.batch.Ops[n]
			u := &w.Update
			u.Next, u.Delta, u.Dot, u.Number, u.Err = op.Next, op.Delta, op.Dot, op.Number, op.Err
			w.Err = d.outcome(n)
		}
	}
	d.leave()
}

// writeDriver carries out one batch. Between run and Applied it belongs to
// the replica's lanes.
type writeDriver struct {
	driver
	c        *Coordinator
	deadline time.Time
	set      keyset
	places   []place // of the writes that are not refused yet
	ops      []place // of the batch's operations
	units    []unit  // by number in set
	groups   []writeGroup
	batch    replica.UpdateBatch
	cells    []replica.KeyedCell
	legs     []*writeLeg
	buf      []byte

	mu      sync.Mutex
	stage   stage
	refusal error // of the whole batch
	open    int   // groups without an outcome
	overdue bool  // the caller waits for nothing but the stage to change
	gone    bool  // the caller has left
}

// stage is how far the local replica is with the batch.
type stage uint8

const (
	queued  stage = iota // nothing is known yet
	sent                 // applied here, and sent to the others
	settled              // durable here, or known not to be
	refused              // nothing was stored
)

// place is where one operation belongs.
type place struct {
	write int   // the caller's number
	unit  int32 // its key within its group
}

// unit is one key of one group: however many operations a batch has on it,
// one cell carries them to the other owners.
type unit struct {
	cell *version.Cell
	r    int   // the R to check it at first; 0: not to be checked
	err  error // why its checked operations cannot be carried out
}

// writeGroup is the operations of a batch that have the same owners and W.
type writeGroup struct {
	set     int
	targets []string // other owners that can be called: present ones first
	present int      // how many of them are present owners
	absent  []string // owners, present and coming, that cannot be called
	units   []int32
	tally   tally // position 0 is this node, i+1 is targets[i]
	result  outcome
}

func (c *Coordinator) writer() *writeDriver {
	d, _ := c.writers.Get().(*writeDriver)
	if d == nil {
		d = &writeDriver{c: c}
		d.init(func() {
			d.reset()
			c.writers.Put(d)
		})
		d.batch.Applied = d.applied
		d.batch.Durable = d.durable
	}
	d.hold()
	return d
}

// reset lets go of everything that is not the driver's own.
func (d *writeDriver) reset() {
	for i := range d.groups {
		g := &d.groups[i]
		clear(g.targets)
		clear(g.absent)
		g.targets, g.absent, g.units = g.targets[:0], g.absent[:0], g.units[:0]
	}
	clear(d.units)
	clear(d.batch.Ops)
	clear(d.cells)
	d.set.reset(0)
	d.places, d.ops, d.units, d.groups = d.places[:0], d.ops[:0], d.units[:0], d.groups[:0]
	d.batch.Ops, d.cells, d.legs, d.buf = d.batch.Ops[:0], d.cells[:0], d.legs[:0], keepSmall(d.buf)
	d.stage, d.refusal, d.open, d.overdue, d.gone = queued, nil, 0, false, false
}

// add puts a write into the batch, unless it cannot be carried out here and
// now.
func (d *writeDriver) add(v *View, w *Write, i int) error {
	if v.Ring == nil {
		return ErrLoading
	}
	c, u := d.c, &w.Update
	p := v.Ring.Lookup(u.Key.Slot)
	if !slices.Contains(p.Owners, c.opts.Self) {
		return ErrNotOwner
	}
	need := quorum(w.W, c.opts.W, p.Width)
	n := d.group(v, p, need)
	if g := &d.groups[n]; g.tally.outcome() == failed {
		c.counters.noQuorum.Add(1)
		return &NoQuorumError{Op: "write", Need: need, Got: 1 + g.present}
	}
	at, isNew := d.set.add(int32(n), u.Key)
	if isNew {
		d.units = append(d.units, unit{})
		d.groups[n].units = append(d.groups[n].units, at)
	}
	if w.CheckFirst {
		d.units[at].r = max(d.units[at].r, quorum(w.R, c.opts.R, p.Width))
	}
	d.places = append(d.places, place{i, at})
	return nil
}

// group returns the number of the group for writes to p at W = need.
func (d *writeDriver) group(v *View, p *ring.Preference, need int) int {
	for i := range d.groups {
		if g := &d.groups[i]; g.set == p.Set && g.tally.need == need {
			return i
		}
	}
	c := d.c
	d.groups = grow(d.groups)
	g := &d.groups[len(d.groups)-1]
	g.set, g.result = p.Set, pending
	others := c.others(v.Ring, p)
	g.targets = c.reachable(g.targets, v, others)
	g.present = len(g.targets)
	for _, o := range others {
		if !slices.Contains(g.targets, o) {
			g.absent = append(g.absent, o)
		}
	}
	for _, o := range p.Coming {
		switch {
		case o == c.opts.Self:
		case c.peers.Up(o) && len(g.targets) < maxOwners-1:
			g.targets = append(g.targets, o)
		default:
			g.absent = append(g.absent, o)
		}
	}
	g.tally = newTally(need, bit(1+g.present)-1)
	g.tally.ask(0)
	return len(d.groups) - 1
}

// fill makes the batch of what is left of the writes, and reports whether
// there is anything.
func (d *writeDriver) fill(writes []Write) bool {
	for _, pl := range d.places {
		w := &writes[pl.write]
		if w.CheckFirst && d.units[pl.unit].err != nil {
			w.Err = d.units[pl.unit].err
			continue
		}
		d.ops = append(d.ops, pl)
		d.batch.Ops = append(d.batch.Ops, w.Update)
	}
	return len(d.ops) > 0
}

// run hands the batch to the local replica and waits until every group has
// its outcome or the time is over.
func (d *writeDriver) run(ctx context.Context) {
	d.open = len(d.groups)
	d.hold() // until Durable
	d.c.replica.Update(&d.batch)
	for {
		d.mu.Lock()
		late := !time.Now().Before(d.deadline) || ctx.Err() != nil
		decided, until := d.stage != queued, d.deadline
		done := decided && (d.open == 0 || late)
		d.overdue = late && !decided
		d.mu.Unlock()
		switch {
		case done:
			return
		case late:
			d.sleep(ctx, time.Time{}) // the operations are not this goroutine's yet
		default:
			d.sleep(ctx, until)
		}
	}
}

// outcome returns what became of the batch's n-th operation.
func (d *writeDriver) outcome(n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	op := &d.batch.Ops[n]
	group := &d.groups[d.set.keys[d.ops[n].unit].group]
	switch {
	case d.stage == refused:
		return d.refusal
	case op.Err != nil:
		return op.Err
	case op.Delta == nil || group.result == enough:
		return nil
	}
	d.c.counters.uncertain.Add(1)
	return &UncertainError{K: group.tally.acks(), W: group.tally.need, Dot: op.Dot}
}

// leave ends the caller's use of the driver.
func (d *writeDriver) leave() {
	d.mu.Lock()
	d.gone = true
	d.mu.Unlock()
	d.release()
}
