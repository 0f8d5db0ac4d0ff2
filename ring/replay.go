package ring

import (
	"math/bits"
	"slices"
	"strings"
)

// Replay returns the ring that the history gives. Events that make no sense
// are ignored, so that all nodes ignore the same. It fails only, with
// [ErrNoCluster] or [ErrBadConfig], where no ring can be made of h at all.
func Replay(h *History) (*Ring, error) {
	var s *state
	var bad error
	for i := range h.Events() {
		e := &h.events[i]
		switch {
		case e.Kind == Found && s == nil:
			if err := e.Config.Validate(); err != nil {
				bad = err
				continue
			}
			s = newState(*e.Config)
		case s == nil:
		case e.Kind == Join:
			s.join(e)
		case e.Kind == Ready:
			s.ready(e)
		}
	}
	switch {
	case s != nil:
		return s.ring(), nil
	case bad != nil:
		return nil, bad
	}
	return nil, ErrNoCluster
}

// state is what a replay has come to.
type state struct {
	config  Config
	layout  *layout
	members []Member // in the order of their joins
	zones   map[string]int
	arcs    []arc // all slots, in order
}

// arc is neighbouring slots of one partition that changed together.
//
// A slot's owners change so: the present ones own it, until all of target that
// are not present (they are coming) have announced that they hold it; then
// target is present. A member that lost its data is taken out of present and
// comes again.
type arc struct {
	lo, hi  uint16
	present []int16
	width   int     // len(present), or what it was before one lost its data
	target  []int16 // shared by arcs, never changed
	coming  []comer // target − present, in target's order
}

// comer is a member on its way to own an arc since an event.
type comer struct {
	member int16
	since  EventID
	ready  bool
}

func newState(c Config) *state {
	s := &state{config: c, layout: newLayout(c), zones: map[string]int{}, arcs: make([]arc, c.Partitions)}
	size := Slots / c.Partitions
	for p := range s.arcs {
		s.arcs[p] = arc{lo: uint16(p * size), hi: uint16(p*size + size - 1)}
	}
	return s
}

func (s *state) find(name string) int16 {
	return int16(slices.IndexFunc(s.members, func(m Member) bool { return m.Name == name }))
}

// join adds a member, or has one that lost its data come again. It ignores a
// member that is there already, and a data directory that is under another
// name.
func (s *state) join(e *Event) {
	if slices.ContainsFunc(s.members, func(m Member) bool { return m.Actor == e.Actor }) {
		return
	}
	if m := s.find(e.Name); m >= 0 {
		s.members[m].Actor, s.members[m].Joined = e.Actor, e.ID
		s.lost(m, e.ID)
		return
	}
	if len(s.members) == maxMembers {
		return
	}
	zone, ok := s.zones[e.Zone]
	if !ok {
		zone = len(s.zones)
		s.zones[e.Zone] = zone
	}
	s.members = append(s.members, Member{Name: e.Name, Actor: e.Actor, Weight: e.Weight, Zone: e.Zone, Joined: e.ID})
	s.layout.add(e.Weight, zone)
	s.retarget(e.ID)
}

// lost has a member come again to all that it owned or was coming to.
func (s *state) lost(m int16, since EventID) {
	for i := range s.arcs {
		a := &s.arcs[i]
		if k := slices.Index(a.present, m); k >= 0 {
			a.present = slices.Delete(slices.Clone(a.present), k, k+1)
		}
		for k := range a.coming {
			if a.coming[k].member == m {
				a.coming[k] = comer{member: m, since: since}
			}
		}
		a.aim(a.target, since)
	}
}

// retarget gives every arc the owners that the layout now says.
func (s *state) retarget(since EventID) {
	size := Slots / s.config.Partitions
	next := len(s.arcs) // arcs from here on are done
	targets := make([]int16, 0, s.config.Partitions*s.config.N)
	s.layout.orders(func(p int, order []int16) {
		from := len(targets)
		targets = s.layout.owners(targets[from:from], order)
		target := slices.Clip(targets)
		targets = targets[len(targets):]
		for ; next > 0 && int(s.arcs[next-1].lo)/size == p; next-- {
			s.arcs[next-1].aim(target, since)
		}
	})
}

// aim sets the arc's target. Who is coming already stays as far as it is; who
// is new comes since the event.
func (a *arc) aim(target []int16, since EventID) {
	a.target = target
	was := a.coming
	a.coming = nil
	for _, m := range target {
		if slices.Contains(a.present, m) {
			continue
		}
		c := comer{member: m, since: since}
		if i := slices.IndexFunc(was, func(c comer) bool { return c.member == m }); i >= 0 {
			c = was[i]
		}
		a.coming = append(a.coming, c)
	}
	a.settle()
}

// settle makes the target present once nobody is missing; or where nobody
// present is left who could hold anything.
func (a *arc) settle() {
	missing := slices.ContainsFunc(a.coming, func(c comer) bool { return !c.ready })
	if len(a.present) > 0 && missing {
		return
	}
	a.present, a.width, a.coming = a.target, len(a.target), nil
}

// ready notes what a coming owner announced. What it is not coming to, or not
// since that event, is ignored.
func (s *state) ready(e *Event) {
	m := s.find(e.Name)
	if m < 0 {
		return
	}
	for _, r := range e.Slots {
		s.split(r.Lo)
		if r.Hi < Slots-1 {
			s.split(r.Hi + 1)
		}
		for i := s.at(r.Lo); i < len(s.arcs) && s.arcs[i].lo <= r.Hi; i++ {
			a := &s.arcs[i]
			for k := range a.coming {
				if c := &a.coming[k]; c.member == m && c.since == e.Since {
					c.ready = true
					a.settle()
					break
				}
			}
		}
	}
}

// at returns the arc that holds the slot.
func (s *state) at(slot uint16) int {
	i, found := slices.BinarySearchFunc(s.arcs, slot, func(a arc, slot uint16) int { return int(a.lo) - int(slot) })
	if !found {
		i--
	}
	return i
}

// split makes an arc begin at the slot.
func (s *state) split(slot uint16) {
	i := s.at(slot)
	if s.arcs[i].lo == slot {
		return
	}
	right := s.arcs[i]
	right.lo, right.coming = slot, slices.Clone(right.coming)
	s.arcs[i].hi = slot - 1
	s.arcs = slices.Insert(s.arcs, i+1, right)
}

// ring builds the slot table.
func (s *state) ring() *Ring {
	r := &Ring{config: s.config, coming: map[string][]Assignment{}}
	r.shift = uint(bits.TrailingZeros(uint(Slots / s.config.Partitions)))
	b := builder{state: s, ring: r, prefs: map[string]uint16{}, sets: map[string]int{}}
	size := Slots / s.config.Partitions
	next := len(s.arcs)
	at := make([]uint16, len(s.arcs))
	s.layout.orders(func(p int, order []int16) {
		for ; next > 0 && int(s.arcs[next-1].lo)/size == p; next-- {
			at[next-1] = b.preference(&s.arcs[next-1], order)
		}
	})
	for i := range s.arcs {
		a := &s.arcs[i]
		for slot := int(a.lo); slot <= int(a.hi); slot++ {
			r.index[slot] = at[i]
		}
		b.assign(a, i > 0 && at[i] == at[i-1])
	}
	for m := range s.members {
		s.members[m].Tokens = s.layout.count[m]
	}
	r.members = s.members
	slices.SortFunc(r.members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return r
}
