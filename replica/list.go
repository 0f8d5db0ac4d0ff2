package replica

import (
	"bytes"
	"context"

	"github.com/dynaring/dynaring/storage"
)

// Listed is one cell of a Listing.
type Listed struct {
	Key    Key
	Digest uint64
}

// Listing is one page of what some leaves of a slot are made of. It may be
// empty without being the last: that one has an empty Next.
type Listing struct {
	Items []Listed
	Next  []byte
}

// maxListedRows bounds the rows that a page may pass over.
const maxListedRows = 32 << 10

// List returns the cells of a slot that belong to the given leaves (bit i: leaf
// i), at most limit of them (MaxPage, which 0 means), whose rows come after the
// row after: a Listing's Next; empty: from the start. Rows that are damaged are
// not there. The page is of one moment; successive ones need not be of the same.
func (r *Replica) List(ctx context.Context, slot, leaves uint16, after []byte, limit int) (Listing, error) {
	from, to := rowRange(slot, slot)
	if next := append(bytes.Clone(after), 0); len(after) > 0 && bytes.Compare(next, from) > 0 {
		from = next
	}
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	if leaves == 0 || bytes.Compare(from, to) >= 0 {
		return Listing{}, nil
	}
	var l Listing
	var last []byte // the row that the page ends with, so far
	rows, size := 0, 0
	err := r.store.Scan(ctx, from, to, 0, func(row, value []byte, damaged error) (bool, error) {
		if len(l.Items) == limit || size >= maxPageBytes || rows == maxListedRows {
			l.Next = bytes.Clone(last)
			return false, nil
		}
		rows++
		last = append(last[:0], row...)
		if leaves&(1<<leafOf(hashRow(row))) == 0 {
			return true, nil
		}
		_, cell, err := heldIn(row, value, damaged)
		if err != nil {
			r.damage.note(err)
			return true, nil
		}
		_, key, field, err := storage.ParseRow(row)
		k := Key{Slot: slot, Key: bytes.Clone(key), Field: bytes.Clone(field)}
		l.Items = append(l.Items, Listed{Key: k, Digest: cell.Digest()})
		size += len(row) + minListedBytes
		return true, err
	})
	if err != nil {
		return Listing{}, err
	}
	return l, nil
}
