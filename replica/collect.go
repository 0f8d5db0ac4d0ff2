package replica

import (
	"bytes"
	"slices"
	"time"

	"github.com/dynaring/dynaring/storage/version"
)

// This file is the batches that drop cells, or prepare it. Like all writing
// they go through the lanes.

// ClockMargin is for how long a cell has to have been dead before it may be
// collected: nodes whose clocks are apart by less agree that it is.
const ClockMargin = 10 * time.Second

func (b *ApplyBatch) slot(n int) uint16 { return b.Cells[n].Key.Slot }

func (b *ApplyBatch) run(g *group, n int) error {
	if !b.Read.IsZero() && g.r.leaves.began.Add(g.uptime).Sub(b.Read) > OpLifetime || g.stale(b.sent) {
		return ErrStale
	}
	return g.merge(b.owner, b.keys[n], &b.Cells[n])
}

// stale is Stale of what has waited until now, in queues that what asks about it
// may have overtaken; 0: it was not sent.
func (g *group) stale(sent version.Timestamp) bool {
	return sent != 0 && tooOld(sent, max(g.now, g.r.clock.Last().Millis()))
}

func (b *ApplyBatch) end(err error) {
	if b.Done != nil {
		b.Done(err)
	}
}

// Drop queues b, as Apply does.
func (r *Replica) Drop(b *DropBatch) {
	b.owner = nil
	b.count.Store(0)
	if b.For != "" {
		if b.owner = r.hints.owner(b.For); b.owner == nil {
			b.end(nil) // there are none
			return
		}
	}
	bytes, cold := r.place(&b.places, b.owner, len(b.Cells), func(n int) *Key { return &b.Cells[n].Key })
	r.submit(work{task: b, ops: len(b.Cells), bytes: bytes}, cold, b.keys)
}

func (b *DropBatch) slot(n int) uint16 { return b.Cells[n].Key.Slot }

func (b *DropBatch) run(g *group, n int) error {
	kc := &b.Cells[n]
	p, err := g.load(b.keys[n], kc.Key.Slot)
	if err != nil {
		return err
	}
	p.owner = b.owner
	g.r.hints.touch(p.slot, g.uptime) // a copy may be on its way to the owners still
	if p.cell == nil || !bytes.Equal(p.cell.Bytes(), kc.Cell.Bytes()) {
		return nil
	}
	if err := g.drop(p); err != nil {
		return err
	}
	b.count.Add(1)
	return nil
}

func (b *DropBatch) end(err error) {
	b.Dropped = int(b.count.Load())
	if b.Done != nil {
		b.Done(err)
	}
}

// dead reports whether the cell has been dead for ClockMargin at the Unix time
// now, in ms: no version is alive, and no increment has survived.
func dead(c *version.Cell, now int64) bool {
	return len(c.Siblings(now-ClockMargin.Milliseconds())) == 0
}

// Inspect queues b, as Apply does.
func (r *Replica) Inspect(b *InspectBatch) {
	w, cold := r.prepareInspect(b)
	r.submit(w, cold, b.keys)
}

func (r *Replica) prepareInspect(b *InspectBatch) (w work, cold bool) {
	b.Found = make([]Inspected, len(b.Asks))
	bytes, cold := r.place(&b.places, nil, len(b.Asks), func(n int) *Key { return &b.Asks[n].Key })
	return work{task: b, ops: len(b.Asks), bytes: bytes}, cold
}

func (b *InspectBatch) slot(n int) uint16 { return b.Asks[n].Key.Slot }

func (b *InspectBatch) run(g *group, n int) error {
	k := &b.Asks[n].Key
	p, err := g.load(b.keys[n], k.Slot)
	if err != nil {
		return err
	}
	b.Found[n] = Inspected{
		Digest: p.cell.Digest(), Dead: dead(p.cell, g.now), Recent: g.r.hints.recent(k.Slot, g.uptime),
	}
	b.Found[n].Hinted, err = g.hinted(k)
	return err
}

func (b *InspectBatch) end(err error) { b.Done(err) }

// hinted reports whether k is kept for any owner.
func (g *group) hinted(k *Key) (bool, error) {
	for _, o := range g.r.hints.all() {
		if !o.has(k.Slot) {
			continue
		}
		p, err := g.load(g.r.cache.key(o.appendRow(nil, k)), k.Slot)
		if err != nil {
			return false, err
		}
		if p.owner = o; p.cell != nil {
			return true, nil
		}
	}
	return false, nil
}

// Collect queues b, as Apply does.
func (r *Replica) Collect(b *CollectBatch) {
	w, cold := r.prepareCollect(b)
	r.submit(w, cold, b.keys)
}

func (r *Replica) prepareCollect(b *CollectBatch) (w work, cold bool) {
	b.Collected = make([]bool, len(b.Asks))
	bytes, cold := r.place(&b.places, nil, len(b.Asks), func(n int) *Key { return &b.Asks[n].Key })
	return work{task: b, ops: len(b.Asks), bytes: bytes}, cold
}

func (b *CollectBatch) slot(n int) uint16 { return b.Asks[n].Key.Slot }

func (b *CollectBatch) run(g *group, n int) error {
	a := &b.Asks[n]
	p, err := g.load(b.keys[n], a.Key.Slot)
	if err != nil {
		return err
	}
	switch {
	case p.cell == nil:
	case p.cell.Digest() != a.Digest || !dead(p.cell, g.now):
		return nil
	default:
		// Every owner drops it: increments begin anew, above the floor.
		if expired(p.cell) {
			b.Expired.Add(1)
		}
		g.write(p, nil)
	}
	b.Collected[n] = true
	return nil
}

// expired reports whether a dead cell died of its age.
func expired(c *version.Cell) bool {
	return slices.ContainsFunc(c.Versions, func(v version.Version) bool { return v.Flags&version.Tombstone == 0 })
}

func (b *CollectBatch) end(err error) { b.Done(err) }
