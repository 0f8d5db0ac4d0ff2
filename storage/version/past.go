package version

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Range is the counters Lo to Hi, both included; Lo ≤ Hi.
type Range struct{ Lo, Hi uint64 }

// Pair is one actor's share of a past: the counters 1 to Base, and those of
// Extra, which is sorted, without overlaps or neighbours, each Lo > Base+1.
// Extra is nearly always empty: the pair is then the paper's (actor, counter).
// Time is the newest timestamp among the actor's dots in the past; it decides
// which pair is the oldest when a clock is cut (paper, 4.4).
type Pair struct {
	Actor Actor
	Base  uint64
	Extra []Range
	Time  Timestamp
}

// Highest returns the pair's highest counter.
func (p Pair) Highest() uint64 {
	if n := len(p.Extra); n > 0 {
		return p.Extra[n-1].Hi
	}
	return p.Base
}

func (p Pair) contains(counter uint64) bool {
	if counter <= p.Base {
		return counter > 0
	}
	for _, r := range p.Extra {
		if counter <= r.Hi {
			return counter >= r.Lo
		}
	}
	return false
}

// Past is an exact set of dots, one Pair an actor, sorted by actor. A Past is
// a value: no function of this package changes one that it was given.
type Past []Pair

func (p Past) find(a Actor) (int, bool) {
	// Clocks have a handful of pairs: a walk beats a binary search.
	for i := range p {
		if c := p[i].Actor.Compare(a); c >= 0 {
			return i, c == 0
		}
	}
	return len(p), false
}

// Contains reports whether d is in the set.
func (p Past) Contains(d Dot) bool {
	i, ok := p.find(d.Actor)
	return ok && p[i].contains(d.Counter)
}

// Highest returns the highest counter of a in the set, 0 if it has none.
func (p Past) Highest(a Actor) uint64 {
	if i, ok := p.find(a); ok {
		return p[i].Highest()
	}
	return 0
}

// With returns p with the dot d, minted at t.
func (p Past) With(d Dot, t Timestamp) Past {
	i, ok := p.find(d.Actor)
	if !ok {
		q := make(Past, 0, len(p)+1)
		q = append(append(q, p[:i]...), singlePair(d, t))
		return append(q, p[i:]...)
	}
	q := slices.Clone(p)
	if pair := &q[i]; d.Counter == pair.Base+1 && len(pair.Extra) == 0 {
		// Nearly every write: the actor's next one.
		pair.Base, pair.Time = d.Counter, max(pair.Time, t)
		return q
	}
	q[i] = unionPair(q[i], singlePair(d, t))
	return q
}

func singlePair(d Dot, t Timestamp) Pair {
	if d.Counter == 1 {
		return Pair{Actor: d.Actor, Base: 1, Time: t}
	}
	return Pair{Actor: d.Actor, Extra: []Range{{d.Counter, d.Counter}}, Time: t}
}

// Union returns the dots of both sets.
func (p Past) Union(q Past) Past {
	if len(p) == 0 {
		return q
	}
	if len(q) == 0 {
		return p
	}
	out := make(Past, 0, max(len(p), len(q)))
	for len(p) > 0 && len(q) > 0 {
		switch c := p[0].Actor.Compare(q[0].Actor); {
		case c < 0:
			out, p = append(out, p[0]), p[1:]
		case c > 0:
			out, q = append(out, q[0]), q[1:]
		default:
			out, p, q = append(out, unionPair(p[0], q[0])), p[1:], q[1:]
		}
	}
	return append(append(out, p...), q...)
}

// unionPair joins two pairs of one actor.
func unionPair(a, b Pair) Pair {
	out := Pair{Actor: a.Actor, Base: max(a.Base, b.Base), Time: max(a.Time, b.Time)}
	if len(a.Extra) == 0 && len(b.Extra) == 0 {
		return out
	}
	all := append(slices.Clone(a.Extra), b.Extra...)
	slices.SortFunc(all, func(x, y Range) int { return cmp.Compare(x.Lo, y.Lo) })
	for _, r := range all {
		n := len(out.Extra)
		switch {
		case r.Lo <= out.Base+1:
			out.Base = max(out.Base, r.Hi)
		case n > 0 && r.Lo <= out.Extra[n-1].Hi+1:
			out.Extra[n-1].Hi = max(out.Extra[n-1].Hi, r.Hi)
		default:
			out.Extra = append(out.Extra, r)
		}
	}
	return out
}

// cut returns p with its oldest pairs taken off until limit are left. A pair
// that keep answers true for stays, so the limit may be exceeded.
func (p Past) cut(limit int, keep func(Pair) bool) Past {
	if len(p) <= limit {
		return p
	}
	p = slices.Clone(p)
	for len(p) > limit {
		oldest := -1
		for i := range p {
			if (oldest < 0 || p[i].Time < p[oldest].Time) && !keep(p[i]) {
				oldest = i
			}
		}
		if oldest < 0 {
			break
		}
		p = slices.Delete(p, oldest, oldest+1)
	}
	return p
}

// FormatClock prints a vector clock as the paper does, each actor by its
// highest counter, ordered by name: "[(n1,2),(n2,1)]".
func FormatClock(p Past, name func(Actor) string) string {
	pairs := make([]string, len(p))
	for i := range p {
		pairs[i] = fmt.Sprintf("(%s,%d)", name(p[i].Actor), p[i].Highest())
	}
	slices.Sort(pairs)
	return "[" + strings.Join(pairs, ",") + "]"
}
