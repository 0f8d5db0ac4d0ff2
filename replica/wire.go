package replica

import (
	"encoding/binary"
	"errors"

	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage"
)

// Kinds of requests between nodes. The replica answers Apply, Read, Scan, Count
// and those from Hint to Probe; the others belong to the packages above and have their numbers here
// so that no two packages choose the same.
const (
	KindApply   uint8 = 1 + iota // merge cells
	KindRead                     // compare and fetch cells
	KindScan                     // a page of a slot range
	KindCount                    // live keys of a slot range, and how long they live
	KindExec                     // a client's command, passed on to an owner
	KindHistory                  // membership
	KindStatus                   // what a node knows of itself
	KindHint                     // cells for an owner that could not be reached
	KindHashes                   // hashes of slots, or of their leaves
	KindList                     // keys and digests of a slot's leaves
	KindInspect                  // what is held of keys, behind all that is queued
	KindCollect                  // drop dead cells that every owner holds
	KindProbe                    // whether the disk answers
	KindCompare                  // compare everything with the other owners now
	KindTell                     // what a client published, or a question about who subscribed
)

// Codes of failed requests. Packages above number theirs from CodeOthers.
const (
	CodeMalformed  peer.Code = 1 + iota // the request cannot be read: nothing was done
	CodeRefused                         // the disk is full: nothing was stored
	CodeClosed                          // the node is shutting down: nothing was stored
	CodeOverloaded                      // too much work waits: nothing was done
	CodeFailed                          // the store failed: some of it may have been done
	CodeStale                           // the message is too old: nothing was done, it may be sent again
	CodeHintsFull                       // hints for the owner are at their bound: nothing was stored
	CodeDamaged                         // a row is damaged: its cell was neither read nor changed
	CodeOthers     peer.Code = 64
)

// ErrMalformed: bytes from a peer that are not what their kind says.
var ErrMalformed = errors.New("malformed message")

// All messages are made of the same few parts. Integers are unsigned varints,
// but a slot and a digest, which are 2 and 8 bytes, little-endian.
//
//	bytes  length, bytes
//	key    slot 2, bytes key, bytes field
//	cell   bytes: its encoding (package version)
//	row    bytes: a place in the store (package storage)

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func appendKey(dst []byte, k *Key) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, k.Slot)
	return appendBytes(appendBytes(dst, k.Key), k.Field)
}

// minKeyBytes is the least that a key takes on the wire.
const minKeyBytes = 4

// reader takes a message apart. The first thing amiss sets bad and empties
// buf: everything after it reads as zero.
type reader struct {
	buf []byte
	bad bool
}

func (r *reader) check(ok bool) {
	if !ok {
		r.bad, r.buf = true, nil
	}
}

func (r *reader) uint() uint64 {
	n, w := binary.Uvarint(r.buf)
	if w <= 0 {
		r.check(false)
		return 0
	}
	r.buf = r.buf[w:]
	return n
}

// count reads a number of items that take at least size bytes each, so that
// what is allocated for them is bounded by the bytes that are there.
func (r *reader) count(size int) int {
	n := r.uint()
	if n > uint64(len(r.buf)/size) {
		r.check(false)
		return 0
	}
	return int(n)
}

func (r *reader) take(n int) []byte {
	if n > len(r.buf) {
		r.check(false)
		return nil
	}
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) slot() uint16 {
	b := r.take(2)
	if b == nil {
		return 0
	}
	slot := binary.LittleEndian.Uint16(b)
	r.check(slot < storage.Slots)
	return slot
}

func (r *reader) digest() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) mask() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.buf)) {
		r.check(false)
		return nil
	}
	return r.take(int(n))
}

func (r *reader) key() Key {
	return Key{Slot: r.slot(), Key: r.bytes(), Field: r.bytes()}
}

// end returns ErrMalformed unless everything was read, and nothing more.
func (r *reader) end() error {
	if r.bad || len(r.buf) > 0 {
		return ErrMalformed
	}
	return nil
}
