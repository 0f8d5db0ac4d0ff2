package sim

import (
	"fmt"
	"slices"

	"github.com/dynaring/dynaring/storage/version"
)

// sibling is an acknowledged DPut or DDel, and what may have replaced it.
type sibling struct {
	*Op
	dot version.Dot
	// first is the write that had seen it and began first, nil if there is
	// none: before its start the sibling must be there.
	first *Op
	// gone[W] is the first such write that W owners acknowledged: a read that
	// must see it must not see the sibling.
	gone map[int]*Op
	// ends: it is a delete, or it may have ended in one, or have expired, so
	// that nothing need be left of it.
	ends bool
}

// siblings checks that every acknowledged sibling write has a dot of its own,
// and that its context is what it was given and that dot, no more.
func (c *checker) siblings(ops []*Op) []*sibling {
	var all []*sibling
	minted := make(map[version.Dot]*Op)
	for _, o := range ops {
		if o.Outcome != Acked || o.Kind != DPut && o.Kind != DDel {
			continue
		}
		d, ok := o.dot()
		if !ok {
			c.report("the context of a write is not what it was given and one dot", o)
			continue
		}
		if other := minted[d]; other != nil {
			c.report(fmt.Sprintf("dot %v was minted twice", d), other, o)
		}
		minted[d] = o
		all = append(all, &sibling{Op: o, dot: d, gone: make(map[int]*Op)})
	}
	for _, o := range ops {
		if o.Given == nil || o.Outcome == Failed {
			continue
		}
		for _, s := range all {
			if o.Given.Past.Contains(s.dot) {
				s.replacedBy(o)
			}
		}
	}
	ending := endings(ops, minted)
	for _, s := range all {
		s.ends = ending[s.Op]
	}
	return all
}

// endings returns the writes of which nothing need be left: those that are dead
// themselves, sooner or later, and those that such a write may have replaced.
func endings(ops []*Op, minted map[version.Dot]*Op) map[*Op]bool {
	dots := make(map[*Op]version.Dot)
	for d, o := range minted {
		dots[o] = d
	}
	ending := make(map[*Op]bool)
	var found []*Op // those that end, the later ones first
	for _, o := range slices.Backward(ops) {
		if o.Outcome == Failed || o.Kind != DPut && o.Kind != DDel {
			continue
		}
		d, known := dots[o] // nobody knows the dot of what is uncertain
		if o.Kind == DDel || o.TTL > 0 || slices.ContainsFunc(found, func(p *Op) bool {
			return p.Given != nil && p.Start > o.Start && (!known || p.Given.Past.Contains(d))
		}) {
			ending[o] = true
			found = append(found, o)
		}
	}
	return ending
}

// replacedBy notes a write that had seen the sibling.
func (s *sibling) replacedBy(o *Op) {
	if s.first == nil || o.Start < s.first.Start {
		s.first = o
	}
	if g := s.gone[o.W]; o.Outcome == Acked && (g == nil || o.End < g.End) {
		s.gone[o.W] = o
	}
}

// dot returns the dot of an acknowledged DPut or DDel.
func (o *Op) dot() (d version.Dot, ok bool) {
	var given version.Past
	if o.Given != nil {
		given = o.Given.Past
	}
	for _, p := range o.Got.Past {
		if n := p.Highest(); n > given.Highest(p.Actor) {
			if ok {
				return d, false
			}
			d, ok = version.Dot{Actor: p.Actor, Counter: n}, true
		}
	}
	return d, ok && samePast(o.Got.Past, given.With(d, 0))
}

// samePast reports whether two pasts hold the same dots.
func samePast(a, b version.Past) bool {
	return slices.EqualFunc(a, b, func(p, q version.Pair) bool {
		return p.Actor == q.Actor && p.Base == q.Base && slices.Equal(p.Extra, q.Extra)
	})
}

// register: a sibling is there from its acknowledgement until a write that had
// seen it is acknowledged; between that write's start and its acknowledgement
// it may be either way.
func (c *checker) register(r *Op, siblings []*sibling) {
	for _, s := range siblings {
		if !c.sees(r, s.Op) {
			continue
		}
		if !r.Got.Past.Contains(s.dot) && s.ends {
			continue // collected
		}
		if !r.Got.Past.Contains(s.dot) {
			c.report(fmt.Sprintf("a read has not seen %v, which was acknowledged before", s.dot), s.Op, r)
			continue
		}
		there := slices.Contains(r.Values, s.Value)
		if s.Kind == DPut && !there && s.TTL == 0 && (s.first == nil || s.first.Start >= r.End) {
			c.report("a value is gone that nobody who had seen it has replaced", s.Op, r)
		}
	}
}

// revived: what was replaced is not read any more.
func (c *checker) revived(r *Op, siblings []*sibling) {
	for _, s := range siblings {
		if s.Kind != DPut || !slices.Contains(r.Values, s.Value) {
			continue
		}
		if by := c.goneBefore(s, r); by != nil {
			c.report("a value is back that an acknowledged write had replaced", s.Op, by, r)
		}
	}
}

// goneBefore returns a write that replaced the sibling, so that r, which may
// have missed other writes, must not see it.
func (c *checker) goneBefore(s *sibling, r *Op) *Op {
	for _, w := range sortedKeys(s.gone) {
		if by := s.gone[w]; c.sees(r, by) || c.final(by, r) {
			return by
		}
	}
	return nil
}
