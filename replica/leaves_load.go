package replica

import (
	"context"
	"errors"
	"fmt"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// loadLeaves fills the leaves from the store: from their rows and the journals
// or, where none are kept yet or they are damaged, from the cells.
func (r *Replica) loadLeaves(ctx context.Context) error {
	rows, bad := r.readLeaves(ctx)
	if bad != nil && !errors.Is(bad, errLeaves) {
		return bad
	}
	next, err := r.replay(ctx)
	if err != nil && !errors.Is(err, errLeaves) {
		return err
	}
	if bad = errors.Join(bad, err); bad != nil {
		r.log.Info("the hashes of slots are built from their cells", "because", bad)
		if rows > 0 || next > 0 { // what they said is void
			for slot := range uint16(storage.Slots) {
				r.leaves.set(slot, &leafSums{})
			}
		}
		if err := r.buildLeaves(ctx); err != nil {
			return err
		}
	}
	r.journal.marked.Store(bad == nil)
	for i, l := range r.lanes {
		l.writer.lane, l.writer.next = uint16(i), next
		l.writer.published.Store(next)
	}
	if bad != nil {
		if err := r.checkpoint(); err != nil {
			r.log.Warn("the hashes of slots are not stored yet", "err", err) // keepLeaves tries again
		}
	}
	return nil
}

// readLeaves reads the rows of leaves, and says how many. It answers errLeaves
// where they have to be built.
func (r *Replica) readLeaves(ctx context.Context) (rows int, err error) {
	from, to := storage.LeavesRows()
	marked := false
	err = r.store.Scan(ctx, from, to, 0, func(row, value []byte, _ error) (bool, error) {
		slot, mark, err := storage.ParseLeavesRow(row)
		switch {
		case err != nil:
			return false, fmt.Errorf("%w: %w", errLeaves, err)
		case mark:
			marked = len(value) == 1 && value[0] == leavesFormat
			return marked, nil
		case !marked:
			return false, nil
		}
		sums, err := decodeSums(value)
		if err == nil {
			r.leaves.set(slot, &sums)
			rows++
		}
		return true, err
	})
	if err == nil && !marked {
		err = fmt.Errorf("%w: none are kept", errLeaves)
	}
	return rows, err
}

// replayed says of every slot how new what was replayed of it is: 1 + the
// sequence number of the leafEntry, 0 for none.
type replayed [storage.Slots]struct {
	counts uint64
	hash   [LeavesPerSlot]uint64
}

// replay puts the journals' entries over the rows. It returns a sequence number
// beyond all of them, also when it answers errLeaves. Those of one slot may lie
// in the journals of several lanes, if there were fewer or more of them once:
// every life of the replica begins beyond the numbers that it has found, so the
// highest is the latest.
func (r *Replica) replay(ctx context.Context) (next uint64, err error) {
	var seen *replayed
	var bad error
	from, to := storage.JournalRows()
	err = r.store.Scan(ctx, from, to, 0, func(row, value []byte, _ error) (bool, error) {
		_, seq, err := storage.ParseJournalRow(row)
		if err == nil {
			next = max(next, seq+1)
			r.journal.bytes.Add(int64(len(value)))
			if seen == nil {
				seen = new(replayed)
			}
			err = decodeEntries(value, func(e leafEntry) { r.replayEntry(seen, e, seq+1) })
		}
		if err != nil && bad == nil {
			bad = fmt.Errorf("%w: %w", errLeaves, err)
		}
		return true, nil
	})
	if err == nil {
		err = bad
	}
	return next, err
}

func (r *Replica) replayEntry(seen *replayed, e leafEntry, seq uint64) {
	s, last := &r.leaves.slots[e.slot], &seen[e.slot]
	s.unsaved.Store(true)
	if seq > last.hash[e.leaf] {
		last.hash[e.leaf] = seq
		r.leaves.hash[e.slot][e.leaf].Store(e.hash)
	}
	if e.counts && seq > last.counts {
		last.counts = seq
		s.cells.Store(e.cells)
		s.mortal.Store(e.mortal)
	}
}

// buildLeaves makes leaves that are empty from the cells. Rows that are damaged
// are in none until they are mended.
func (r *Replica) buildLeaves(ctx context.Context) error {
	from, to := rowRange(0, storage.Slots-1)
	var sums leafSums
	at := uint16(0)
	err := r.store.Scan(ctx, from, to, 0, func(row, value []byte, damaged error) (bool, error) {
		slot, cell, err := heldIn(row, value, damaged)
		if err != nil {
			r.damage.note(err)
			return true, nil
		}
		if slot != at {
			r.leaves.set(at, &sums)
			at, sums = slot, leafSums{}
		}
		sums.add(row, cell)
		return true, nil
	})
	r.leaves.set(at, &sums)
	return err
}

// heldIn returns the cell that a row holds, never nil without an error. The
// cell is only lent, as the row is.
func heldIn(row, value []byte, damaged error) (slot uint16, cell *version.Cell, err error) {
	slot, _, _, err = storage.ParseRow(row)
	if err == nil && slot >= storage.Slots {
		err = storage.ErrBadRow
	}
	if err != nil {
		return 0, nil, storage.DamagedRow(row, len(value), err.Error())
	}
	cell, err = decodeRow(row, value, damaged)
	return slot, cell, err
}
