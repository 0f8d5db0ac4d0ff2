package ring

import (
	"encoding/binary"
	"slices"
)

// builder makes a ring's preferences out of a replay's arcs, each once.
type builder struct {
	state *state
	ring  *Ring
	prefs map[string]uint16 // by owners, coming, fallbacks and width
	sets  map[string]int    // by the sets of owners and coming
	key   []byte
	order []int16
}

// preference returns where in the ring's preferences the arc's is. The order
// is that of all members, met from the arc.
func (b *builder) preference(a *arc, order []int16) uint16 {
	coming := make([]int16, len(a.coming))
	for i, c := range a.coming {
		coming[i] = c.member
	}
	fallbacks := b.order[:0]
	for _, m := range order {
		if !slices.Contains(a.present, m) && !slices.Contains(coming, m) {
			fallbacks = append(fallbacks, m)
		}
	}
	b.order = fallbacks
	b.key = appendList(appendList(appendList(b.key[:0], a.present), coming), fallbacks)
	b.key = append(b.key, byte(a.width))
	i, ok := b.prefs[string(b.key)]
	if !ok {
		i = uint16(len(b.ring.prefs))
		b.prefs[string(b.key)] = i
		b.ring.prefs = append(b.ring.prefs, Preference{
			Owners:    b.names(a.present),
			Coming:    b.names(coming),
			Fallbacks: b.names(fallbacks),
			Set:       b.set(a.present, coming),
			Width:     a.width,
		})
	}
	return i
}

func (b *builder) set(owners, coming []int16) int {
	sorted := func(l []int16) []int16 {
		l = slices.Clone(l)
		slices.Sort(l)
		return l
	}
	key := string(appendList(appendList(nil, sorted(owners)), sorted(coming)))
	if _, ok := b.sets[key]; !ok {
		b.sets[key] = len(b.sets)
	}
	return b.sets[key]
}

func (b *builder) names(members []int16) []string {
	if len(members) == 0 {
		return nil
	}
	out := make([]string, len(members))
	for i, m := range members {
		out[i] = b.state.members[m].Name
	}
	return out
}

// assign notes what the arc's coming owners have to do; joined says that the
// arc before has the same preference.
func (b *builder) assign(a *arc, joined bool) {
	for _, c := range a.coming {
		if c.ready {
			continue
		}
		name := b.state.members[c.member].Name
		list := b.ring.coming[name]
		if n := len(list); joined && n > 0 && list[n-1].Since == c.since && list[n-1].Range.Hi+1 == a.lo {
			list[n-1].Range.Hi = a.hi
			continue
		}
		b.ring.coming[name] = append(list, Assignment{Range: Range{a.lo, a.hi}, Since: c.since})
	}
}

func appendList(dst []byte, l []int16) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(l)))
	for _, m := range l {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(m))
	}
	return dst
}
