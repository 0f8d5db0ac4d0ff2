package replica

import (
	"context"
	"errors"
	"fmt"

	"github.com/dynaring/dynaring/storage"
)

// Scrubbed is what Scrub has found of a slot.
type Scrubbed struct {
	Cells       int
	LeavesWrong int // leaves that were not what their cells make them, and are now
	RowsDamaged int // rows that could not be read as cells
	RowsMended  int // of them, those that can be now
}

// found is a slot as its rows have it.
type found struct {
	leafSums
	damaged []*storage.DamagedRowError
}

type scanner func(ctx context.Context, from, to []byte, limit int, fn storage.Visit) error

// findLeaves makes a slot's leaves from its rows.
func findLeaves(ctx context.Context, scan scanner, slot uint16) (f found, err error) {
	from, to := rowRange(slot, slot)
	err = scan(ctx, from, to, 0, func(row, value []byte, damaged error) (bool, error) {
		_, cell, err := heldIn(row, value, damaged)
		if err == nil {
			f.add(row, cell)
			return true, nil
		}
		var bad *storage.DamagedRowError
		if !errors.As(err, &bad) {
			return false, err
		}
		if len(f.damaged) < maxDamaged {
			f.damaged = append(f.damaged, bad)
		}
		return true, nil
	})
	return f, err
}

// wrong counts the leaves of kept that the rows contradict. A leaf with a
// damaged row is not one of them: it may be what it should be again.
func (f *found) wrong(kept *leafSums) (n int) {
	var excused [LeavesPerSlot]bool
	for _, d := range f.damaged {
		excused[leafOf(hashRow(d.Row))] = true
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
// Damaged rows are written anew if their cells are cached; the others are left
// for Mend, and meanwhile in no leaf: the slot is in step with nobody who holds
// their cells.
func (r *Replica) Scrub(ctx context.Context, slot uint16) (Scrubbed, error) {
	slot %= storage.Slots
	kept, f, err := r.lookAt(ctx, slot)
	if err != nil {
		return Scrubbed{}, fmt.Errorf("scrubbing slot %d: %w", slot, err)
	}
	if len(f.damaged) == 0 && f.leafSums == kept {
		return Scrubbed{Cells: int(f.cells)}, nil
	}
	var s Scrubbed
	err = r.inLane(slot, func(l *lane) (err error) {
		s, err = l.mend(ctx, slot, nil)
		return err
	})
	if err != nil {
		return Scrubbed{}, fmt.Errorf("mending slot %d: %w", slot, err)
	}
	if s.LeavesWrong > 0 {
		r.log.Warn("a slot was not what was kept of it", "slot", slot, "leaves", s.LeavesWrong)
	}
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
