package antientropy

import (
	"bytes"
	"cmp"

	"github.com/dynaring/dynaring/replica"
)

// The pure part of comparing two replicas: what to ask for, and what the
// answers say.

// chunkSlots is how many neighbouring slots share one hash at the top.
const chunkSlots = 64

// chunks returns slots, in the same order, as ranges of at most chunkSlots.
func chunks(slots []uint16) []replica.SlotRange {
	var out []replica.SlotRange
	for _, slot := range slots {
		if n := len(out) - 1; n >= 0 && out[n].Last+1 == slot && slot-out[n].First < chunkSlots {
			out[n].Last = slot
			continue
		}
		out = append(out, replica.SlotRange{First: slot, Last: slot})
	}
	return out
}

// singles returns each slot as a range.
func singles(slots []uint16) []replica.SlotRange {
	out := make([]replica.SlotRange, len(slots))
	for i, slot := range slots {
		out[i] = replica.SlotRange{First: slot, Last: slot}
	}
	return out
}

// appendSlots appends the slots of r to dst.
func appendSlots(dst []uint16, r replica.SlotRange) []uint16 {
	for slot := int(r.First); slot <= int(r.Last); slot++ {
		dst = append(dst, uint16(slot))
	}
	return dst
}

// leaves is what a replica's leaf hashes of one slot are.
type leaves = [replica.LeavesPerSlot]uint64

// leafSet returns the leaves that differ, as a set of bits.
func leafSet(mine, theirs *leaves) (set uint16) {
	for i := range mine {
		if mine[i] != theirs[i] {
			set |= 1 << i
		}
	}
	return set
}

// listing is the part of a replica's listing that has not been compared yet.
type listing struct {
	items []replica.Listed
	next  []byte // where the next page begins
	done  bool   // there is none
}

// wants reports whether a page is needed to go on.
func (l *listing) wants() bool { return len(l.items) == 0 && !l.done }

func (l *listing) add(p replica.Listing) {
	l.items, l.next, l.done = p.Items, p.Next, len(p.Next) == 0
}

// ended reports whether everything was compared.
func (l *listing) ended() bool { return len(l.items) == 0 && l.done }

// differing moves both listings on as far as both are known, and appends the
// keys on the way whose digests differ, or that only one of them has, to dst.
func differing(dst []replica.Key, mine, theirs *listing) []replica.Key {
	for !mine.wants() && !theirs.wants() && !(mine.ended() && theirs.ended()) {
		order := 0
		switch {
		case mine.ended():
			order = 1
		case theirs.ended():
			order = -1
		default:
			order = compareKeys(&mine.items[0].Key, &theirs.items[0].Key)
		}
		switch {
		case order < 0:
			dst, mine.items = append(dst, mine.items[0].Key), mine.items[1:]
		case order > 0:
			dst, theirs.items = append(dst, theirs.items[0].Key), theirs.items[1:]
		default:
			if mine.items[0].Digest != theirs.items[0].Digest {
				dst = append(dst, mine.items[0].Key)
			}
			mine.items, theirs.items = mine.items[1:], theirs.items[1:]
		}
	}
	return dst
}

// compareKeys orders cells as their rows are ordered.
func compareKeys(a, b *replica.Key) int {
	return cmp.Or(cmp.Compare(a.Slot, b.Slot), bytes.Compare(a.Key, b.Key), bytes.Compare(a.Field, b.Field))
}
