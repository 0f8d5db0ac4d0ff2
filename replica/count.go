package replica

import (
	"bytes"
	"context"
	"fmt"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// KeyCount is how many keys are alive.
type KeyCount struct {
	Live, Expiring uint64
	TTL            uint64 // of those that expire, in ms, all together
}

// Add adds the keys of other slots.
func (n *KeyCount) Add(o KeyCount) {
	n.Live, n.Expiring, n.TTL = n.Live+o.Live, n.Expiring+o.Expiring, n.TTL+o.TTL
}

// Counted is how many keys of a range of slots are alive, and what these slots'
// hash was before they were counted: all that the hash covers is counted.
type Counted struct {
	Hash uint64
	KeyCount
}

// Count returns how many keys of each range are alive on this replica, and how
// long they live. It reads every cell of them, unless only hashes are asked for.
func (r *Replica) Count(ctx context.Context, c CountRequest) ([]Counted, error) {
	out := make([]Counted, len(c.Ranges))
	for i, s := range c.Ranges {
		out[i].Hash = r.RangeHash(s.First, s.Last)
		if c.Hashes || out[i].Hash == 0 { // nothing is there
			continue
		}
		var err error
		if out[i].KeyCount, err = r.count(ctx, s, c.Now); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *Replica) count(ctx context.Context, s SlotRange, now int64) (n KeyCount, err error) {
	from, to := rowRange(s.First, s.Last)
	var counted []byte // the last key that was counted, as a row without a field
	err = r.store.Scan(ctx, from, to, 0, func(row, value []byte, damaged error) (bool, error) {
		if len(counted) > 0 && bytes.HasPrefix(row, counted) {
			return true, nil
		}
		cell, err := decodeRow(row, value, damaged)
		if err != nil {
			return r.passes(row, fmt.Errorf("counting cells: %w", err))
		}
		if !n.See(cell, now) {
			return true, nil
		}
		slot, key, _, err := storage.ParseRow(row)
		if err != nil {
			return false, fmt.Errorf("counting cells: %w", err)
		}
		counted = storage.AppendRow(counted[:0], slot, key, nil)
		return true, nil
	})
	return n, err
}

// See counts the key of a cell, if that is alive at the Unix time now, in ms, and
// reports whether it is.
func (n *KeyCount) See(cell *version.Cell, now int64) bool {
	s, ok := cell.Winner(now)
	if !ok {
		return false
	}
	n.Live++
	if !s.Version.Dead(now) && s.Version.Expiry > 0 {
		n.Expiring++
		n.TTL += uint64(s.Version.Expiry - now)
	}
	return true
}
