package coordinator

import (
	"slices"

	"github.com/dynaring/dynaring/ring"
)

// This file is who leads a slot: runs its read-modify-writes.

// Standing is how far a node counts on another, or on itself, to run a command:
// the higher, the further.
type Standing uint8

// The standings.
const (
	Unreachable Standing = iota
	Passed               // over: it can be called, and lately could not store
	Suspected            // it can be called, but the gossip believes it to be dead
	Fit
)

// Standing returns how far this node counts on one now.
func (c *Coordinator) Standing(node string) Standing {
	v := c.views.View()
	return c.standing(&v, node, nil)
}

// standing is Standing, where nodes in tried are as good as unreachable.
func (c *Coordinator) standing(v *View, node string, tried []string) Standing {
	at := c.asked(node)
	switch {
	case slices.Contains(tried, at) || at != "" && !c.peers.Up(at):
		return Unreachable
	case c.health.passed(at):
		return Passed
	case at != "" && !v.alive(at):
		return Suspected
	}
	return Fit
}

// Lead returns the node that read-modify-writes of a preference's slots go to,
// by how the nodes stand: the first owner that can be reached, those that the
// gossip gave up last; where none can be, the first member that can, to stand in
// for them, fallbacks before nodes that are coming. ok is false where there is
// nobody.
func Lead(p *ring.Preference, stand func(node string) Standing) (node string, ok bool) {
	node, _, ok = lead(p, p.Owners, stand)
	return node, ok
}

// lead is Lead with the owners in the order in which they are preferred, and
// says whether the node stands in.
func lead(p *ring.Preference, owners []string, stand func(node string) Standing) (node string, standIn, ok bool) {
	for _, o := range owners {
		switch s := stand(o); {
		case s == Fit:
			return o, false, true
		case s == Suspected && !ok:
			node, ok = o, true
		}
	}
	if ok {
		return node, false, true
	}
	for _, nodes := range [...][]string{p.Fallbacks, p.Coming} {
		for _, n := range nodes {
			if stand(n) > Passed {
				return n, true, true
			}
		}
	}
	for _, o := range p.Owners { // better one that is passed over than nobody
		if stand(o) == Passed {
			return o, false, true
		}
	}
	return "", false, false
}

// ownerReachable reports whether a present owner can be counted on.
func (c *Coordinator) ownerReachable(v *View, p *ring.Preference) bool {
	for _, o := range p.Owners {
		if c.standing(v, o, nil) > Passed {
			return true
		}
	}
	return false
}
