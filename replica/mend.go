package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// This file is what becomes of damaged rows.

// Remedy is what the other owners of a slot know of cells whose rows are damaged
// here.
type Remedy struct {
	Slot  uint16
	Cells []KeyedCell // what they hold, merged
	Lost  []Key       // what none of them holds, and all have answered
	Read  time.Time   // when the first of them was asked
}

// Mend puts cells in the place of rows that are still damaged, and marks those
// that nobody holds: from then on writes, and they alone, take the cell as
// absent. What was read too long ago is refused with ErrStale. It returns how
// many cells it has put in place, slots that failed left out.
//
// What a damaged row had of this node's own counters is not known any more, so
// the node goes on under its next incarnation before that (law 3). That covers
// its increments too: totals begin anew under the new name (law 9).
func (r *Replica) Mend(ctx context.Context, remedies []Remedy) (mended int, err error) {
	if _, err := r.store.NextIncarnation(); err != nil {
		return 0, fmt.Errorf("mending damaged rows: %w", err)
	}
	var failed []error
	for i := range remedies {
		n, err := r.mendSlot(ctx, &remedies[i])
		if mended += n; err != nil {
			failed = append(failed, fmt.Errorf("mending slot %d: %w", remedies[i].Slot, err))
		}
	}
	return mended, errors.Join(failed...)
}

func (r *Replica) mendSlot(ctx context.Context, m *Remedy) (mended int, err error) {
	cells := make(map[string]*version.Cell, len(m.Cells))
	for i := range m.Cells {
		k := &m.Cells[i].Key
		cells[string(storage.AppendRow(nil, k.Slot, k.Key, k.Field))] = m.Cells[i].Cell
	}
	err = r.inLane(m.Slot, func(l *lane) error {
		if r.leaves.began.Add(r.Uptime()).Sub(m.Read) > OpLifetime {
			return ErrStale // they may have been dropped everywhere since (law 7)
		}
		// In the lane: work after this finds the new incarnation and the mark.
		for i := range m.Lost {
			k := &m.Lost[i]
			r.damage.lose(storage.AppendRow(nil, k.Slot, k.Key, k.Field))
		}
		s, err := l.mend(ctx, m.Slot, cells)
		mended = s.RowsMended
		return err
	})
	return mended, err
}

// mend puts a slot right, in its lane, before any other work of its group. It
// looks again, as what was found may have changed. Damaged rows are written anew
// where their cells are cached, or given; the others are remembered, and in no
// leaf.
func (l *lane) mend(ctx context.Context, slot uint16, cells map[string]*version.Cell) (s Scrubbed, err error) {
	r := l.r
	f, err := findLeaves(ctx, r.store.Scan, slot)
	if err != nil {
		return s, err
	}
	kept := r.leaves.sums(slot)
	s = Scrubbed{LeavesWrong: f.wrong(&kept), RowsDamaged: len(f.damaged)}
	still := make(map[string]bool)
	b := r.store.NewBatch()
	for _, damaged := range f.damaged {
		row := damaged.Row
		cell, _, _ := r.cache.get(r.cache.key(row))
		if cell == nil {
			cell = cells[string(row)]
		}
		if cell == nil {
			still[string(row)] = true
			r.damage.note(damaged)
			continue
		}
		b.Set(row, cell.Bytes())
		f.add(row, cell)
		s.RowsMended++
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
	r.damage.mended.Add(uint64(s.RowsMended))
	l.counts.writes.Add(uint64(s.RowsMended)) // who looks for changed slots looks at it
	if len(f.damaged) < maxDamaged {          // else it has not seen all
		r.damage.keep(slot, still)
	}
	return s, nil
}

// giveUpHints drops damaged hints until ctx ends.
func (r *Replica) giveUpHints(ctx context.Context) {
	for {
		select {
		case <-r.damage.hintsDue:
		case <-ctx.Done():
			return
		}
		for _, row := range r.damage.which(func(d *damagedRow) bool { return d.hint }) {
			if err := r.giveUp([]byte(row)); err != nil {
				r.log.Warn("a damaged hint is still there", "err", err)
			}
			r.damage.forget(row) // who meets it again notes it again
		}
	}
}

// giveUp marks the owner of a damaged hint for a full compare, and then drops
// the hint.
func (r *Replica) giveUp(row []byte) error {
	name, slot, _, _, err := storage.ParseHintRow(row)
	if err != nil {
		return err
	}
	o := r.hints.owner(name)
	if o == nil {
		return fmt.Errorf("%w: it keeps some for %d others", ErrHintsFull, maxHintOwners)
	}
	if !o.full.Swap(true) || r.hints.unsaved.Load() {
		marked := make(chan error, 1)
		r.push(0, work{task: mark{r, marked}, ops: 1})
		if err := <-marked; err != nil {
			return err
		}
	}
	return r.inLane(slot, func(*lane) error {
		_, err := r.read(row)
		var damaged *storage.DamagedRowError
		if !errors.As(err, &damaged) {
			return err // it has been written anew, or is gone
		}
		b := r.store.NewBatch()
		b.Delete(row)
		if err := settle(r.store.Apply(b, false)); err != nil {
			return err
		}
		r.cache.forget(row)
		r.hints.touch(slot, r.Uptime())
		o.forget(slot, len(row)+damaged.Bytes)
		r.damage.hints.Add(1)
		return nil
	})
}
