package antientropy

import (
	"testing"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

func TestSlotsAreLookedAtWhenSomethingMayHaveDied(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		l    lookedAt
		slot replica.SlotState
		now  time.Duration
		want bool
	}{
		"never looked at":                {lookedAt{}, replica.SlotState{Mortal: 1}, 9 * s, true},
		"nothing in it can die":          {lookedAt{}, replica.SlotState{Cells: 9}, 9 * s, false},
		"changed just now":               {lookedAt{last: s}, replica.SlotState{Mortal: 1, Changed: 9*s - quietFor/2}, 9 * s, false},
		"changed, and quiet since":       {lookedAt{last: s}, replica.SlotState{Mortal: 1, Changed: 9*s - quietFor}, 9 * s, true},
		"never quiet, for long":          {lookedAt{last: s}, replica.SlotState{Mortal: 1, Changed: patience + s}, patience + s, true},
		"not changed":                    {lookedAt{last: 5 * s}, replica.SlotState{Mortal: 1, Changed: 4 * s}, 9 * s, false},
		"something in it expires now":    {lookedAt{last: 5 * s, next: 9 * s}, replica.SlotState{Mortal: 1, Changed: 4 * s}, 9 * s, true},
		"something in it expires later":  {lookedAt{last: 5 * s, next: 10 * s}, replica.SlotState{Mortal: 1, Changed: 4 * s}, 9 * s, false},
		"looked at as it changed":        {lookedAt{last: 5 * s}, replica.SlotState{Mortal: 1, Changed: 5 * s}, 9 * s, true},
		"not changed since the start":    {lookedAt{last: 5 * s}, replica.SlotState{Mortal: 1}, 9 * s, false},
		"gone since something was to be": {lookedAt{last: 5 * s, next: 6 * s}, replica.SlotState{}, 9 * s, false},
	} {
		if got := c.l.due(c.slot, c.now); got != c.want {
			t.Errorf("%s: due %v", name, got)
		}
	}
}

// What all members refuse is asked less and less often.
func TestRefusedSlotsAreLeftAloneForLonger(t *testing.T) {
	f := finder{store: stillStore{}}
	cells := []candidate{{Key: replica.Key{Slot: 7}}, {Key: replica.Key{Slot: 7}}, {Key: replica.Key{Slot: 8}}}
	var last time.Duration
	for range 10 {
		f.lost(cells)
		if f.slots[7].next != f.slots[8].next || f.slots[7].next < last || f.slots[7].next > findAgainMax {
			t.Fatalf("slots 7 and 8 are looked at after %v and %v, before after %v", f.slots[7].next, f.slots[8].next, last)
		}
		last = f.slots[7].next
		f.slots[7].next, f.slots[8].next = 0, 0
	}
	if last != findAgainMax {
		t.Errorf("in the end after %v, want %v", last, findAgainMax)
	}
}

// stillStore is a store in which no time passes.
type stillStore struct{ CollectStore }

func (stillStore) Uptime() time.Duration { return 0 }

func TestDies(t *testing.T) {
	w := newMinter(101)
	expires := func(at int64) version.Write { return version.Write{Value: []byte("v"), Expiry: at} }
	one := w.write(t, nil, expires(5000))
	two := version.Merge(one, w.write(t, nil, expires(7000)))
	for name, c := range map[string]struct {
		cell *version.Cell
		want int64
	}{
		"one expiry":         {one, 5000},
		"the later of two":   {two, 7000},
		"beside a tombstone": {version.Merge(one, w.write(t, nil, version.Write{Tombstone: true})), 5000},
		"beside what stays":  {version.Merge(one, w.write(t, nil, version.Write{Value: []byte("v")})), 0},
		"tombstones alone":   {w.write(t, nil, version.Write{Tombstone: true}), 0},
		"nothing":            {nil, 0},
	} {
		if c.cell == nil {
			c.cell = &version.Cell{}
		}
		if got := dies(c.cell); got != c.want {
			t.Errorf("%s: dies at %d, want %d", name, got, c.want)
		}
	}
}
