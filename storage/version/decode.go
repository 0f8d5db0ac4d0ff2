package version

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"
)

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
		d.base(&t)
		d.check(i == 0 || totals[i-1].Actor.Compare(t.Actor) < 0)
		totals[i] = t
	}
	return totals
}

func (d *decoder) base(t *Total) {
	at, n := d.uint(), uint64(len(d.actors))
	later := at > n // a from follows
	if later {
		at -= n + 1
	}
	if at > n {
		d.check(false)
		return
	}
	if at > 0 {
		t.Base = Dot{Actor: d.actors[at-1], Counter: d.counter()}
		d.check(t.Base.Counter > 0)
	}
	if later {
		t.From = d.counter()
		d.check(t.From > 0 && t.From < t.Count)
	}
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
