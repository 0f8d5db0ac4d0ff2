package version

import (
	"bytes"
	"cmp"
	"slices"
)

// Cell is the unit that is stored, replicated and repaired: the versions of
// one (key, field) and its counter totals. A Cell never changes once it is
// built; it carries its own encoding, which its values alias. A nil *Cell is
// the cell that was never written.
type Cell struct {
	Versions []Version // sorted by dot, none in another's past
	Totals   []Total   // sorted by actor

	enc    []byte
	digest uint64
}

// NewCell builds a cell, taking ownership of both slices. It sorts them but
// does not merge: the caller vouches that no version is in another's past.
// It returns nil for no versions and no totals.
func NewCell(versions []Version, totals []Total) *Cell {
	if len(versions) == 0 && len(totals) == 0 {
		return nil
	}
	if len(versions) > 1 {
		slices.SortFunc(versions, func(a, b Version) int { return a.Dot.Compare(b.Dot) })
	}
	if len(totals) > 1 {
		slices.SortFunc(totals, func(a, b Total) int { return a.Actor.Compare(b.Actor) })
	}
	c := &Cell{Versions: versions, Totals: totals}
	c.encode()
	return c
}

// single is a cell and room for its only version: nearly every cell has one,
// and then takes one allocation.
type single struct {
	Cell
	one [1]Version
}

// newSingle returns the cell that holds v alone.
func newSingle(v Version) *Cell {
	c := &single{one: [1]Version{v}}
	c.Versions = c.one[:]
	c.encode()
	return &c.Cell
}

// Bytes returns the cell's canonical encoding, not to be changed; nil for nil.
func (c *Cell) Bytes() []byte {
	if c == nil {
		return nil
	}
	return c.enc
}

// Digest returns the hash that replicas compare: over dots, pasts, times,
// flags, expiries and totals, not over values, so that it is the same before
// and after an expired value's bytes are dropped. It is 0 for nil.
func (c *Cell) Digest() uint64 {
	if c == nil {
		return 0
	}
	return c.digest
}

// Merge returns every version of a and b whose dot is in no other version's
// past, and for each actor the higher total. It is commutative, associative
// and idempotent (law 1). Where the answer is a or b, that pointer is
// returned.
func Merge(a, b *Cell) *Cell {
	switch {
	case a == nil:
		return b
	case b == nil || a == b || a.digest == b.digest && bytes.Equal(a.enc, b.enc):
		return a
	}
	if len(a.Totals)+len(b.Totals) == 0 && len(a.Versions) == 1 && len(b.Versions) == 1 {
		// Nearly every merge: one write replaces another.
		switch v, w := &a.Versions[0], &b.Versions[0]; {
		case w.Past.Contains(v.Dot) && !v.Past.Contains(w.Dot):
			return b
		case v.Past.Contains(w.Dot) && !w.Past.Contains(v.Dot):
			return a
		}
	}
	totals, totalsA, totalsB := mergeTotals(a.Totals, b.Totals)
	versions, versionsA, versionsB := mergeVersions(a.Versions, b.Versions)
	switch {
	case totalsA && versionsA:
		return a
	case totalsB && versionsB:
		return b
	}
	return NewCell(versions, totals)
}

// mergeVersions also reports whether the answer is a's, or b's, list.
func mergeVersions(a, b []Version) (out []Version, isA, isB bool) {
	isA, isB = true, true
	for i := range a {
		v, w := &a[i], findVersion(b, a[i].Dot)
		if covered(v.Dot, a) || covered(v.Dot, b) {
			isA, isB = false, isB && w == nil
			continue
		}
		switch {
		case w == nil:
			isB = false
		case sameCopy(v, w):
		case preferred(w, v):
			v, isA = w, false
		default:
			isB = false
		}
		out = append(out, *v)
	}
	for j := range b {
		if findVersion(a, b[j].Dot) != nil {
			continue
		}
		if covered(b[j].Dot, a) || covered(b[j].Dot, b) {
			isB = false
			continue
		}
		out, isA = append(out, b[j]), false
	}
	return out, isA, isB
}

func findVersion(vs []Version, d Dot) *Version {
	for i := range vs {
		if vs[i].Dot == d {
			return &vs[i]
		}
	}
	return nil
}

