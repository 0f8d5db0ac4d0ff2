package antientropy

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage"
)

// shelf is slots of so many cells each, some of them damaged.
type shelf struct {
	cells   uint32
	checked map[uint16]int
	wrong   map[uint16]replica.Scrubbed
	broken  map[uint16]bool
}

func (s *shelf) Slot(uint16) replica.SlotState { return replica.SlotState{Cells: s.cells} }

func (s *shelf) Scrub(_ context.Context, slot uint16) (replica.Scrubbed, error) {
	s.checked[slot]++
	if s.broken[slot] {
		return replica.Scrubbed{}, errors.New("cannot be read")
	}
	found := s.wrong[slot]
	found.Cells = int(s.cells)
	return found, nil
}

func runScrub(t *testing.T, s *shelf, d time.Duration) (*Scrubber, []uint16) {
	var marked []uint16
	scrubber := NewScrubber(s, unpaced{}, func(slot uint16) { marked = append(marked, slot) }, nil)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := scrubber.Run(ctx); err != nil {
		t.Error(err)
	}
	slices.Sort(marked)
	return scrubber, marked
}

// Full or not, every slot has its turn within a day; a small store is through
// much sooner. What was wrong is counted and marked.
func TestScrubReachesEverySlot(t *testing.T) {
	for _, tc := range []struct {
		cells uint32
		takes time.Duration
	}{{1 << 20, 24*time.Hour + time.Minute}, {10, 70 * time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			s := &shelf{
				cells: tc.cells, checked: map[uint16]int{}, broken: map[uint16]bool{3: true},
				wrong: map[uint16]replica.Scrubbed{7: {LeavesWrong: 2}, 12000: {RowsDamaged: 1, LeavesWrong: 1}},
			}
			scrubber, marked := runScrub(t, s, tc.takes)
			if len(s.checked) != storage.Slots {
				t.Errorf("%d slots of %d cells checked within %v", len(s.checked), tc.cells, tc.takes)
			}
			if !slices.Contains(marked, 7) || !slices.Contains(marked, 12000) || len(marked) > 4 {
				t.Errorf("marked %v", marked)
			}
			st := scrubber.Status()
			if st.LeavesWrong < 3 || st.RowsDamaged < 1 || st.Slots < storage.Slots-1 || st.Last.IsZero() {
				t.Errorf("counted %+v", st)
			}
		})
	}
}
