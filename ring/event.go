package ring

import (
	"bytes"
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"github.com/dynaring/dynaring/storage/version"
)

// EventID names an event: 64 random bits, not 0.
type EventID uint64

// String prints the id in hex.
func (id EventID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// Kind tells what an event did. A kind that this program does not know is kept
// and passed on, and ignored by [Replay].
type Kind uint8

// The kinds of events. 4 to 6 are for leave, remove and replace.
const (
	Found Kind = 1 // the cluster was made, with Config
	Join  Kind = 2 // the node Name came with Actor, Weight and Zone
	Ready Kind = 3 // the coming owner Name holds Slots, since Since
)

// String prints the kind's name.
func (k Kind) String() string {
	switch k {
	case Found:
		return "found"
	case Join:
		return "join"
	case Ready:
		return "ready"
	}
	return fmt.Sprintf("kind-%d", uint8(k))
}

// Bounds of what an event may hold.
const (
	MaxName   = 255
	MaxZone   = 255
	MaxWeight = 1000
	MaxN      = 16
	maxExtra  = 1 << 16
)

// PlacementEqual is the placement of equal partitions, evenly spread (the
// paper's strategy 3).
const PlacementEqual = "equal"

// Config is what is fixed when a cluster is made.
type Config struct {
	Cluster    uint64 // the cluster's id, random, not 0
	N          int    // owners of a slot
	Placement  string // PlacementEqual
	Partitions int    // Q, a power of two up to Slots
	Tokens     int    // tokens a node, for placements that have them; else 0
}

// Validate returns an error that wraps [ErrBadConfig] and says which setting
// cannot work, and what would.
func (c Config) Validate() error {
	switch {
	case c.Cluster == 0:
		return fmt.Errorf("%w: the cluster's id is 0", ErrBadConfig)
	case c.N < 1 || c.N > MaxN:
		return fmt.Errorf("%w: n is %d, must be 1 to %d", ErrBadConfig, c.N, MaxN)
	case c.Placement != PlacementEqual:
		return fmt.Errorf("%w: placement %q is not known, must be %q", ErrBadConfig, c.Placement, PlacementEqual)
	case c.Partitions < 1 || c.Partitions > Slots || bits.OnesCount(uint(c.Partitions)) != 1:
		return fmt.Errorf("%w: partitions is %d, must be a power of two up to %d", ErrBadConfig, c.Partitions, Slots)
	case c.Tokens < 0 || c.Tokens > Slots:
		return fmt.Errorf("%w: tokens is %d, must be 0 to %d", ErrBadConfig, c.Tokens, Slots)
	}
	return nil
}

// Range is the slots Lo to Hi, both included; Lo ≤ Hi < Slots.
type Range struct{ Lo, Hi uint16 }

// Len returns the number of slots.
func (r Range) Len() int { return int(r.Hi) - int(r.Lo) + 1 }

// Contains reports whether a slot is one of them.
func (r Range) Contains(slot uint16) bool { return r.Lo <= slot && slot <= r.Hi }

// String prints "lo-hi", or "lo" for a single slot.
func (r Range) String() string {
	if r.Lo == r.Hi {
		return fmt.Sprint(r.Lo)
	}
	return fmt.Sprintf("%d-%d", r.Lo, r.Hi)
}

// Event is one thing that happened to the cluster's membership. Which fields
// are used depends on its kind; the others are zero.
type Event struct {
	ID   EventID
	Time version.Timestamp // later than that of every event its issuer had seen
	Kind Kind

	Config *Config // Found

	Name   string // Join, Ready: the node
	Actor  uint64 // Join: the id of its data directory
	Weight int    // Join: its share, 1 to MaxWeight
	Zone   string // Join: where it stands; "" is a zone like others

	Since EventID // Ready: the Since of the assignments that it ends
	Slots []Range // Ready: sorted, without overlaps or neighbours

	// Extra is what a later format added after the fields above, or all of
	// an event of an unknown kind. It is kept and passed on.
	Extra []byte
}

// Validate returns an error that wraps [ErrBadEvent] if no history can hold e.
func (e *Event) Validate() error {
	switch {
	case e.ID == 0:
		return fmt.Errorf("%w: no id", ErrBadEvent)
	case e.Kind == 0:
		return fmt.Errorf("%w: no kind", ErrBadEvent)
	case len(e.Name) > MaxName:
		return fmt.Errorf("%w: the name is longer than %d bytes", ErrBadEvent, MaxName)
	case len(e.Zone) > MaxZone:
		return fmt.Errorf("%w: the zone is longer than %d bytes", ErrBadEvent, MaxZone)
	case len(e.Extra) > maxExtra:
		return fmt.Errorf("%w: more than %d extra bytes", ErrBadEvent, maxExtra)
	}
	switch e.Kind {
	case Found:
		if c := e.Config; c == nil || c.Cluster == 0 || c.N < 0 || c.Partitions < 0 || c.Tokens < 0 ||
			c.N > Slots || c.Partitions > Slots || c.Tokens > Slots || len(c.Placement) > MaxName {
			return fmt.Errorf("%w: found without usable settings", ErrBadEvent)
		}
	case Join:
		if e.Name == "" || e.Weight < 1 || e.Weight > MaxWeight {
			return fmt.Errorf("%w: join of %q with weight %d, must be 1 to %d", ErrBadEvent, e.Name, e.Weight, MaxWeight)
		}
	case Ready:
		return validateRanges(e.Slots)
	}
	return nil
}

// JoinRanges returns the same slots as Event.Slots wants them: sorted, without
// overlaps, neighbours joined. It does not change its argument.
func JoinRanges(ranges []Range) []Range {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.Lo, b.Lo) })
	var out []Range
	for _, r := range ranges {
		if n := len(out); n > 0 && int(r.Lo) <= int(out[n-1].Hi)+1 {
			out[n-1].Hi = max(out[n-1].Hi, r.Hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

func validateRanges(ranges []Range) error {
	next := 0 // the lowest slot that the next range may start at
	for _, r := range ranges {
		if int(r.Lo) < next || r.Hi < r.Lo || r.Hi >= Slots {
			return fmt.Errorf("%w: slots %v are out of order or out of bounds", ErrBadEvent, r)
		}
		next = int(r.Hi) + 2
	}
	return nil
}

// compareEvents orders a history: by time, then by id. Two events that share
// both, which only damage can make, are told apart by their bytes.
func compareEvents(a, b *Event) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.ID, b.ID))
}

// preferEvent decides between two events of one time and id.
func preferEvent(a, b *Event) bool {
	return bytes.Compare(appendEvent(nil, a), appendEvent(nil, b)) <= 0
}
