package version

import (
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// A cell's encoding, the same on disk and between nodes. Integers are unsigned
// varints (i: zig-zag) unless a width is given; fixed widths are little-endian,
// but an actor's id, which is big-endian so that it reads like its hex form.
//
//	┌────────┬────────┬──────────┬───────────────┬────────────────┐
//	│format 1│digest 8│meta len 4│ meta          │ values         │
//	└────────┴────────┴──────────┴───────────────┴────────────────┘
//	meta     actors n, n × (id 8, incarnation)             sorted
//	         versions n, n × version                       sorted by dot
//	         totals n, n × (actor, count, i sum, base)     sorted by actor
//	version  actor, counter, time 8, flags 1, expiry
//	         pairs n, n × (actor, base, ranges n, n × (gap, length), time 8)
//	         seen n, n × (actor, count, i sum)
//	base     0, or 1 + actor, counter; where the total began above 0: the same,
//	         its first number higher by actors + 1, and from
//	values   for each version: 0 where there is none, or 1 + length, bytes
//
// "actor" is an index into actors. A range's gap is its Lo less the end before
// it (Base for the first), its length Hi - Lo. digest is XXH64 of meta.
const (
	formatCell   = 1
	offsetDigest = 1
	offsetLength = offsetDigest + 8
	offsetMeta   = offsetLength + 4
)

// DigestOf returns the digest of an encoded cell without decoding it, 0 for
// bytes too short to be one.
func DigestOf(encoded []byte) uint64 {
	if len(encoded) < offsetMeta {
		return 0
	}
	return binary.LittleEndian.Uint64(encoded[offsetDigest:])
}

// encode fills in enc and digest and makes the values alias enc.
func (c *Cell) encode() {
	size := offsetMeta + 16
	for i := range c.Versions {
		v := &c.Versions[i]
		size += 48 + 24*len(v.Past) + 20*len(v.Seen) + len(v.Value)
	}
	e := encoder{buf: make([]byte, offsetMeta, size+40*len(c.Totals))}
	e.actors = e.room[:0]
	c.collectActors(&e)
	e.actorTable()
	e.uint(uint64(len(c.Versions)))
	for i := range c.Versions {
		e.version(&c.Versions[i])
	}
	e.uint(uint64(len(c.Totals)))
	for _, t := range c.Totals {
		e.actor(t.Actor)
		e.uint(t.Count)
		e.int(t.Sum)
		e.base(t)
	}
	meta := e.buf[offsetMeta:]
	c.digest = xxhash.Sum64(meta)
	e.buf[0] = formatCell
	binary.LittleEndian.PutUint64(e.buf[offsetDigest:], c.digest)
	binary.LittleEndian.PutUint32(e.buf[offsetLength:], uint32(len(meta)))
	e.values(c.Versions)
	c.enc = e.buf
}

// values appends the versions' values, then points each at its copy: only
// when the buffer has stopped growing.
func (e *encoder) values(vs []Version) {
	at := len(e.buf)
	for i := range vs {
		if vs[i].Value == nil {
			e.uint(0)
			continue
		}
		e.uint(uint64(len(vs[i].Value)) + 1)
		e.buf = append(e.buf, vs[i].Value...)
	}
	for i := range vs {
		n, w := binary.Uvarint(e.buf[at:])
		at += w
		if n > 0 {
			end := at + int(n-1)
			vs[i].Value = e.buf[at:end:end]
			at = end
		}
	}
}

func (c *Cell) collectActors(e *encoder) {
	for i := range c.Versions {
		v := &c.Versions[i]
		e.actors = append(e.actors, v.Dot.Actor)
		e.addPast(v.Past)
		e.addSeen(v.Seen)
	}
	for _, t := range c.Totals {
		e.actors = append(e.actors, t.Actor)
		if !t.Base.IsZero() {
			e.actors = append(e.actors, t.Base.Actor)
		}
	}
}

// encoder appends the parts that cells and contexts share.
type encoder struct {
	buf    []byte
	actors []Actor
	room   [8]Actor // most cells know no more actors: no allocation
}

func (e *encoder) addPast(p Past) {
	for i := range p {
		e.actors = append(e.actors, p[i].Actor)
	}
}

func (e *encoder) addSeen(seen []Seen) {
	for _, s := range seen {
		e.actors = append(e.actors, s.Actor)
	}
}

func (e *encoder) actorTable() {
	if len(e.actors) > 1 {
		slices.SortFunc(e.actors, Actor.Compare)
		e.actors = slices.Compact(e.actors)
	}
	e.uint(uint64(len(e.actors)))
	for _, a := range e.actors {
		e.buf = binary.BigEndian.AppendUint64(e.buf, a.ID)
		e.uint(uint64(a.Inc))
	}
}

func (e *encoder) uint(n uint64)    { e.buf = binary.AppendUvarint(e.buf, n) }
func (e *encoder) int(n int64)      { e.buf = binary.AppendVarint(e.buf, n) }
func (e *encoder) time(t Timestamp) { e.buf = binary.LittleEndian.AppendUint64(e.buf, uint64(t)) }
func (e *encoder) actor(a Actor)    { e.uint(uint64(slices.Index(e.actors, a))) }
func (e *encoder) version(v *Version) {
	e.actor(v.Dot.Actor)
	e.uint(v.Dot.Counter)
	e.time(v.Time)
	e.buf = append(e.buf, byte(v.Flags))
	e.uint(uint64(v.Expiry))
	e.past(v.Past)
	e.seen(v.Seen)
}

func (e *encoder) past(p Past) {
	e.uint(uint64(len(p)))
	for i := range p {
		e.actor(p[i].Actor)
		e.uint(p[i].Base)
		e.uint(uint64(len(p[i].Extra)))
		end := p[i].Base
		for _, r := range p[i].Extra {
			e.uint(r.Lo - end)
			e.uint(r.Hi - r.Lo)
			end = r.Hi
		}
		e.time(p[i].Time)
	}
}

func (e *encoder) seen(seen []Seen) {
	e.uint(uint64(len(seen)))
	for _, s := range seen {
		e.actor(s.Actor)
		e.uint(s.Count)
		e.int(s.Sum)
	}
}

func (e *encoder) base(t Total) {
	at := uint64(0)
	if !t.Base.IsZero() {
		at = uint64(slices.Index(e.actors, t.Base.Actor)) + 1
	}
	if t.From > 0 {
		e.uint(at + uint64(len(e.actors)) + 1)
	} else {
		e.uint(at)
	}
	if !t.Base.IsZero() {
		e.uint(t.Base.Counter)
	}
	if t.From > 0 {
		e.uint(t.From)
	}
}
