package sim

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// detection is how long after the last change everybody has found out who can
// be reached: a connection that is quiet is given up within half of it.
const detection = 10 * time.Second

// writable checks law 5: while W members can be reached from the node that took
// a write that has nothing to read first, it succeeds. It looks at times only
// at which this is beyond doubt: a set of members that reach each other and
// nobody else, long enough for them to know.
func (c *checker) writable(names []string, steps []Step, ops []*Op) {
	w := newWorld(names)
	for _, o := range ops {
		for len(steps) > 0 && steps[0].At <= o.Start {
			w.take(steps[0])
			steps = steps[1:]
		}
		blind := o.Kind == Set || o.Kind == DPut || o.Kind == DDel
		if !blind || o.Outcome == Acked || !slices.ContainsFunc(unavailable, func(s string) bool { return strings.HasPrefix(o.Err, s) }) {
			continue
		}
		if o.Start < w.changed+detection || len(steps) > 0 && steps[0].At <= o.End || !w.fine(o.Client, o.Node) {
			continue
		}
		if group := w.island(o.Node); len(group) >= min(o.W, c.N) {
			c.report("a write failed, though these could be reached: "+strings.Join(group, " "), o)
		}
	}
}

// unavailable is how answers begin that say that others could not be reached.
var unavailable = []string{"NOQUORUM", "UNCERTAIN", "LOADING", ErrLost.Error(), ErrNotSent.Error()}

// world is what the faults so far have made of a cluster.
type world struct {
	names   []string
	down    map[string]bool // or frozen
	ill     map[string]bool // its disk is
	cut     map[linkName]bool
	odd     map[oddity]bool
	changed time.Duration // when something last happened
}

// oddity is something that a link suffers: "slow", "loss" or "hold".
type oddity struct {
	what string
	linkName
}

func newWorld(names []string) *world {
	return &world{
		names: names, down: make(map[string]bool), ill: make(map[string]bool),
		cut: make(map[linkName]bool), odd: make(map[oddity]bool), changed: -detection,
	}
}

// take notes a fault.
func (w *world) take(s Step) {
	w.changed = max(w.changed, s.At+s.Took)
	words := strings.Fields(s.Fault)
	a, b := words[min(1, len(words)-1)], words[min(2, len(words)-1)]
	switch words[0] {
	case "crash", "stop", "freeze":
		w.down[a] = true
	case "start", "thaw":
		delete(w.down, a)
		if !slices.Contains(w.names, a) {
			w.names = append(w.names, a)
		}
		if words[0] == "start" {
			delete(w.ill, a)
		}
	case "disk":
		w.ill[a] = b != "room" && words[len(words)-1] != "0s"
	case "cut":
		w.partition(strings.Join(words[1:], " "))
	case "cut-one-way":
		w.cut[linkName{a, b}] = true
	case "heal":
		maps.DeleteFunc(w.cut, func(l linkName, _ bool) bool {
			return len(words) == 1 || l == linkName{a, b} || l == linkName{b, a}
		})
	case "slow":
		w.pair("slow", a, b, words[3] != defaultMinDelay.String())
	case "loss":
		w.pair("loss", a, b, words[3] != "0")
	case "hold":
		w.pair("hold", a, b, true)
	case "release":
		w.pair("hold", a, b, false)
	}
}

func (w *world) pair(what, a, b string, odd bool) {
	w.odd[oddity{what, linkName{a, b}}], w.odd[oddity{what, linkName{b, a}}] = odd, odd
}

func (w *world) partition(groups string) {
	var before []string
	for g := range strings.SplitSeq(groups, "|") {
		hosts := strings.Fields(g)
		for _, a := range before {
			for _, b := range hosts {
				w.cut[linkName{a, b}], w.cut[linkName{b, a}] = true, true
			}
		}
		before = append(before, hosts...)
	}
}

// fine reports whether nothing is between two hosts, nor wrong with them.
func (w *world) fine(a, b string) bool {
	for _, what := range []string{"slow", "loss", "hold"} {
		if w.odd[oddity{what, linkName{a, b}}] {
			return false
		}
	}
	return !w.down[a] && !w.down[b] && !w.ill[a] && !w.ill[b] && !w.cut[linkName{a, b}] && !w.cut[linkName{b, a}]
}

// apart reports whether nothing gets from one host to the other.
func (w *world) apart(a, b string) bool {
	return w.down[a] || w.down[b] || w.cut[linkName{a, b}] && w.cut[linkName{b, a}]
}

// island returns the members that a node reaches, itself among them: nil unless
// all of them reach each other well, and nobody else at all.
func (w *world) island(node string) []string {
	if !w.fine(node, node) {
		return nil
	}
	var group []string
	for _, m := range w.names {
		if w.fine(node, m) {
			group = append(group, m)
		}
	}
	for _, a := range group {
		for _, m := range w.names {
			if inside := slices.Contains(group, m); inside && !w.fine(a, m) || !inside && !w.apart(a, m) {
				return nil
			}
		}
	}
	return group
}
