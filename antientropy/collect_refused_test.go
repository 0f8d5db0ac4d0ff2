package antientropy

import (
	"testing"
	"time"

	"github.com/dynaring/dynaring/replica"
)

// TestRefusals: what was refused is told by member and reason, once it has been
// for long enough, and until the slot's next certificate, or search, says
// otherwise.
func TestRefusals(t *testing.T) {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var s refusals
	searched := map[uint16]time.Duration{}
	cells := func(slots ...uint16) (out []candidate) {
		for _, slot := range slots {
			out = append(out, candidate{Key: replica.Key{Slot: slot}})
		}
		return out
	}
	take := func(at time.Duration, slots []candidate, why ...refusal) {
		c := certificate{verdicts: make([]verdict, len(slots)), refusals: why}
		for i, w := range why {
			if w.why == noRefusal {
				c.verdicts[i] = certain
			}
		}
		s.take(slots, &c, at, begun.Add(at))
	}
	want := func(at time.Duration, text string) {
		t.Helper()
		s.forget(func(slot uint16, then time.Duration) bool { return searched[slot] > then })
		if got := s.text(begun.Add(at)); got != text {
			t.Errorf("after %v: %q, want %q", at, got, text)
		}
	}
	hint, other := refusal{"n4", hasHint}, refusal{"n2", hasOther}
	want(0, "")
	take(0, cells(1, 1, 2), hint, other, hint)
	want(refusalShown-1, "")
	want(refusalShown, "n2 does not hold the same as others of 1 dead cell (since 2026-01-02T03:04:05Z); "+
		"n4 keeps hints of 2 dead cells (since 2026-01-02T03:04:05Z)")
	take(30*time.Second, cells(1, 1), hint, refusal{})
	want(30*time.Second, "n4 keeps hints of 2 dead cells (since 2026-01-02T03:04:05Z)")
	searched[2] = 40 * time.Second
	want(40*time.Second, "n4 keeps hints of 1 dead cell (since 2026-01-02T03:04:05Z)")
	take(50*time.Second, cells(1, 1), refusal{}, refusal{})
	want(50*time.Second, "")
	take(60*time.Second, cells(1), hint)
	want(70*time.Second, "")
	want(80*time.Second, "n4 keeps hints of 1 dead cell (since 2026-01-02T03:05:05Z)")
}
