package peer

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/dynaring/dynaring/storage/version"
)

// A frame, integers little endian:
//
//	0   length   u32      bytes from type to the end of the body
//	4   checksum u32      low half of XXH64 over those bytes
//	8   type     u8       frameRequest …
//	9   kind     u8       request: its kind; failure: its Code; refusal: why; else 0
//	10  clock    u64      the sender's hybrid clock
//	18  id       uvarint  of the request, chosen by the dialler; 0 in pings and pongs
//	    body     …
//
// Requests and pings travel from the dialler, everything else to it.
const (
	frameRequest = 1 + iota
	frameReply   // the handler's reply
	frameFailure // the handler's error: a code and a text
	frameRefusal // the request was not run
	frameLost    // the request was run, but its reply was too large or too much
	framePing
	framePong
	frameTypes
)

// Why a request was not run: the kind of a frameRefusal.
const (
	refusedOverload = iota
	refusedStopping
)

const (
	prefixLen   = 8           // length and checksum
	minPayload  = 10 + 1      // type, kind, clock, id, no body
	maxOverhead = 8 + 10 + 10 // around a body

	// maxClock bounds what a damaged or mad peer can do to this node's clock:
	// beyond the year 6400 it would soon have no timestamps left.
	maxClock = version.Timestamp(1) << 63
)

// frame is a decoded frame. Its body aliases the bytes it was decoded from.
type frame struct {
	typ, kind uint8
	clock     version.Timestamp
	id        uint64
	body      []byte
}

// appendFrame appends a frame without its checksum, which seal adds outside of
// the connection's lock. The caller has checked that the body is not too large.
func appendFrame(dst []byte, f frame) []byte {
	at := len(dst)
	dst = slices.Grow(dst, maxOverhead+len(f.body))
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, f.typ, f.kind)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.clock))
	dst = binary.AppendUvarint(dst, f.id)
	dst = append(dst, f.body...)
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-prefixLen))
	return dst
}

// seal fills in the checksums of a run of whole frames.
func seal(frames []byte) {
	for len(frames) > 0 {
		end := prefixLen + int(binary.LittleEndian.Uint32(frames))
		binary.LittleEndian.PutUint32(frames[4:], checksum(frames[prefixLen:end]))
		frames = frames[end:]
	}
}

func checksum(payload []byte) uint32 { return uint32(xxhash.Sum64(payload)) }

// frameSize returns the size of the frame that b begins with, prefix included,
// or 0 if b is too short to tell. maxFrame bounds the payload.
func frameSize(b []byte, maxFrame int) (int, error) {
	if len(b) < prefixLen {
		return 0, nil
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n < minPayload || n > int64(maxFrame) {
		return 0, &ProtocolError{fmt.Sprintf("frame of %d bytes, allowed are %d to %d", n, minPayload, maxFrame)}
	}
	return prefixLen + int(n), nil
}

// decodeFrame decodes exactly one whole frame, of at least minPayload.
func decodeFrame(b []byte) (frame, error) {
	payload := b[prefixLen:]
	if sum := checksum(payload); sum != binary.LittleEndian.Uint32(b[4:]) {
		return frame{}, &ProtocolError{"frame with a wrong checksum"}
	}
	f := frame{
		typ:   payload[0],
		kind:  payload[1],
		clock: version.Timestamp(binary.LittleEndian.Uint64(payload[2:])),
	}
	id, n := binary.Uvarint(payload[10:])
	switch {
	case n <= 0 || n > 1 && payload[10+n-1] == 0:
		return frame{}, &ProtocolError{"frame with a malformed id"}
	case f.typ == 0 || f.typ >= frameTypes:
		return frame{}, &ProtocolError{fmt.Sprintf("frame of unknown type %d", f.typ)}
	case f.clock >= maxClock:
		return frame{}, &ProtocolError{"frame with an impossible clock"}
	}
	f.id, f.body = id, payload[10+n:]
	return f, nil
}
