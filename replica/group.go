package replica

import (
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// group is what a lane works on at once: the cells that its work has touched,
// each as the operations so far leave it. The lane reuses it.
type group struct {
	r       *Replica
	actor   version.Actor // that the group mints under
	pending []pending
	index   map[uint64]int32  // a row's hash, or the next free one after it → pending
	floors  map[uint16]uint64 // slots whose floor has to rise with this group
	leaves  changes           // what the dirty cells make of the slots' leaves
	journal *writer           // the lane's
	dirty   int               // pending cells that differ from the store's
	updated bool              // an UpdateBatch has written
}

type pending struct {
	key   rowKey
	slot  uint16
	cell  *version.Cell
	was   *version.Cell // what the store has
	dirty bool          // the store has to be told
	learn bool          // the cache has to be told
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
	g.dirty, g.updated = 0, false
}

// load returns the row's pending cell, opening its gate when it is touched
// first. The pointer is good until the next load.
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
	if !ok {
		var err error
		if cell, err = g.r.read(key.row); err != nil {
			g.r.cache.shut(key, nil, false)
			return nil, err
		}
	}
	g.index[at] = int32(len(g.pending))
	g.pending = append(g.pending, pending{key: key, slot: slot, cell: cell, was: cell, learn: !ok})
	return &g.pending[len(g.pending)-1], nil
}

// write makes next the pending cell, nil for one that is dropped.
//
// The floor law: where a cell stops showing how far this actor's counters have
// come (a clock was cut, or the version that showed it was replaced), the
// slot's floor rises to it in the same batch, so that no later dot or count of
// increments can begin below (law 3).
func (g *group) write(p *pending, next *version.Cell) {
	if high := p.cell.Highest(g.actor); high > next.Highest(g.actor) {
		g.floors[p.slot] = max(g.floors[p.slot], high)
	}
	p.cell = next
	if !p.dirty {
		p.dirty, p.learn = true, true
		g.dirty++
	}
}

// apply merges one cell from elsewhere.
func (g *group) apply(key rowKey, kc *KeyedCell) error {
	p, err := g.load(key, kc.Key.Slot)
	if err != nil {
		return err
	}
	if merged := version.Merge(p.cell, kc.Cell); merged != p.cell {
		g.write(p, merged)
	}
	return nil
}

// update carries out one operation and fills in its outcome.
func (g *group) update(u *Update, now int64) {
	u.Next, u.Delta, u.Dot, u.Number, u.Err = nil, nil, version.Dot{}, 0, nil
	p, err := g.load(u.row, u.Key.Slot)
	if err != nil {
		u.Err = err
		return
	}
	change := u.Change
	if u.Decide != nil {
		if change, u.Err = u.Decide(p.cell, now); u.Err != nil {
			return
		}
	}
	u.Next = p.cell
	if change.Kind == None {
		return
	}
	next, err := g.mint(p, u, change, now)
	if err != nil {
		u.Next, u.Delta, u.Dot, u.Number, u.Err = nil, nil, version.Dot{}, 0, err
		return
	}
	u.Next = next
	g.write(p, next)
	g.updated = true
}

func (g *group) mint(p *pending, u *Update, change Change, now int64) (next *version.Cell, err error) {
	r := g.r
	m := version.Mint{
		Actor:       g.actor,
		Floor:       max(r.store.Floor(p.slot), g.floors[p.slot]),
		Time:        r.clock.Now(),
		Now:         now,
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
		p := &g.pending[i]
		switch {
		case !p.dirty:
			continue
		case p.cell == nil:
			b.Delete(p.key.row)
		default:
			b.Set(p.key.row, p.cell.Bytes())
		}
		g.leaves.move(p.key.row, p.slot, p.was, p.cell)
	}
	g.journal.write(&g.leaves, b)
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
		g.r.cache.shut(p.key, p.cell, stored && p.learn)
	}
}
