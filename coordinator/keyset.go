package coordinator

import (
	"hash/maphash"

	"github.com/dynaring/dynaring/replica"
)

// keyset numbers the distinct keys of the groups of a batch, from 0 on. It is
// a hash table that is emptied and used again, without allocating.
type keyset struct {
	seed  maphash.Seed
	table []int32 // 1 + number, at the key's hash or beyond; 0: free
	keys  []groupKey
}

type groupKey struct {
	group int32
	key   replica.Key
}

// reset makes room for n keys.
func (s *keyset) reset(n int) {
	size := 8
	for size < 2*n {
		size *= 2
	}
	if cap(s.table) < size {
		s.table, s.seed = make([]int32, size), maphash.MakeSeed()
	}
	s.table = s.table[:size]
	clear(s.table)
	clear(s.keys)
	s.keys = s.keys[:0]
}

// add returns the key's number, and whether it is new.
func (s *keyset) add(group int32, key replica.Key) (n int32, isNew bool) {
	h := maphash.Bytes(s.seed, key.Key) + uint64(group)
	if len(key.Field) > 0 {
		h ^= maphash.Bytes(s.seed, key.Field) * 31
	}
	mask := uint64(len(s.table) - 1)
	for at := h & mask; ; at = (at + 1) & mask {
		n := s.table[at] - 1
		if n < 0 {
			s.keys = append(s.keys, groupKey{group, key})
			s.table[at] = int32(len(s.keys))
			return int32(len(s.keys) - 1), true
		}
		if k := &s.keys[n]; k.group == group && sameKey(k.key, key) {
			return n, false
		}
	}
}
