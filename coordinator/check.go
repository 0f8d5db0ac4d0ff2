package coordinator

import (
	"context"
	"time"

	"github.com/dynaring/dynaring/replica"
)

// check reads the keys of read-modify-writes at their R before any of them is
// carried out, and merges into the local replica what it lacks. A key that
// cannot be read by R owners, or brought up to date here, gets an error:
// nothing is then stored for its read-modify-writes.
func (d *writeDriver) check(ctx context.Context, v *View) {
	c := d.c
	var rd *readDriver
	for u := range d.units {
		if d.units[u].r <= 1 {
			continue // this node's own replica is enough
		}
		if rd == nil {
			rd = c.reader()
		}
		key := d.set.keys[u].key
		rd.add(v, v.Ring.Lookup(key.Slot), d.units[u].r, true, key, u)
	}
	if rd == nil {
		return
	}
	// Some time is kept for the write: to find no quorum now is a better
	// answer than to be uncertain later.
	now := time.Now()
	deadline := d.deadline.Add(-d.deadline.Sub(now) / 4)
	rd.run(ctx, deadline)
	var behind []replica.KeyedCell
	for n := range rd.items {
		it := &rd.items[n]
		if q, ok := it.err.(*NoQuorumError); ok {
			it.err = &NoQuorumError{Op: "check", Need: q.Need, Got: q.Got}
		}
		d.units[it.tag].err = it.err
		if it.behind {
			behind = append(behind, replica.KeyedCell{Key: cloneKey(it.key), Cell: it.cell})
		}
	}
	if err := c.catchUp(ctx, behind, deadline); err != nil {
		for n := range rd.items {
			if it := &rd.items[n]; it.behind {
				d.units[it.tag].err = err
			}
		}
	}
	rd.leave()
}

// catchUp merges the cells into the local replica and waits until they are
// there.
func (c *Coordinator) catchUp(ctx context.Context, cells []replica.KeyedCell, deadline time.Time) error {
	if len(cells) == 0 {
		return nil
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
