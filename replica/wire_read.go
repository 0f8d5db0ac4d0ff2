package replica

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/dynaring/dynaring/storage/version"
)

// KindRead compares cells with the asker's digests and fetches those that
// differ.
//
//	request  flags 1 (1: without values, 2: of a stand-in), n, n × (key, digest 8)
//	answer   n, n × (status 1, and where it is Found: cell)
const (
	flagStripped  = 1
	flagStandIn   = 2
	minAskedBytes = minKeyBytes + 8
)

// Ask is one cell of a KindRead request.
type Ask struct {
	Key    Key
	Digest uint64 // of the cell as the asker has it; 0: it has none
}

// Status is how a replica answers one Ask.
type Status uint8

const (
	// Same: the replica's cell has the digest asked with.
	Same Status = iota
	// Absent: the replica was never told of such a cell.
	Absent
	// Found: the replica's cell differs, and is here.
	Found
	// Later: the answer was full; ask for this cell again. The first of an
	// answer is never Later.
	Later
)

// Answer is a replica's answer to one Ask.
type Answer struct {
	Status Status
	Cell   *version.Cell // where Status is Found
}

// AppendRead appends a KindRead request to dst. With stripped, cells come
// without their values, under the same digest.
func AppendRead(dst []byte, asks []Ask, stripped bool) []byte {
	flags := byte(0)
	if stripped {
		flags = flagStripped
	}
	return appendAsks(append(dst, flags), asks)
}

// AppendStandInRead appends a KindRead request to dst that asks a fallback for
// what it keeps in place of owners that do not answer.
func AppendStandInRead(dst []byte, asks []Ask) []byte {
	return appendAsks(append(dst, flagStandIn), asks)
}

// StandsIn reports whether a KindRead request asks for what a fallback keeps.
func StandsIn(body []byte) bool { return len(body) > 0 && body[0]&flagStandIn != 0 }

func appendAsks(dst []byte, asks []Ask) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(asks)))
	for i := range asks {
		dst = appendKey(dst, &asks[i].Key)
		dst = binary.LittleEndian.AppendUint64(dst, asks[i].Digest)
	}
	return dst
}

// readRequest walks a KindRead request in place.
type readRequest struct {
	reader
	stripped bool
	n        int // asks not yet read
}

func parseRead(body []byte) readRequest {
	q := readRequest{reader: reader{buf: body}}
	flags := q.byte()
	q.check(flags&^(flagStripped|flagStandIn) == 0)
	q.stripped = flags&flagStripped != 0
	q.n = q.count(minAskedBytes)
	return q
}

// next returns the next ask, which aliases the request; ok is false at the end
// and at the first malformed one: end tells which.
func (q *readRequest) next() (a Ask, ok bool) {
	if q.n == 0 {
		return Ask{}, false
	}
	q.n--
	a = Ask{Key: q.key(), Digest: q.digest()}
	return a, !q.bad
}

// DecodeRead reads a KindRead request. The asks alias body.
func DecodeRead(body []byte) (asks []Ask, stripped bool, err error) {
	q := parseRead(body)
	asks = make([]Ask, 0, q.n)
	for a, ok := q.next(); ok; a, ok = q.next() {
		asks = append(asks, a)
	}
	if err := q.end(); err != nil {
		return nil, false, fmt.Errorf("cells to read: %w", err)
	}
	return asks, q.stripped, nil
}

// AppendAnswers appends the answer to a KindRead request to dst.
func AppendAnswers(dst []byte, answers []Answer) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(answers)))
	for i := range answers {
		dst = appendAnswer(dst, answers[i])
	}
	return dst
}

func appendAnswer(dst []byte, a Answer) []byte {
	dst = append(dst, byte(a.Status))
	if a.Status == Found {
		dst = appendBytes(dst, a.Cell.Bytes())
	}
	return dst
}

// DecodeAnswers appends the answers to a KindRead request of n asks to dst.
// The cells do not alias body.
func DecodeAnswers(dst []Answer, body []byte, n int) ([]Answer, error) {
	r := reader{buf: body}
	r.check(r.uint() == uint64(n))
	for i := 0; i < n && !r.bad; i++ {
		a := Answer{Status: Status(r.byte())}
		r.check(a.Status <= Later && (i > 0 || a.Status != Later))
		if a.Status == Found {
			b := r.bytes()
			r.check(len(b) > 0)
			if r.bad {
				break
			}
			var err error
			if a.Cell, err = version.DecodeCell(bytes.Clone(b)); err != nil {
				return dst, fmt.Errorf("cells that were read: %w: %w", ErrMalformed, err)
			}
		}
		dst = append(dst, a)
	}
	if err := r.end(); err != nil {
		return dst, fmt.Errorf("cells that were read: %w", err)
	}
	return dst, nil
}
