package replica

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// KindList asks for what a slot's leaves are made of: the keys of its cells and
// their digests, in the order of the rows.
//
//	request  slot 2, leaves 2 (bit i: leaf i), limit, row after
//	answer   n, n × (key, digest 8), row next
const minListedBytes = minKeyBytes + 8

// AppendList appends a KindList request to dst; see [Replica.List].
func AppendList(dst []byte, slot, leaves uint16, after []byte, limit int) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, slot)
	dst = binary.LittleEndian.AppendUint16(dst, leaves)
	dst = binary.AppendUvarint(dst, uint64(max(limit, 0)))
	return appendBytes(dst, after)
}

// DecodeList reads a KindList request. After aliases body.
func DecodeList(body []byte) (slot, leaves uint16, after []byte, limit int, err error) {
	r := reader{buf: body}
	slot, leaves = r.slot(), r.mask()
	n := r.uint()
	r.check(n <= MaxPage)
	after = r.bytes()
	if err := r.end(); err != nil {
		return 0, 0, nil, 0, fmt.Errorf("leaves to list: %w", err)
	}
	return slot, leaves, after, int(n), nil
}

// AppendListing appends the answer to a KindList request to dst.
func AppendListing(dst []byte, l Listing) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(l.Items)))
	for i := range l.Items {
		dst = appendKey(dst, &l.Items[i].Key)
		dst = binary.LittleEndian.AppendUint64(dst, l.Items[i].Digest)
	}
	return appendBytes(dst, l.Next)
}

// DecodeListing reads the answer to a KindList request. It does not alias body.
func DecodeListing(body []byte) (Listing, error) {
	r := reader{buf: bytes.Clone(body)}
	l := Listing{Items: make([]Listed, r.count(minListedBytes))}
	for i := range l.Items {
		l.Items[i] = Listed{Key: r.key(), Digest: r.digest()}
		if r.bad {
			break
		}
	}
	l.Next = r.bytes()
	if err := r.end(); err != nil {
		return Listing{}, fmt.Errorf("list of a slot's leaves: %w", err)
	}
	return l, nil
}
