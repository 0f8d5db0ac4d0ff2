package antientropy

import (
	"fmt"
	"slices"
	"time"
)

// maxReasons bounds what Unsettled says.
const maxReasons = 64

// Unsettled returns why a cluster is not at rest, none if it is: all members
// have answered, see each other, know the same ring, keep nothing for others,
// and all owners of every slot hold the same. found has what the members
// answered, by name. It is pure.
func Unsettled(members []string, found map[string]Status) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	first := "" // who has answered
	for _, name := range members {
		s, ok := found[name]
		if !ok {
			say("%s does not answer", name)
			continue
		}
		if first == "" {
			first = name
		}
		if s.History != found[first].History {
			say("%s knows another history of the ring than %s", name, first)
		}
		for _, other := range members {
			if other != name && !s.Peers[other] {
				say("%s does not see %s", name, other)
			}
		}
		out = append(out, s.unsettled()...)
	}
	if more := len(out) - maxReasons; more > 0 {
		out = append(slices.Clip(out[:maxReasons]), fmt.Sprintf("and %d reasons more", more))
	}
	return out
}

// unsettled returns what keeps one node's part from being at rest.
func (s *Status) unsettled() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, s.Node+" "+fmt.Sprintf(format, args...)) }
	for _, h := range s.Hints {
		if h.Cells > 0 {
			say("keeps %s for %s (%d bytes)", count(h.Cells, "cell"), h.Owner, h.Bytes)
		}
		if h.Full {
			say("could not keep everything for %s, which has to compare everything", h.Owner)
		}
	}
	if s.Strays > 0 {
		say("holds %s of other nodes' slots", count(int64(s.Strays), "cell"))
	}
	if s.Damage.Now > 0 {
		say("has %s that the other owners have not replaced yet", count(int64(s.Damage.Now), "damaged row"))
	}
	if s.Coming > 0 {
		say("has taken over %d of %s", s.Pulled, count(int64(s.Coming), "slot"))
	}
	if s.Unstepped > 0 {
		say("is not known to be in step: %s with another owner, for up to %v", count(int64(s.Unstepped), "slot"), s.Lag.Round(time.Millisecond))
	}
	return out
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// HintAge returns how old the oldest write is that is kept for an owner, by
// the clock of the node that keeps it.
func (s *Status) HintAge(oldest int64) time.Duration {
	if oldest == 0 {
		return 0
	}
	return max(0, time.Duration(s.Now-oldest)*time.Millisecond)
}
