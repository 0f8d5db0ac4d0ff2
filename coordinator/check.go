package coordinator

import (
	"context"
	"time"

	"github.com/dynaring/dynaring/replica"
)

// check reads the keys of read-modify-writes at their R before any of them is
// carried out, and merges into the local replica what it lacks. A key that
// cannot be read at R, or brought up to date here, gets an error: nothing is
// then stored for its read-modify-writes. On a stand-in the hints that it keeps
// of a key are merged before any other write too, so that these replace them.
func (d *writeDriver) check(ctx context.Context, v *View) {
	rd, behind := d.checks(v)
	if rd == nil && len(behind) == 0 {
		return
	}
	// Some time is kept for the write: to find no quorum now is a better
	// answer than to be uncertain later.
	now := time.Now()
	deadline := d.deadline.Add(-d.deadline.Sub(now) / 4)
	if rd == nil {
		_ = d.c.catchUp(ctx, behind, now, deadline) // without them the write is a sibling of what they hold
		return
	}
	rd.run(ctx, deadline)
	for n := range rd.items {
		it := &rd.items[n]
		if q, ok := it.err.(*NoQuorumError); ok {
			it.err = &NoQuorumError{Op: "check", Need: q.Need, Got: q.Got, Unknown: q.Unknown}
		}
		d.units[it.tag].err = it.err
		if it.behind {
			behind = append(behind, replica.KeyedCell{Key: cloneKey(it.key), Cell: it.cell})
		}
	}
	if err := d.c.catchUp(ctx, behind, rd.began, deadline); err != nil {
		for n := range rd.items {
			if it := &rd.items[n]; it.behind {
				d.units[it.tag].err = err
			}
		}
	}
	rd.leave()
}

// checks returns a reader of the keys that have to be read first, nil if there
// are none, and the hints that a stand-in's other writes are to replace.
func (d *writeDriver) checks(v *View) (rd *readDriver, kept []replica.KeyedCell) {
	for u := range d.units {
		k, r := &d.set.keys[u], d.units[u].r
		owner := d.groups[k.group].owner
		switch {
		case owner && r <= 1: // this node's own replica is enough
		case r == 0:
			kept = d.c.kept(kept, k.key)
		default:
			if rd == nil {
				rd = d.c.reader()
				rd.check = true
			}
			rd.add(v, v.Ring.Lookup(k.key.Slot), r, owner, k.key, u)
		}
	}
	return rd, kept
}

// kept appends to cells the key's, if this node keeps hints of it that its own
// replica lacks.
func (c *Coordinator) kept(cells []replica.KeyedCell, key replica.Key) []replica.KeyedCell {
	own, err := c.replica.Get(key)
	if err != nil {
		return cells
	}
	held, err := c.replica.Held(key)
	if err != nil || held.Digest() == own.Digest() {
		return cells
	}
	return append(cells, replica.KeyedCell{Key: cloneKey(key), Cell: held})
}

// catchUp merges the cells, which were read from a time on, into the local
// replica and waits until they are there.
func (c *Coordinator) catchUp(ctx context.Context, cells []replica.KeyedCell, read, deadline time.Time) error {
	if len(cells) == 0 {
		return nil
	}
	if time.Since(read) >= replica.OpLifetime {
		return &NoQuorumError{Op: "check", Need: 1} // they may have been dropped everywhere since (law 7)
	}
	done := make(chan error, 1)
	c.replica.Apply(&replica.ApplyBatch{Cells: cells, Done: func(err error) { done <- err }})
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
	case <-ctx.Done():
	}
	return &NoQuorumError{Op: "check", Need: 1}
}
