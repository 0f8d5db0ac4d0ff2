package replica

import (
	"encoding/binary"
	"fmt"

	"github.com/dynaring/dynaring/storage"
)

// KindHashes asks for hashes over ranges of slots or, deep, for the leaves of
// single slots.
//
//	request  flags 1 (1: leaves), n, n × (first slot 2, last slot 2)
//	answer   n, n × hash 8: one for each range, LeavesPerSlot where leaves were asked for
const (
	flagDeep        = 1
	minRangeOnWire  = 4
	maxAskedSlots   = 4 * storage.Slots // of all ranges of a request
	hashBytesOnWire = 8
)

// SlotRange is slots First to Last, both included.
type SlotRange struct{ First, Last uint16 }

// AppendHashes appends a KindHashes request to dst. With deep, the ranges are
// of one slot each.
func AppendHashes(dst []byte, ranges []SlotRange, deep bool) []byte {
	flags := byte(0)
	if deep {
		flags = flagDeep
	}
	return appendRanges(append(dst, flags), ranges)
}

func appendRanges(dst []byte, ranges []SlotRange) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ranges)))
	for _, s := range ranges {
		dst = appendRange(dst, s.First, s.Last)
	}
	return dst
}

// ranges reads ranges of slots, together not much more than there are.
func (r *reader) ranges() []SlotRange {
	ranges := make([]SlotRange, r.count(minRangeOnWire))
	slots := 0
	for i := range ranges {
		ranges[i].First, ranges[i].Last = r.slotRange()
		slots += int(ranges[i].Last-ranges[i].First) + 1
		r.check(slots <= maxAskedSlots)
		if r.bad {
			break
		}
	}
	return ranges
}

// DecodeHashes reads a KindHashes request.
func DecodeHashes(body []byte) (ranges []SlotRange, deep bool, err error) {
	r := reader{buf: body}
	flags := r.byte()
	r.check(flags&^flagDeep == 0)
	deep = flags == flagDeep
	ranges = r.ranges()
	for _, s := range ranges {
		r.check(!deep || s.First == s.Last)
	}
	if err := r.end(); err != nil {
		return nil, false, fmt.Errorf("slots to hash: %w", err)
	}
	return ranges, deep, nil
}

// AppendHashed appends the answer to a KindHashes request to dst.
func AppendHashed(dst []byte, hashes []uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(hashes)))
	for _, h := range hashes {
		dst = binary.LittleEndian.AppendUint64(dst, h)
	}
	return dst
}

// DecodeHashed reads the answer to a KindHashes request for n hashes: one for
// each range, or LeavesPerSlot.
func DecodeHashed(body []byte, n int) ([]uint64, error) {
	r := reader{buf: body}
	r.check(r.count(hashBytesOnWire) == n)
	var hashes []uint64
	for i := 0; i < n && !r.bad; i++ {
		hashes = append(hashes, r.digest())
	}
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("hashes of slots: %w", err)
	}
	return hashes, nil
}
