package replica

import (
	"bytes"
	"context"
	"fmt"

	"github.com/dynaring/dynaring/storage"
)

// Scrubbed is what Scrub has found of a slot.
type Scrubbed struct {
	Cells       int
	LeavesWrong int // leaves that were not what their cells make them, and are now
	RowsDamaged int // rows that could not be read as cells, and can be now or are gone
}

// maxDamaged bounds the damaged rows that one Scrub removes.
const maxDamaged = 1024

// found is a slot as its rows have it.
type found struct {
	leafSums
	damaged [][]byte // rows
}

type scanner func(ctx context.Context, from, to []byte, limit int, fn func(row, value []byte) (bool, error)) error

// findLeaves makes a slot's leaves from its rows.
func findLeaves(ctx context.Context, scan scanner, slot uint16) (f found, err error) {
	from, to := rowRange(slot, slot)
	err = scan(ctx, from, to, 0, func(row, value []byte) (bool, error) {
		_, cell, err := heldIn(row, value)
		switch {
		case err == nil:
			f.add(row, cell)
		case len(f.damaged) < maxDamaged:
			f.damaged = append(f.damaged, bytes.Clone(row))
		}
		return true, nil
	})
	return f, err
}

// wrong counts the leaves of kept that the rows contradict. A leaf with a
// damaged row is not one of them: it may be what it should be again.
func (f *found) wrong(kept *leafSums) (n int) {
	var excused [LeavesPerSlot]bool
	for _, row := range f.damaged {
		excused[leafOf(hashRow(row))] = true
	}
	for i := range f.hash {
		n += int(count(f.hash[i] != kept.hash[i] && !excused[i]))
	}
	if n == 0 && len(f.damaged) == 0 && f.leafSums != *kept {
		n = 1 // only counted wrong
	}
	return n
}

// Scrub reads the rows of a slot and compares them with the leaves that are
// kept of it, while the slot is in use. Leaves that are wrong are put right.
// Damaged rows are written anew if their cells are cached, else removed, and so
// missing from their leaves, which is how the other owners' cells come to take
// their place. What such a row had of this node's own counters is not known any
// more, so it goes on under its next incarnation before that (law 3).
func (r *Replica) Scrub(ctx context.Context, slot uint16) (Scrubbed, error) {
	slot %= storage.Slots
	kept, f, err := r.lookAt(ctx, slot)
	if err != nil {
		return Scrubbed{}, fmt.Errorf("scrubbing slot %d: %w", slot, err)
	}
	if len(f.damaged) == 0 && f.leafSums == kept {
		return Scrubbed{Cells: int(f.cells)}, nil
	}
	if len(f.damaged) > 0 {
		if _, err := r.store.NextIncarnation(); err != nil {
			return Scrubbed{}, fmt.Errorf("scrubbing slot %d: %w", slot, err)
		}
	}
	var s Scrubbed
	err = r.inLane(slot, func(l *lane) (err error) {
		s, err = l.mend(ctx, slot, len(f.damaged) > 0)
		return err
	})
	if err != nil {
		return Scrubbed{}, fmt.Errorf("mending slot %d: %w", slot, err)
	}
	r.log.Warn("a slot was not what was kept of it", "slot", slot, "leaves", s.LeavesWrong, "damaged rows", s.RowsDamaged)
	return s, nil
}

// lookAt returns a slot's leaves as they are kept and as the rows have them, of
// one moment: that of a snapshot taken in the slot's lane.
func (r *Replica) lookAt(ctx context.Context, slot uint16) (kept leafSums, f found, err error) {
	var moment *storage.Snapshot
	err = r.inLane(slot, func(*lane) (err error) {
		kept = r.leaves.sums(slot)
		moment, err = r.store.Snapshot()
		return err
	})
	if err != nil {
		return kept, f, err
	}
	f, err = findLeaves(ctx, moment.Scan, slot)
	if closed := moment.Close(); err == nil {
		err = closed
	}
	return kept, f, err
}

// mend puts a slot right, in its lane, before any other work of its group. It
// looks again, as what was found may have changed; remove says whether damaged
// rows may go.
func (l *lane) mend(ctx context.Context, slot uint16, remove bool) (s Scrubbed, err error) {
	r := l.r
	f, err := findLeaves(ctx, r.store.Scan, slot)
	if err != nil {
		return s, err
	}
	kept := r.leaves.sums(slot)
	s = Scrubbed{LeavesWrong: f.wrong(&kept)}
	b := r.store.NewBatch()
	if remove {
		s.RowsDamaged = len(f.damaged)
		for _, row := range f.damaged {
			if cell, _, _ := r.cache.get(r.cache.key(row)); cell != nil {
				b.Set(row, cell.Bytes())
				f.add(row, cell)
			} else {
				b.Delete(row)
			}
		}
	}
	s.Cells = int(f.cells)
	c := &l.group.leaves
	c.replace(slot, f.leafSums)
	l.writer.write(c, b)
	if err := settle(r.store.Apply(b, false)); err != nil {
		c.drop()
		return Scrubbed{}, err
	}
	l.writer.stored(c, &r.journal)
	r.cache.forget(storage.RowSlotStart(nil, slot))
	return s, nil
}

// inLane runs fn on the slot's lane, between its groups, and waits for it.
func (r *Replica) inLane(slot uint16, fn func(*lane) error) error {
	done := make(chan error, 1)
	r.push(int(slot)%len(r.lanes), work{ops: 1, visit: func(l *lane, err error) {
		if err == nil {
			err = fn(l)
		}
		done <- err
	}})
	return <-done
}
