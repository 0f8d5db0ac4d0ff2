package version

import (
	"fmt"
	"math"
	"slices"
)

// Mint is what a coordinator's replica brings to a write.
type Mint struct {
	Actor       Actor
	Floor       uint64    // no counter or count of Actor starts at or below it (law 3)
	Time        Timestamp // of the write
	Now         int64     // Unix ms: decides what has expired
	ClockMax    int       // pairs kept in a clock; 0: all
	MaxSiblings int       // versions kept in a cell; 0: all
}

// Write is a value or a tombstone to be put into a cell.
type Write struct {
	Tombstone bool
	Value     []byte   // copied
	Expiry    int64    // Unix ms; 0: never
	Context   *Context // what the writer had seen; nil: everything in the cell
}

// Put writes to the cell: it returns the cell afterwards, the smallest cell
// that carries the write to another replica, and the write's dot. It fails
// with [ErrTooManySiblings] and changes nothing.
func (c *Cell) Put(m Mint, w Write) (next, delta *Cell, dot Dot, err error) {
	var seen Context
	if w.Context != nil {
		seen = *w.Context
	} else {
		seen = c.Context()
	}
	highest := max(c.Highest(m.Actor), seen.Past.Highest(m.Actor), m.Floor)
	if highest >= math.MaxInt64 {
		return nil, nil, Dot{}, fmt.Errorf("%w: counter %d of actor %v", ErrOverflow, highest, m.Actor)
	}
	dot = Dot{Actor: m.Actor, Counter: highest + 1}
	v := Version{Dot: dot, Past: c.cutPast(seen.Past, m), Time: m.Time, Expiry: w.Expiry, Seen: seen.Totals}
	if w.Tombstone {
		v.Flags, v.Expiry = Tombstone, 0
	} else if v.Value = w.Value; v.Value == nil {
		v.Value = []byte{}
	}
	delta = newSingle(v)
	next = Merge(c, delta)
	if c != nil && m.MaxSiblings > 0 && len(next.Versions) > max(m.MaxSiblings, len(c.Versions)) {
		return nil, nil, Dot{}, fmt.Errorf("%w (the limit is %d)", ErrTooManySiblings, m.MaxSiblings)
	}
	return next, delta, dot, nil
}

// cutPast bounds the clock of a new version to m.ClockMax pairs, the new dot's
// among them. A pair that holds the dot of a version now in the cell stays:
// without it the write would not replace what its writer has seen.
func (c *Cell) cutPast(p Past, m Mint) Past {
	limit := m.ClockMax
	if limit <= 0 || len(p) < limit {
		return p
	}
	if _, ok := p.find(m.Actor); !ok {
		limit--
	}
	return p.cut(limit, func(pair Pair) bool {
		return pair.Actor == m.Actor || c != nil && slices.ContainsFunc(c.Versions, func(v Version) bool {
			return v.Dot.Actor == pair.Actor && pair.contains(v.Dot.Counter)
		})
	})
}

// Increment adds by to the cell's number for m.Actor. On an absent or expired
// cell it first writes a version holding 0. It returns the cell afterwards,
// the smallest cell that carries the increment, and the number that a plain
// read now answers. It fails with [ErrNotInteger] or [ErrOverflow] and changes
// nothing.
func (c *Cell) Increment(m Mint, by int64) (next, delta *Cell, number int64, err error) {
	s, ok := c.Winner(m.Now)
	var made []Version
	if !ok {
		zero, d, _, err := c.Put(m, Write{Value: []byte("0")})
		if err != nil {
			return nil, nil, 0, err
		}
		c, made = zero, slices.Clone(d.Versions)
		s = Sibling{Version: &d.Versions[0], Value: d.Versions[0].Value}
	}
	number, ok = ParseInteger(s.Value)
	if !ok {
		return nil, nil, 0, ErrNotInteger
	}
	if by > 0 && number > math.MaxInt64-by || by < 0 && number < math.MinInt64-by {
		return nil, nil, 0, ErrOverflow
	}
	own := c.grow(m, by, s.Version.Dot)
	delta = NewCell(made, []Total{own})
	totals, _, _ := mergeTotals(c.Totals, delta.Totals)
	return NewCell(slices.Clone(c.Versions), totals), delta, number + by, nil
}

// grow returns m.Actor's total after one more increment, applied on base. A
// total that the cell holds goes on. Where it holds none, its count begins
// above the floor: of what was seen at or below, the cell was collected.
func (c *Cell) grow(m Mint, by int64, base Dot) Total {
	own := Total{Actor: m.Actor}
	if held := c.total(m.Actor); held != nil {
		own = *held
	}
	for i := range c.Versions {
		if s := findSeen(c.Versions[i].Seen, m.Actor); s.Count > own.Count {
			own.Count, own.Sum, own.From = s.Count, s.Sum, 0
		}
	}
	if own.Count <= m.Floor && c.total(m.Actor) == nil {
		own.Count, own.Sum, own.From = m.Floor, 0, m.Floor
	}
	own.Count++
	own.Sum += by
	own.Base = base
	return own
}

func (c *Cell) total(a Actor) *Total {
	for i := range c.Totals {
		if c.Totals[i].Actor == a {
			return &c.Totals[i]
		}
	}
	return nil
}
