package version

import (
	"encoding/binary"
	"fmt"
	"math"
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
//	base     0, or 1 + actor, counter
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
		e.base(t.Base)
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

func (e *encoder) base(d Dot) {
	if d.IsZero() {
		e.uint(0)
		return
	}
	e.uint(uint64(slices.Index(e.actors, d.Actor)) + 1)
	e.uint(d.Counter)
}

// DecodeCell reads an encoding whole. The cell aliases b, which must not
// change afterwards. It fails with [ErrCorrupt], and returns nil for no bytes.
func DecodeCell(b []byte) (*Cell, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if len(b) < offsetMeta || b[0] != formatCell {
		return nil, fmt.Errorf("%w: %d bytes of format %d", ErrCorrupt, len(b), b[0])
	}
	length := binary.LittleEndian.Uint32(b[offsetLength:])
	if uint64(length) > uint64(len(b)-offsetMeta) {
		return nil, fmt.Errorf("%w: metadata of %d bytes in %d", ErrCorrupt, length, len(b))
	}
	meta := b[offsetMeta : offsetMeta+int(length)]
	cell := &single{Cell: Cell{enc: b, digest: DigestOf(b)}}
	if xxhash.Sum64(meta) != cell.digest {
		return nil, fmt.Errorf("%w: digest mismatch", ErrCorrupt)
	}
	d := decoder{buf: meta}
	d.actorTable()
	if n := d.count(minVersionBytes); n == 1 {
		cell.Versions = cell.one[:]
	} else if n > 1 {
		cell.Versions = make([]Version, n)
	}
	for i := range cell.Versions {
		d.version(&cell.Versions[i])
		d.check(i == 0 || cell.Versions[i-1].Dot.Compare(cell.Versions[i].Dot) < 0)
	}
	cell.Totals = d.totals()
	d.check(len(d.buf) == 0 && len(cell.Versions)+len(cell.Totals) > 0)
	d.buf = b[offsetMeta+int(length):]
	for i := range cell.Versions {
		cell.Versions[i].Value = d.value()
	}
	d.check(len(d.buf) == 0)
	if d.bad {
		return nil, fmt.Errorf("%w: malformed metadata", ErrCorrupt)
	}
	return &cell.Cell, nil
}

// Least bytes that one item takes: they bound what a count can make a decoder
// allocate by the bytes that are really there.
const (
	minActorBytes   = 9
	minVersionBytes = 14
	minPairBytes    = 11
	minRangeBytes   = 2
	minSeenBytes    = 3
	minTotalBytes   = 4
)

// maxCounter bounds counters, so that adding to one cannot wrap.
const maxCounter = math.MaxInt64

// decoder reads the parts that cells and contexts share. The first thing amiss
// sets bad and empties buf: everything after it reads as zero.
type decoder struct {
	buf    []byte
	bad    bool
	actors []Actor
	room   [8]Actor
}

func (d *decoder) check(ok bool) {
	if !ok {
		d.bad, d.buf = true, nil
	}
}

func (d *decoder) uint() uint64 {
	if len(d.buf) > 0 && d.buf[0] < 0x80 {
		n := d.buf[0]
		d.buf = d.buf[1:]
		return uint64(n)
	}
	n, w := binary.Uvarint(d.buf)
	if w <= 0 {
		d.check(false)
		return 0
	}
	d.buf = d.buf[w:]
	return n
}

func (d *decoder) int() int64 {
	n, w := binary.Varint(d.buf)
	if w <= 0 {
		d.check(false)
		return 0
	}
	d.buf = d.buf[w:]
	return n
}

func (d *decoder) counter() uint64 {
	n := d.uint()
	d.check(n <= maxCounter)
	return n
}

func (d *decoder) time() Timestamp {
	if len(d.buf) < 8 {
		d.check(false)
		return 0
	}
	t := Timestamp(binary.LittleEndian.Uint64(d.buf))
	d.buf = d.buf[8:]
	return t
}

// count reads a number of items that take at least size bytes each.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.buf)/size) {
		d.check(false)
		return 0
	}
	return int(n)
}

func (d *decoder) actorTable() {
	n := d.count(minActorBytes)
	d.actors = d.room[:0]
	for i := range n {
		if len(d.buf) < 8 {
			d.check(false)
			return
		}
		a := Actor{ID: binary.BigEndian.Uint64(d.buf)}
		d.buf = d.buf[8:]
		inc := d.uint()
		d.check(inc <= math.MaxUint32)
		a.Inc = uint32(inc)
		d.check(i == 0 || d.actors[i-1].Compare(a) < 0)
		d.actors = append(d.actors, a)
	}
}

func (d *decoder) actor() Actor {
	i := d.uint()
	if i >= uint64(len(d.actors)) {
		d.check(false)
		return Actor{}
	}
	return d.actors[i]
}

func (d *decoder) version(v *Version) {
	v.Dot = Dot{Actor: d.actor(), Counter: d.counter()}
	v.Time = d.time()
	if len(d.buf) == 0 {
		d.check(false)
		return
	}
	v.Flags = Flags(d.buf[0])
	d.buf = d.buf[1:]
	expiry := d.uint()
	v.Expiry = int64(expiry)
	d.check(v.Dot.Counter > 0 && v.Flags&^knownFlags == 0 && expiry <= math.MaxInt64)
	v.Past = d.past()
	v.Seen = d.seen()
}

func (d *decoder) past() Past {
	n := d.count(minPairBytes)
	if n == 0 {
		return nil
	}
	p := make(Past, n)
	for i := range p {
		p[i].Actor = d.actor()
		p[i].Base = d.counter()
		end := p[i].Base
		if ranges := d.count(minRangeBytes); ranges > 0 {
			p[i].Extra = make([]Range, ranges)
		}
		for j := range p[i].Extra {
			gap, length := d.counter(), d.counter()
			lo := end + gap
			end = lo + length
			d.check(gap > 1 && lo <= maxCounter && end <= maxCounter)
			p[i].Extra[j] = Range{Lo: lo, Hi: end}
		}
		p[i].Time = d.time()
		d.check(end > 0 && (i == 0 || p[i-1].Actor.Compare(p[i].Actor) < 0))
	}
	return p
}

func (d *decoder) seen() []Seen {
	n := d.count(minSeenBytes)
	if n == 0 {
		return nil
	}
	seen := make([]Seen, n)
	for i := range seen {
		seen[i] = Seen{Actor: d.actor(), Count: d.counter(), Sum: d.int()}
		d.check(i == 0 || seen[i-1].Actor.Compare(seen[i].Actor) < 0)
	}
	return seen
}

func (d *decoder) totals() []Total {
	n := d.count(minTotalBytes)
	if n == 0 {
		return nil
	}
	totals := make([]Total, n)
	for i := range totals {
		t := Total{Actor: d.actor(), Count: d.counter(), Sum: d.int()}
		if at := d.uint(); at > uint64(len(d.actors)) {
			d.check(false)
		} else if at > 0 {
			t.Base = Dot{Actor: d.actors[at-1], Counter: d.counter()}
			d.check(t.Base.Counter > 0)
		}
		d.check(i == 0 || totals[i-1].Actor.Compare(t.Actor) < 0)
		totals[i] = t
	}
	return totals
}

func (d *decoder) value() []byte {
	n := d.uint()
	if n == 0 {
		return nil
	}
	if n-1 > uint64(len(d.buf)) {
		d.check(false)
		return nil
	}
	v := d.buf[: n-1 : n-1]
	d.buf = d.buf[n-1:]
	return v
}
