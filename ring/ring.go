package ring

import (
	"slices"
	"strings"
)

// Role is what a node is to a slot.
type Role uint8

// The roles.
const (
	None     Role = iota
	Owner         // answers for the slot, and counts in quorums
	Coming        // takes its writes, is asked for nothing, counts in no quorum
	Fallback      // stands in for an owner that cannot be reached
)

// String prints the role's name, as DEXPLAIN does.
func (r Role) String() string {
	switch r {
	case Owner:
		return "owner"
	case Coming:
		return "coming"
	case Fallback:
		return "fallback"
	}
	return "none"
}

// Preference is a slot's preference list. It is shared by slots and readers
// and never changes.
type Preference struct {
	Owners    []string // clockwise; the first is who serialises what must be serialised
	Coming    []string // clockwise
	Fallbacks []string // all other members, clockwise

	// Set is equal for two preferences of one ring exactly if they have the
	// same set of Owners and the same set of Coming.
	Set int
	// Width is what R and W are capped by: the number of owners, where one
	// that lost its data and is coming again is still counted.
	Width int
}

// Role returns what the node is to the slot.
func (p *Preference) Role(name string) Role {
	switch {
	case slices.Contains(p.Owners, name):
		return Owner
	case slices.Contains(p.Coming, name):
		return Coming
	case slices.Contains(p.Fallbacks, name):
		return Fallback
	}
	return None
}

// Member is a node of the cluster, alive or not.
type Member struct {
	Name   string
	Actor  uint64
	Weight int
	Zone   string
	Joined EventID // its last Join
	Tokens int     // partitions whose first place is its own
}

// Assignment is a range that a node is coming to: it has to fetch it, compare
// it, and announce with a [Ready] event of the same Since that it holds it.
type Assignment struct {
	Range Range
	Since EventID // the event since which the node is coming
}

// Stretch is neighbouring slots with the same preference.
type Stretch struct {
	Range      Range
	Preference *Preference
}

// Ring is the slot table that a history gives. It never changes.
type Ring struct {
	config  Config
	members []Member // sorted by name
	prefs   []Preference
	index   [Slots]uint16 // into prefs
	shift   uint          // slot >> shift is its partition
	coming  map[string][]Assignment
}

// Config returns what was fixed when the cluster was made.
func (r *Ring) Config() Config { return r.config }

// Members returns all members by name, not to be changed. A nil ring has none.
func (r *Ring) Members() []Member {
	if r == nil {
		return nil
	}
	return r.members
}

// Member returns one member.
func (r *Ring) Member(name string) (Member, bool) {
	members := r.Members()
	i, ok := slices.BinarySearchFunc(members, name, func(m Member, n string) int { return strings.Compare(m.Name, n) })
	if !ok {
		return Member{}, false
	}
	return members[i], true
}

// Lookup returns the slot's preference. It does not allocate. The slot must be
// below [Slots]. A ring without members answers a preference without owners.
func (r *Ring) Lookup(slot uint16) *Preference { return &r.prefs[r.index[slot]] }

// Partition returns the slot's partition, 0 to Config().Partitions-1.
func (r *Ring) Partition(slot uint16) int { return int(slot >> r.shift) }

// Ranges returns all slots in order, neighbours of the same preference in
// one.
func (r *Ring) Ranges() []Stretch {
	var out []Stretch
	for lo := 0; lo < Slots; {
		hi := lo
		for hi+1 < Slots && r.index[hi+1] == r.index[lo] {
			hi++
		}
		out = append(out, Stretch{Range{uint16(lo), uint16(hi)}, &r.prefs[r.index[lo]]})
		lo = hi + 1
	}
	return out
}

// ComingOf returns the ranges that the node is coming to and has not announced
// ready, in order, not to be changed. They stay its work whether or not the
// slot waits for others as well. All slots of a range have the same preference.
// A nil ring has none.
func (r *Ring) ComingOf(name string) []Assignment {
	if r == nil {
		return nil
	}
	return r.coming[name]
}

// Changing reports whether any slot has owners to come.
func (r *Ring) Changing() bool {
	return slices.ContainsFunc(r.prefs, func(p Preference) bool { return len(p.Coming) > 0 })
}
