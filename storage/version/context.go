package version

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Context is what a reader saw: exactly the dots of all versions' clocks, and
// the counter totals. The zero Context has seen nothing.
type Context struct {
	Past   Past
	Totals []Seen // sorted by actor
}

// With returns the context of a writer that has seen x and written d at t.
func (x Context) With(d Dot, t Timestamp) Context {
	return Context{Past: x.Past.With(d, t), Totals: x.Totals}
}

// Union returns the context of a reader that has seen both.
func (x Context) Union(y Context) Context {
	return Context{Past: x.Past.Union(y.Past), Totals: unionSeen(x.Totals, y.Totals)}
}

// A token is the base64url form, unpadded, of
//
//	┌────────┬─────────────────────┬──────┬──────┬────────────┐
//	│format 1│actors n, n × (id,inc)│ pairs│ seen │ checksum 8 │
//	└────────┴─────────────────────┴──────┴──────┴────────────┘
//
// with actors, pairs and seen as in a cell, and as checksum the XXH64 of all
// before it and of the key: a token fits its key only.
const (
	formatContext = 1
	checksumBytes = 8
	// MaxTokenLen bounds a token's length: far above what --clock-max pairs
	// and their ranges need.
	MaxTokenLen = 1 << 20
)

// Token prints the context as an opaque token that is bound to key.
func (x Context) Token(key []byte) string {
	e := encoder{buf: []byte{formatContext}}
	e.addPast(x.Past)
	e.addSeen(x.Totals)
	e.actorTable()
	e.past(x.Past)
	e.seen(x.Totals)
	e.buf = binary.BigEndian.AppendUint64(e.buf, tokenChecksum(e.buf, key))
	return base64.RawURLEncoding.EncodeToString(e.buf)
}

// ParseContext reads a token that was printed for key. Everything else is
// [ErrBadContext].
func ParseContext(token string, key []byte) (Context, error) {
	if len(token) > MaxTokenLen {
		return Context{}, fmt.Errorf("%w: it is %d bytes long, over the limit of %d", ErrBadContext, len(token), MaxTokenLen)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 1+checksumBytes {
		return Context{}, fmt.Errorf("%w: it is not a token that DGET, DPUT or DDEL returned", ErrBadContext)
	}
	if b[0] != formatContext {
		return Context{}, fmt.Errorf("%w: it has format %d, this node knows %d", ErrBadContext, b[0], formatContext)
	}
	body, sum := b[:len(b)-checksumBytes], binary.BigEndian.Uint64(b[len(b)-checksumBytes:])
	if tokenChecksum(body, key) != sum {
		return Context{}, fmt.Errorf("%w: it is damaged, or of another key", ErrBadContext)
	}
	d := decoder{buf: body[1:]}
	d.actorTable()
	x := Context{Past: d.past(), Totals: d.seen()}
	d.check(len(d.buf) == 0)
	if d.bad {
		return Context{}, fmt.Errorf("%w: it is malformed", ErrBadContext)
	}
	return x, nil
}

func tokenChecksum(body, key []byte) uint64 {
	var h xxhash.Digest
	h.Reset()
	h.Write(body)
	h.Write(key)
	return h.Sum64()
}
