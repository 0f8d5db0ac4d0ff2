package replica

import (
	"slices"
	"time"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// group is what a lane works on at once: the cells that its work has touched,
// each as the operations so far leave it. The lane reuses it.
type group struct {
	r       *Replica
	actor   version.Actor // mints
	now     int64         // Unix ms
	uptime  time.Duration // the replica's
	pending []pending
	index   map[uint64]int32  // a row's hash, or the next free one after it → pending
	floors  map[uint16]uint64 // slots whose floor has to rise with this group
	leaves  changes           // what the dirty cells make of the slots' leaves
	journal *writer           // the lane's
	dirty   int               // pending cells that differ from the store's
	updated bool              // an UpdateBatch has written
	marked  bool              // which owners are marked full has changed
}

type pending struct {
	key    rowKey
	slot   uint16
	stored *version.Cell // as the store has it
	cell   *version.Cell
	owner  *hintOwner // whose hint it is; nil: the replica's own
	dirty  bool       // the store has to be told
	learn  bool       // the cache has to be told
	lost   bool       // the row is damaged, and nobody holds the cell: it is written as an absent one
}

// begin takes the actor anew: its incarnation may have been raised.
func (g *group) begin() {
	g.actor, g.now, g.uptime = g.r.store.Actor(), g.r.now(), g.r.Uptime()
}

func (g *group) reset() {
	if len(g.pending) > 2*maxGroupOps {
		// One enormous batch: clearing its table for every group after it
		// would cost more than a new one.
		g.pending, g.index = nil, make(map[uint64]int32)
	}
	clear(g.pending)
	g.pending = g.pending[:0]
	clear(g.index)
	clear(g.floors)
	g.dirty, g.updated, g.marked = 0, false, false
}

// load returns the row's pending cell, opening its gate when it is touched
// first. A damaged row is an error, but for one whose cell is known to be lost. The pointer is good until the next load.
func (g *group) load(key rowKey, slot uint16) (*pending, error) {
	at := key.hash
	for {
		i, ok := g.index[at]
		if !ok {
			break
		}
		if p := &g.pending[i]; string(p.key.row) == string(key.row) {
			return p, nil
		}
		at++
	}
	cell, ok := g.r.cache.open(key)
	lost := false
	if !ok {
		var err error
		cell, err = g.r.read(key.row)
		if lost = err != nil && isDamaged(err) && g.r.damage.isLost(key.row); err != nil && !lost {
			g.r.cache.shut(key, nil, false)
			return nil, err
		}
	}
	g.index[at] = int32(len(g.pending))
	g.pending = append(g.pending, pending{key: key, slot: slot, stored: cell, cell: cell, learn: !ok && !lost, lost: lost})
	return &g.pending[len(g.pending)-1], nil
}

// write makes next the pending cell, nil that there is none.
//
// The floor law: where a cell of the replica's own stops showing how far this
// actor's counters have come (a clock was cut, or the version that showed it
// was replaced, or it is dropped), the slot's floor rises to it in the same
// batch, so that no later dot or count of increments can begin below (law 3).
func (g *group) write(p *pending, next *version.Cell) {
	if p.owner == nil {
		if high := p.cell.Highest(g.actor); high > next.Highest(g.actor) {
			g.floors[p.slot] = max(g.floors[p.slot], high)
		}
	} else if !p.dirty {
		p.owner.hold(p.slot)
	}
	p.cell = next
	if !p.dirty {
		p.dirty, p.learn = true, true
		g.dirty++
	}
}

// merge merges one cell from elsewhere into the replica's own, or into the hint
// kept for o.
func (g *group) merge(o *hintOwner, key rowKey, kc *KeyedCell) error {
	p, err := g.load(key, kc.Key.Slot)
	if err != nil {
		return err
	}
	if o != nil {
		p.owner = o
		g.r.hints.touch(p.slot, g.uptime)
	}
	if merged := version.Merge(p.cell, kc.Cell); merged != p.cell {
		g.write(p, merged)
	}
	return nil
}

// drop makes the pending cell absent here, though others may hold it.
//
// Totals are cumulative: a count that began anew, even above the floor, would
// win over the old one wherever that is still held, and take its sum away. So
// before increments of this node's actor go, it goes on under another.
func (g *group) drop(p *pending) error {
	if p.owner == nil && counted(p.cell, g.actor) {
		next, err := g.r.store.NextIncarnation()
		if err != nil {
			return err
		}
		g.actor = next
	}
	g.write(p, nil)
	return nil
}

// counted reports whether the cell shows increments of a.
func counted(c *version.Cell, a version.Actor) bool {
	if countOf(c, a) > 0 {
		return true
	}
	return c != nil && slices.ContainsFunc(c.Versions, func(v version.Version) bool {
		return slices.ContainsFunc(v.Seen, func(s version.Seen) bool { return s.Actor == a })
	})
}

// update carries out one operation and fills in its outcome.
func (g *group) update(u *Update) {
	u.Next, u.Delta, u.Dot, u.Number, u.Err = nil, nil, version.Dot{}, 0, nil
	p, err := g.load(u.row, u.Key.Slot)
	if err != nil {
		u.Err = err
		return
	}
	change := u.Change
	if u.Decide != nil {
		if change, u.Err = u.Decide(p.cell, g.now); u.Err != nil {
			return
		}
	}
	u.Next = p.cell
	if change.Kind == None {
		return
	}
	next, err := g.mint(p, u, change)
	if err != nil {
		u.Next, u.Delta, u.Dot, u.Number, u.Err = nil, nil, version.Dot{}, 0, err
		return
	}
	u.Next = next
	g.write(p, next)
	g.updated = true
}

func (g *group) mint(p *pending, u *Update, change Change) (next *version.Cell, err error) {
	r := g.r
	m := version.Mint{
		Actor:       g.actor,
		Floor:       max(r.store.Floor(p.slot), g.floors[p.slot]),
		Time:        r.clock.Now(),
		Now:         g.now,
		ClockMax:    r.clockMax,
		MaxSiblings: r.maxSiblings,
	}
	switch change.Kind {
	case Put:
		next, u.Delta, u.Dot, err = p.cell.Put(m, version.Write{Value: change.Value, Expiry: change.Expiry, Context: change.Context})
	case Delete:
		next, u.Delta, u.Dot, err = p.cell.Put(m, version.Write{Tombstone: true, Context: change.Context})
	case Incr:
		next, u.Delta, u.Number, err = p.cell.Increment(m, change.By)
		u.Dot = version.Dot{Actor: g.actor, Counter: countOf(next, g.actor)}
	default:
		err = ErrBadChange
	}
	return next, err
}

// countOf returns how many increments of a the cell shows.
func countOf(c *version.Cell, a version.Actor) uint64 {
	if c != nil {
		for _, t := range c.Totals {
			if t.Actor == a {
				return t.Count
			}
		}
	}
	return 0
}

// store hands what is dirty to the store as one batch, with what it makes of
// the leaves; these are seen once the store has it.
func (g *group) store(sync bool) (storage.Commit, error) {
	b := g.r.store.NewBatch()
	for i := range g.pending {
		switch p := &g.pending[i]; {
		case !p.dirty:
			continue
		case p.cell == nil:
			b.Delete(p.key.row)
		default:
			b.Set(p.key.row, p.cell.Bytes())
		}
		if p := &g.pending[i]; p.owner == nil {
			g.leaves.move(p.key.row, p.slot, p.stored, p.cell)
		}
	}
	g.journal.write(&g.leaves, b)
	if g.marked {
		b.SetMeta(metaFull, g.r.hints.marks())
	}
	for slot, floor := range g.floors {
		b.SetFloor(slot, floor)
	}
	c, err := g.r.store.Apply(b, sync)
	if err == nil {
		g.journal.stored(&g.leaves, &g.r.journal)
	}
	g.leaves.drop() // what was refused
	return c, err
}

// shut closes the gates of all rows: stored says that the pending cells are
// what the store now holds.
func (g *group) shut(stored bool) {
	for i := range g.pending {
		p := &g.pending[i]
		if p.owner != nil && p.dirty {
			g.settle(p, stored)
		}
		if p.lost && p.dirty && stored {
			g.r.damage.forget(string(p.key.row))
		}
		g.r.cache.shut(p.key, p.cell, stored && p.learn)
	}
}
