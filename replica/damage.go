package replica

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// maxDamaged bounds the damaged rows that are remembered, and those that one
// Scrub looks at. The scrub comes back for the others.
const maxDamaged = 1024

// damage is what this replica knows of rows that are not what was written.
//
// A damaged row is never taken for an absent one. What reads it fails, and other
// owners are asked in this one's place; what writes to it fails, and another
// owner mints. It stays as it is until [Replica.Mend] puts what the other owners
// hold in its place. A damaged hint, which nobody can be given any more, goes,
// and its owner is marked for a full compare.
type damage struct {
	due      chan struct{} // of one; a token means: there is news of cells
	hintsDue chan struct{} // likewise, of hints
	log      *slog.Logger

	found, mended, hints atomic.Uint64
	known                atomic.Int64 // len(rows)

	mu   sync.Mutex
	rows map[string]*damagedRow
}

// damagedRow is one of them. Lost: no other owner of it holds the cell.
type damagedRow struct {
	key  Key
	hint bool
	lost bool
}

// DamageStats are the numbers of damaged rows. Those without "now" count since
// New.
type DamageStats struct {
	Found  uint64 // rows of cells and hints, each time that one turned out to be damaged
	Mended uint64 // cells that were put in the place of damaged ones
	Hints  uint64 // hints that were given up
	Now    int    // cells that wait to be mended, now
	Lost   int    // cells that no other owner holds, now: they stay as they are until they are written anew
}

func (d *damage) init(log *slog.Logger) {
	d.due, d.hintsDue = make(chan struct{}, 1), make(chan struct{}, 1)
	d.rows = make(map[string]*damagedRow)
	d.log = log
}

// isDamaged reports whether an error is that of a damaged row.
func isDamaged(err error) bool {
	if err == nil {
		return false // without allocating
	}
	var row *storage.DamagedRowError
	return errors.As(err, &row)
}

// note remembers the row that err is about, if it is that of a damaged one, and
// says so once.
func (d *damage) note(err error) {
	var e *storage.DamagedRowError
	if !errors.As(err, &e) {
		return
	}
	row, due := &damagedRow{}, d.due
	var slot uint16
	var key, field []byte
	if s, k, f, err := storage.ParseRow(e.Row); err == nil {
		slot, key, field = s, k, f
	} else {
		row.hint, due = true, d.hintsDue
	}
	row.key = Key{Slot: slot, Key: bytes.Clone(key), Field: bytes.Clone(field)}
	d.mu.Lock()
	news := d.rows[string(e.Row)] == nil && len(d.rows) < maxDamaged
	if news {
		d.rows[string(e.Row)] = row
		d.known.Add(1)
	}
	d.mu.Unlock()
	if !news {
		return
	}
	d.found.Add(1)
	d.log.Error("a row is damaged", "err", e)
	select {
	case due <- struct{}{}:
	default:
	}
}

// forget drops rows that are no longer damaged.
func (d *damage) forget(rows ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, row := range rows {
		if d.rows[row] != nil {
			delete(d.rows, row)
			d.known.Add(-1)
		}
	}
}

// keep forgets the rows of cells of a slot that are not damaged any more.
func (d *damage) keep(slot uint16, still map[string]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for row, r := range d.rows {
		if !r.hint && r.key.Slot == slot && !still[row] {
			delete(d.rows, row)
			d.known.Add(-1)
		}
	}
}

// lose marks a row of which no other owner holds the cell.
func (d *damage) lose(row []byte) {
	d.mu.Lock()
	r := d.rows[string(row)]
	news := r != nil && !r.lost
	if news {
		r.lost = true
	}
	d.mu.Unlock()
	if news {
		d.log.Error("no other owner holds the cell of a damaged row: what only this one had is lost, a write puts a new one in its place",
			"slot", r.key.Slot, "key", string(r.key.Key))
	}
}

// isLost reports whether that is so of a row.
func (d *damage) isLost(row []byte) bool {
	if d.known.Load() == 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rows[string(row)]
	return r != nil && r.lost
}

// which returns the rows that fit.
func (d *damage) which(fits func(*damagedRow) bool) (rows []string) {
	if d.known.Load() == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for row, r := range d.rows {
		if fits(r) {
			rows = append(rows, row)
		}
	}
	slices.Sort(rows)
	return rows
}

// DamageDue has a token when cells' rows have turned out to be damaged.
func (r *Replica) DamageDue() <-chan struct{} { return r.damage.due }

// Damaged returns the cells whose rows are known to be damaged, those that wait
// to be mended or those that are lost, in the order of their rows.
func (r *Replica) Damaged(lost bool) (keys []Key) {
	for _, row := range r.damage.which(func(d *damagedRow) bool { return !d.hint && d.lost == lost }) {
		slot, key, field, err := storage.ParseRow([]byte(row))
		if err == nil {
			keys = append(keys, Key{Slot: slot, Key: key, Field: field})
		}
	}
	return keys
}

// DamagedIn reports whether a row of the slot is known to wait to be mended. It
// costs nothing while none is.
func (r *Replica) DamagedIn(slot uint16) bool {
	return len(r.damage.which(func(d *damagedRow) bool { return !d.hint && !d.lost && d.key.Slot == slot })) > 0
}

// DamageStats reads the numbers.
func (r *Replica) DamageStats() DamageStats {
	d := &r.damage
	return DamageStats{
		Found: d.found.Load(), Mended: d.mended.Load(), Hints: d.hints.Load(),
		Now: len(r.Damaged(false)), Lost: len(r.Damaged(true)),
	}
}

// decodeRow returns the cell that a row holds, never nil without an error. What
// is no cell is damaged, whatever its checksum says.
func decodeRow(row, value []byte, damaged error) (*version.Cell, error) {
	if damaged != nil {
		return nil, damaged
	}
	cell, err := version.DecodeCell(value)
	if err == nil && cell == nil {
		err = version.ErrCorrupt
	}
	if err != nil {
		return nil, storage.DamagedRow(row, len(value), err.Error())
	}
	return cell, nil
}
