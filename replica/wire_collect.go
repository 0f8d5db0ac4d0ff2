package replica

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// KindInspect asks what is held of keys, KindCollect for dead cells to be
// dropped. Both are answered behind all work that was queued before.
//
//	request    n, n × (key, digest 8)
//	inspected  n, n × (flags 1, digest 8)
//	collected  n, n × (1: gone, 0: still there)
const (
	flagDead = 1 << iota
	flagHinted
	flagRecent

	minInspectedBytes = 1 + 8
)

// AppendInspect appends a KindInspect request to dst; the digests say nothing.
func AppendInspect(dst []byte, asks []Ask) []byte { return appendAsks(dst, asks) }

// AppendCollect appends a KindCollect request to dst: for cells that have
// these digests.
func AppendCollect(dst []byte, asks []Ask) []byte { return appendAsks(dst, asks) }

// DecodeAsks reads a KindInspect or KindCollect request. The asks do not alias
// body.
func DecodeAsks(body []byte) ([]Ask, error) {
	r := reader{buf: bytes.Clone(body)}
	asks := make([]Ask, r.count(minAskedBytes))
	for i := range asks {
		asks[i] = Ask{Key: r.key(), Digest: r.digest()}
	}
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("cells to inspect or collect: %w", err)
	}
	return asks, nil
}

// AppendInspected appends the answer to a KindInspect request to dst.
func AppendInspected(dst []byte, found []Inspected) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(found)))
	for _, f := range found {
		flags := byte(0)
		for _, is := range []struct {
			so   bool
			flag byte
		}{{f.Dead, flagDead}, {f.Hinted, flagHinted}, {f.Recent, flagRecent}} {
			if is.so {
				flags |= is.flag
			}
		}
		dst = binary.LittleEndian.AppendUint64(append(dst, flags), f.Digest)
	}
	return dst
}

// DecodeInspected reads the answer to a KindInspect request of n asks.
func DecodeInspected(body []byte, n int) ([]Inspected, error) {
	r := reader{buf: body}
	found := make([]Inspected, r.count(minInspectedBytes))
	r.check(len(found) == n)
	for i := range found {
		flags := r.byte()
		r.check(flags&^(flagDead|flagHinted|flagRecent) == 0)
		found[i] = Inspected{
			Digest: r.digest(), Dead: flags&flagDead != 0, Hinted: flags&flagHinted != 0, Recent: flags&flagRecent != 0,
		}
	}
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("cells that were inspected: %w", err)
	}
	return found, nil
}

// AppendCollected appends the answer to a KindCollect request to dst.
func AppendCollected(dst []byte, gone []bool) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(gone)))
	for _, is := range gone {
		b := byte(0)
		if is {
			b = 1
		}
		dst = append(dst, b)
	}
	return dst
}

// DecodeCollected reads the answer to a KindCollect request of n asks.
func DecodeCollected(body []byte, n int) ([]bool, error) {
	r := reader{buf: body}
	gone := make([]bool, r.count(1))
	r.check(len(gone) == n)
	for i := range gone {
		b := r.byte()
		r.check(b <= 1)
		gone[i] = b == 1
	}
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("cells that were collected: %w", err)
	}
	return gone, nil
}
