package version

import (
	"cmp"
	"fmt"
)

// Actor names one minter of dots: a data directory between two unclean stops.
// ID is 64 random bits made with the data directory, Inc the number of unclean
// stops that it has had. A restored or emptied directory gets a new ID.
type Actor struct {
	ID  uint64
	Inc uint32
}

// Compare orders actors by ID, then by incarnation.
func (a Actor) Compare(b Actor) int {
	if c := cmp.Compare(a.ID, b.ID); c != 0 {
		return c
	}
	return cmp.Compare(a.Inc, b.Inc)
}

// String prints the actor's id in hex, with "/inc" from the first incarnation on.
func (a Actor) String() string {
	if a.Inc == 0 {
		return fmt.Sprintf("%016x", a.ID)
	}
	return fmt.Sprintf("%016x/%d", a.ID, a.Inc)
}

// Dot is the name of one write to one cell. Counters start at 1; the zero Dot
// names no write.
type Dot struct {
	Actor   Actor
	Counter uint64
}

// IsZero reports whether d names no write.
func (d Dot) IsZero() bool { return d.Counter == 0 }

// Compare orders dots by actor, then by counter.
func (d Dot) Compare(e Dot) int {
	if c := d.Actor.Compare(e.Actor); c != 0 {
		return c
	}
	return cmp.Compare(d.Counter, e.Counter)
}

// String prints "(actor,counter)".
func (d Dot) String() string { return fmt.Sprintf("(%v,%d)", d.Actor, d.Counter) }