// covered reports whether d is in the past of any of vs.
func covered(d Dot, vs []Version) bool {
	for i := range vs {
		if vs[i].Past.Contains(d) {
			return true
		}
	}
	return false
}

// preferred decides between two different copies of one version. Only a
// dropped value can tell them apart; the order is total all the same, so that
// merge stays a function of its input whatever a damaged node sends.
func preferred(v, w *Version) bool {
	if (v.Value == nil) != (w.Value == nil) {
		return v.Value != nil
	}
	return cmp.Or(cmp.Compare(v.Time, w.Time), cmp.Compare(v.Expiry, w.Expiry), bytes.Compare(v.Value, w.Value)) > 0
}

func sameCopy(v, w *Version) bool {
	return (v.Value == nil) == (w.Value == nil) && v.Time == w.Time && v.Expiry == w.Expiry && bytes.Equal(v.Value, w.Value)
}

// mergeTotals also reports whether the answer is a's, or b's, list.
func mergeTotals(a, b []Total) (out []Total, isA, isB bool) {
	isA, isB = true, true
	if len(a)+len(b) == 0 {
		return nil, true, true
	}
	out = make([]Total, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch c := a[0].Actor.Compare(b[0].Actor); {
		case c < 0:
			out, a, isB = append(out, a[0]), a[1:], false
		case c > 0:
			out, b, isA = append(out, b[0]), b[1:], false
		default:
			t := a[0]
			if compareTotals(b[0], t) > 0 {
				t = b[0]
			}
			isA, isB = isA && t == a[0], isB && t == b[0]
			out, a, b = append(out, t), a[1:], b[1:]
		}
	}
	isA, isB = isA && len(b) == 0, isB && len(a) == 0
	return append(append(out, a...), b...), isA, isB
}

// compareTotals orders two totals of one actor: by count, and then by whatever
// else tells them apart, which only damage can.
func compareTotals(a, b Total) int {
	return cmp.Or(cmp.Compare(a.Count, b.Count), cmp.Compare(a.Sum, b.Sum), a.Base.Compare(b.Base), cmp.Compare(a.From, b.From))
}

// Highest returns the highest counter of a dot of a, or count of a's
// increments, that the cell shows: what a new one must exceed.
func (c *Cell) Highest(a Actor) uint64 {
	if c == nil {
		return 0
	}
	var h uint64
	for i := range c.Versions {
		v := &c.Versions[i]
		if v.Dot.Actor == a {
			h = max(h, v.Dot.Counter)
		}
		h = max(h, v.Past.Highest(a), findSeen(v.Seen, a).Count)
	}
	for _, t := range c.Totals {
		if t.Actor == a {
			h = max(h, t.Count)
		}
	}
	return h
}

// Context returns what a reader of the cell has seen: every version's clock,
// tombstones included, and the totals.
func (c *Cell) Context() Context {
	if c == nil {
		return Context{}
	}
	if len(c.Versions) == 1 && len(c.Totals) == 0 {
		return Context{Past: c.Versions[0].Clock(), Totals: c.Versions[0].Seen}
	}
	var x Context
	for i := range c.Versions {
		x.Past = x.Past.Union(c.Versions[i].Clock())
		x.Totals = unionSeen(x.Totals, c.Versions[i].Seen)
	}
	if len(c.Totals) > 0 {
		own := make([]Seen, len(c.Totals))
		for i, t := range c.Totals {
			own[i] = Seen{Actor: t.Actor, Count: t.Count, Sum: t.Sum}
		}
		x.Totals = unionSeen(x.Totals, own)
	}
	return x
}

func unionSeen(a, b []Seen) []Seen {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := make([]Seen, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch c := a[0].Actor.Compare(b[0].Actor); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			s := a[0]
			if b[0].Count > s.Count {
				s = b[0]
			}
			out, a, b = append(out, s), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// Stripped returns the cell without its values' bytes, under the same digest:
// enough to tell which keys are alive.
func (c *Cell) Stripped() *Cell {
	if c == nil {
		return nil
	}
	vs := slices.Clone(c.Versions)
	for i := range vs {
		vs[i].Value = nil
	}
	return NewCell(vs, c.Totals)
}
