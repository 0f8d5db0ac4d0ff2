package replica

import (
	"encoding/binary"
	"fmt"
)

// KindCount asks for how many keys of ranges of slots are alive, or only for
// the hashes of these, from owners alone.
//
//	request  flags 1 (1: only hashes), now, n, n × (first slot 2, last slot 2)
//	answer   n, n × (hash 8, live keys, those that expire, their times to live in ms together)
const (
	flagHashes       = 1
	minCountedOnWire = hashBytesOnWire + 3
)

// CountRequest asks for the keys of ranges that are alive at the Unix time Now,
// in ms, or, with Hashes, only for the hashes of the ranges.
type CountRequest struct {
	Ranges []SlotRange
	Now    int64
	Hashes bool
}

// AppendCount appends a KindCount request to dst.
func AppendCount(dst []byte, c CountRequest) []byte {
	flags := byte(0)
	if c.Hashes {
		flags = flagHashes
	}
	return appendRanges(binary.AppendUvarint(append(dst, flags), uint64(max(c.Now, 0))), c.Ranges)
}

// DecodeCount reads a KindCount request.
func DecodeCount(body []byte) (c CountRequest, err error) {
	r := reader{buf: body}
	flags := r.byte()
	r.check(flags&^flagHashes == 0)
	c.Hashes = flags == flagHashes
	c.Now = int64(r.uint())
	r.check(c.Now >= 0)
	c.Ranges = r.ranges()
	if err := r.end(); err != nil {
		return CountRequest{}, fmt.Errorf("slots to count: %w", err)
	}
	return c, nil
}

// AppendCounted appends the answer to a KindCount request to dst.
func AppendCounted(dst []byte, counted []Counted) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(counted)))
	for _, n := range counted {
		dst = binary.LittleEndian.AppendUint64(dst, n.Hash)
		dst = binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(dst, n.Live), n.Expiring), n.TTL)
	}
	return dst
}

// DecodeCounted reads the answer to a KindCount request for n ranges.
func DecodeCounted(body []byte, n int) ([]Counted, error) {
	r := reader{buf: body}
	r.check(r.count(minCountedOnWire) == n)
	var counted []Counted
	for i := 0; i < n && !r.bad; i++ {
		c := Counted{Hash: r.digest()}
		c.Live, c.Expiring, c.TTL = r.uint(), r.uint(), r.uint()
		counted = append(counted, c)
	}
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("counts of slots: %w", err)
	}
	return counted, nil
}
