package antientropy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// refusal is a member, and why it does not let go of a dead cell.
type refusal struct {
	member string
	why    reason
}

// reason is why a member does not let go of cells, as a sentence about how many
// of them.
type reason string

const (
	hasHint   reason = "keeps hints of %s"
	hasStray  reason = "holds %s that it is to give back"
	hasOther  reason = "does not hold the same as others of %s"
	notDead   reason = "does not take %s for dead yet"
	notKnown  reason = "has said nothing of %s"
	noRefusal reason = ""
)

// refusalShown is how long something has to be refused before it is worth
// showing: most hints and differences are gone by then.
const refusalShown = 20 * time.Second

// refusals is what the last certificates of the slots were refused for. It is
// pure: its owner tells it the time.
type refusals struct {
	slots map[uint16]slotRefusals
	since map[refusal]time.Time
}

type slotRefusals struct {
	at    time.Duration // of the certificate, in the store's uptime
	cells map[refusal]int
}

// take notes what a certificate says of candidates: the last word about their
// slots.
func (s *refusals) take(cells []candidate, cert *certificate, at time.Duration, now time.Time) {
	if s.slots == nil {
		s.slots, s.since = map[uint16]slotRefusals{}, map[refusal]time.Time{}
	}
	for i := range cells {
		delete(s.slots, cells[i].Key.Slot)
	}
	for i, v := range cert.verdicts {
		if v != refused {
			continue
		}
		slot, why := cells[i].Key.Slot, cert.refusals[i]
		of, ok := s.slots[slot]
		if !ok {
			of = slotRefusals{at: at, cells: map[refusal]int{}}
			s.slots[slot] = of
		}
		of.cells[why]++
		if s.since[why].IsZero() {
			s.since[why] = now
		}
	}
}

// forget drops what was said of slots for which it is over.
func (s *refusals) forget(over func(slot uint16, then time.Duration) bool) {
	for slot, of := range s.slots {
		if over(slot, of.at) {
			delete(s.slots, slot)
		}
	}
}

// text says who has refused how much, and since when, of what has been refused
// for long enough.
func (s *refusals) text(now time.Time) string {
	counts := map[refusal]int{}
	for _, of := range s.slots {
		for why, n := range of.cells {
			counts[why] += n
		}
	}
	var out []string
	for why, since := range s.since {
		switch n := counts[why]; {
		case n == 0:
			delete(s.since, why)
		case now.Sub(since) >= refusalShown:
			out = append(out, fmt.Sprintf("%s %s (since %s)", why.member,
				fmt.Sprintf(string(why.why), deadCells(n)), since.UTC().Format(time.RFC3339)))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

func deadCells(n int) string {
	if n == 1 {
		return "1 dead cell"
	}
	return fmt.Sprintf("%d dead cells", n)
}
