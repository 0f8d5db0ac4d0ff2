package replica

import (
	"bytes"
	"context"
	"fmt"

	"github.com/dynaring/dynaring/storage"
)

// maxPageBytes bounds what a page holds; the cell that exceeds it is its last.
const maxPageBytes = 4 << 20

// Scan returns one page of this replica's cells, tombstones included: which
// are alive is for the reader to say, by [version.Cell.Winner]. The page is of
// one moment; successive ones need not be of the same.
func (r *Replica) Scan(ctx context.Context, s ScanRequest) (Page, error) {
	from, to := rowRange(s.First, s.Last)
	if s.Of == ScanHints {
		from, to = storage.HintRows("")
	}
	return r.page(ctx, from, to, s)
}

// Hints returns one page of the cells that are kept for owner, as Scan does.
func (r *Replica) Hints(ctx context.Context, owner string, after []byte, limit int) (Page, error) {
	from, to := storage.HintRows(owner)
	return r.page(ctx, from, to, ScanRequest{Last: storage.Slots - 1, After: after, Limit: limit, Of: ScanHints})
}

// page returns cells of the rows in [from, to) that a scan asks for.
func (r *Replica) page(ctx context.Context, from, to []byte, s ScanRequest) (Page, error) {
	if next := append(bytes.Clone(s.After), 0); len(s.After) > 0 && bytes.Compare(next, from) > 0 {
		from = next // the least row beyond after
	}
	limit := s.Limit
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	var p Page
	var last []byte
	size := 0
	err := r.store.Scan(ctx, from, to, 0, func(row, value []byte, damaged error) (bool, error) {
		if len(p.Cells) == limit || size >= maxPageBytes {
			p.Next = last
			return false, nil
		}
		kc, err := scanned(row, value, damaged, s.Stripped)
		if err != nil {
			return r.passes(row, err)
		}
		if kc.Key.Slot < s.First || kc.Key.Slot > s.Last {
			return true, nil // a hint
		}
		p.Cells = append(p.Cells, kc)
		size += len(row) + len(kc.Cell.Bytes())
		last = append(last[:0], row...)
		return true, nil
	})
	if err != nil {
		return Page{}, err
	}
	return p, nil
}

// passes reports whether a scan goes on after a row that cannot be read: where
// nothing is missed thereby that could be had from another owner.
func (r *Replica) passes(row []byte, err error) (bool, error) {
	r.damage.note(err)
	if isDamaged(err) && (!storage.IsCellRow(row) || r.damage.isLost(row)) {
		return true, nil
	}
	return false, err
}

// rowRange returns the rows of slots first to last: [from, to).
func rowRange(first, last uint16) (from, to []byte) {
	return storage.RowSlotStart(nil, first), storage.RowSlotStart(nil, last+1)
}

// scanned makes a cell of a row that is only lent.
func scanned(row, value []byte, damaged error, stripped bool) (KeyedCell, error) {
	slot, key, field, err := storage.ParseRow(row)
	if err != nil {
		_, slot, key, field, err = storage.ParseHintRow(row)
	}
	if err != nil {
		return KeyedCell{}, fmt.Errorf("scanning cells: %w", err)
	}
	kc := KeyedCell{Key: Key{Slot: slot, Key: bytes.Clone(key), Field: bytes.Clone(field)}}
	if !stripped {
		value = bytes.Clone(value)
	}
	if kc.Cell, err = decodeRow(row, value, damaged); err != nil {
		return KeyedCell{}, fmt.Errorf("scanning cells: %w", err)
	}
	if stripped {
		kc.Cell = kc.Cell.Stripped()
	}
	return kc, nil
}
