package coordinator

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// Write carries the operations out on the local replica, in order, sends what
// came of them to the other owners, present and coming, and fills in each
// outcome: stored on W nodes, this one among them or not, or why not. Owners
// that are down, or late, or fail, are covered by fallbacks, each with a hint
// for one of them; a fallback's copy counts as an owner's. Whoever answers later
// is still listened to in the background, and covered if need be.
//
// A node that is no present owner carries a write out only as a stand-in: where
// it can reach none of them, or was told to by who passed it on.
//
// Write returns within the request's bound, or ctx's if that is earlier, and an
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
			if w.Err != nil && refusedHere(w.Err) {
				c.passOver("", w.Err)
			}
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
	look     time.Duration // no owner is late before; 0: nobody could cover it
	born     time.Time     // when the batch was applied here

	mu      sync.Mutex
	legs    []*writeLeg
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

// writeGroup is the operations of a batch that have the same owners and W, and,
// where some owner is missing, the same fallbacks.
type writeGroup struct {
	set       int
	owner     bool     // this node is a present owner; else it stands in
	targets   []string // other owners that can be called: present ones first
	present   int      // how many of them are present owners
	missing   []string // those that fallbacks have to cover at once
	lost      int      // coming owners that cannot be called
	fallbacks []string
	waits     []time.Duration // by position: when this node and the targets are late; none: nobody could cover them
	got       int             // nodes that can be reached, where they are too few
	units     []int32

	// What is sent: frames, each up to one of ends, as KindApply has them.
	body []byte
	ends []int

	tally   tally     // position 0 is this node, i+1 is targets[i], then come fallbacks
	places  int       // positions that are taken
	hopes   uint64    // owners, or the one that stands in, whose copy may come without a cover
	next    int       // fallback to try next
	reserve []reserve // fallbacks that are asked only where it cannot be helped
	self    *writeLeg // of this node's own copy, where it can be covered
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
		clear(g.missing)
		g.targets, g.missing, g.fallbacks, g.units = g.targets[:0], g.missing[:0], nil, g.units[:0]
		g.body, g.ends, g.reserve, g.self = keepSmall(g.body), g.ends[:0], nil, nil
	}
	clear(d.units)
	clear(d.batch.Ops)
	clear(d.cells)
	d.set.reset(0)
	d.places, d.ops, d.units, d.groups = d.places[:0], d.ops[:0], d.units[:0], d.groups[:0]
	d.batch.Ops, d.cells, d.legs = d.batch.Ops[:0], d.cells[:0], d.legs[:0]
	d.look, d.stage, d.refusal, d.open, d.overdue, d.gone = 0, queued, nil, 0, false, false
}

// add puts a write into the batch, unless it cannot be carried out here and
// now.
func (d *writeDriver) add(v *View, w *Write, i int) error {
	if v.Ring == nil {
		return ErrLoading
	}
	c, u := d.c, &w.Update
	p := v.Ring.Lookup(u.Key.Slot)
	owner := slices.Contains(p.Owners, c.opts.Self)
	if !owner && !c.standsIn(v, p, w.StandIn) {
		return ErrNotOwner
	}
	need := quorum(w.W, c.opts.W, p.Width)
	n := d.group(v, p, need, owner)
	if g := &d.groups[n]; g.got > 0 {
		c.counters.noQuorum.Add(1)
		return &NoQuorumError{Op: "write", Need: need, Got: g.got}
	}
	if !owner {
		c.counters.standIns.Add(1)
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
func (d *writeDriver) group(v *View, p *ring.Preference, need int, owner bool) int {
	for i := range d.groups {
		g := &d.groups[i]
		if g.set == p.Set && g.tally.need == need && (g.whole() || slices.Equal(g.fallbacks, p.Fallbacks)) {
			return i
		}
	}
	c := d.c
	d.groups = grow(d.groups)
	g := &d.groups[len(d.groups)-1]
	g.set, g.owner, g.fallbacks, g.result = p.Set, owner, p.Fallbacks, pending
	g.next, g.lost, g.got = 0, 0, 0
	others := c.others(v.Ring, p)
	g.targets = c.reachable(g.targets, v, others)
	g.present = len(g.targets)
	for _, o := range others {
		if !slices.Contains(g.targets, o) {
			g.missing = append(g.missing, o)
		}
	}
	for _, o := range p.Coming {
		switch {
		case o == c.opts.Self:
		case c.peers.Up(o) && len(g.targets) < maxOwners-1:
			g.targets = append(g.targets, o)
		default:
			g.lost++
		}
	}
	// An owner that is coming again is among those that W is capped by: where
	// it takes more than the others, a fallback makes up for it.
	for i := 0; i < need-len(p.Owners) && i < len(p.Coming); i++ {
		g.missing = append(g.missing, p.Coming[i])
	}
	d.count(g, need)
	return len(d.groups) - 1
}

// count makes a group's tally, and notes whether too few nodes can be reached.
func (d *writeDriver) count(g *writeGroup, need int) {
	c := d.c
	g.tally = newTally(need, bit(1+g.present)-1)
	if c.replica.SyncsForAll() {
		g.tally.must = bit(0)
	}
	g.tally.ask(0)
	g.hopes, g.places = g.tally.voters, 1+len(g.targets)
	if g.waits = g.waits[:0]; len(g.fallbacks) > 0 {
		g.waits = c.late.afterEach(g.waits, replica.KindApply, "")
		g.waits = c.late.afterEach(g.waits, replica.KindApply, g.targets...)
		if late := slices.Min(g.waits); d.look == 0 || late < d.look {
			d.look = late
		}
	}
	have := 1 + g.present
	for i := 0; have < need && i < len(g.fallbacks); i++ {
		if n := g.fallbacks[i]; n != c.opts.Self && c.peers.Up(n) {
			have++
		}
	}
	if have < need {
		g.got = have
	}
}

// whole reports whether no owner was missing from the start: which fallback is
// next is then of no matter yet.
func (g *writeGroup) whole() bool { return g.owner && len(g.missing) == 0 }

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
// its outcome or the time is over. Meanwhile it has those covered who are late.
func (d *writeDriver) run(ctx context.Context) {
	began := time.Now()
	d.open = len(d.groups)
	d.hold() // until Durable
	d.c.replica.Update(&d.batch)
	for {
		d.mu.Lock()
		now := time.Now()
		late := !now.Before(d.deadline) || ctx.Err() != nil
		decided, next := d.stage != queued, d.deadline
		done := decided && (d.open == 0 || late)
		d.overdue = late && !decided
		var covers []*writeLeg
		switch {
		case late || d.look == 0:
		case decided:
			covers, next = d.coverLate(now)
		default:
			next = earlier(next, now.Add(d.look))
		}
		d.mu.Unlock()
		for _, l := range covers {
			d.send(l, now)
		}
		switch {
		case done:
			if late {
				d.blame()
			}
			return
		case len(covers) > 0: // they have their own time
		case late:
			if now.Sub(began) >= fairWait {
				d.c.passOver("", errOverdue)
			}
			d.sleep(ctx, time.Time{}) // the operations are not this goroutine's yet
		default:
			d.sleep(ctx, next)
		}
	}
}

// blame has this node pass itself over for a while if its own disk is what the
// caller has waited for in vain.
func (d *writeDriver) blame() {
	d.mu.Lock()
	own := d.stage == sent && d.open > 0 && time.Since(d.born) >= fairWait
	d.mu.Unlock()
	if own {
		d.c.passOver("", errSlowDisk)
	}
}

var (
	errOverdue  = errors.New("the local replica does not get to it")
	errSlowDisk = errors.New("the disk does not answer in time")
)

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
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
