package antientropy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
)

// cellsOf is a replica without a store: digests by slot and key. It counts
// what it is asked.
type cellsOf struct {
	slots map[uint16]map[string]uint64
	page  int

	mu                     sync.Mutex
	asked, listed, repairs int
}

func (c *cellsOf) leafOf(key string) int { return int(xxhash.Sum64String(key) % replica.LeavesPerSlot) }

func (c *cellsOf) slotLeaves(slot uint16) (out leaves) {
	for key, digest := range c.slots[slot] {
		out[c.leafOf(key)] ^= xxhash.Sum64(binary.LittleEndian.AppendUint64([]byte(key), digest))
	}
	return out
}

func (c *cellsOf) hashes(_ context.Context, ranges []replica.SlotRange) ([]uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]uint64, len(ranges))
	for i, r := range ranges {
		if len(ranges) > maxRanges {
			return nil, errors.New("too many ranges at once")
		}
		for _, slot := range appendSlots(nil, r) {
			l := c.slotLeaves(slot)
			out[i] = out[i]*31 + xxhash.Sum64String(fmt.Sprint(l))
		}
	}
	c.asked += len(ranges)
	return out, nil
}

func (c *cellsOf) leaves(_ context.Context, slots []uint16) ([]leaves, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]leaves, len(slots))
	for i, slot := range slots {
		out[i] = c.slotLeaves(slot)
	}
	c.asked += replica.LeavesPerSlot * len(slots)
	return out, nil
}

func (c *cellsOf) list(_ context.Context, slot, set uint16, after []byte) (replica.Listing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var items []replica.Listed
	for _, key := range slices.Sorted(maps.Keys(c.slots[slot])) {
		if set&(1<<c.leafOf(key)) != 0 {
			items = append(items, replica.Listed{Key: replica.Key{Slot: slot, Key: []byte(key)}, Digest: c.slots[slot][key]})
		}
	}
	p := pageOf(items, after, c.page)
	c.listed += len(p.Items)
	return p, nil
}

// compareCells has two replicas compared, both coming to hold the higher
// digest of each cell. It returns what was said of the slots.
func compareCells(t rapid.TB, mine, theirs *cellsOf, slots []uint16) (stepped, unsure []uint16) {
	var mu sync.Mutex
	say := func(to *[]uint16) func([]uint16) {
		return func(slots []uint16) {
			mu.Lock()
			defer mu.Unlock()
			*to = append(*to, slots...)
		}
	}
	c := comparison{
		mine: mine, theirs: theirs, differed: func(uint16) {},
		outcome: outcome{say(&stepped), say(&unsure), func(_ uint16, err error) error { return err }},
		repair: func(_ context.Context, keys []replica.Key) (bool, error) {
			mine.mu.Lock()
			defer mine.mu.Unlock()
			theirs.mu.Lock()
			defer theirs.mu.Unlock()
			if len(keys) > maxRepair {
				return false, errors.New("too many repairs at once")
			}
			for _, k := range keys {
				best := max(mine.slots[k.Slot][string(k.Key)], theirs.slots[k.Slot][string(k.Key)])
				for _, c := range []*cellsOf{mine, theirs} {
					if c.slots[k.Slot] == nil {
						c.slots[k.Slot] = map[string]uint64{}
					}
					c.slots[k.Slot][string(k.Key)] = best
				}
			}
			mine.repairs += len(keys)
			return true, nil
		},
	}
	if err := c.run(context.Background(), slots); err != nil {
		t.Fatal(err)
	}
	slices.Sort(stepped)
	slices.Sort(unsure)
	return stepped, unsure
}

// However two replicas differ: after a compare they hold the same, each slot
// is spoken of once, and no cell that was the same is repaired.
func TestCompareMakesTheSlotsTheSame(t *testing.T) {
	keys := rapid.StringMatching("[a-d]{1,3}")
	rapid.Check(t, func(t *rapid.T) {
		slots := slotSets.Draw(t, "compared")
		sides := [2]*cellsOf{}
		for i := range sides {
			sides[i] = &cellsOf{slots: map[uint16]map[string]uint64{}, page: rapid.IntRange(1, 5).Draw(t, "page")}
		}
		differ := 0
		for _, slot := range slots {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				for _, c := range sides {
					c.slots[slot] = rapid.MapOfN(keys, rapid.Uint64Range(1, 3), 0, 10).Draw(t, "cells")
				}
			case 1:
				cells := rapid.MapOfN(keys, rapid.Uint64Range(1, 3), 0, 3).Draw(t, "cells")
				sides[0].slots[slot], sides[1].slots[slot] = cells, maps.Clone(cells)
			}
			for key := range sides[0].slots[slot] {
				if sides[0].slots[slot][key] != sides[1].slots[slot][key] {
					differ++
				}
			}
			for key := range sides[1].slots[slot] {
				if sides[0].slots[slot][key] == 0 {
					differ++
				}
			}
		}
		stepped, unsure := compareCells(t, sides[0], sides[1], slots)
		if !slices.Equal(stepped, slots) || len(unsure) > 0 {
			t.Fatalf("of %v, %v are said to be in step, %v not", slots, stepped, unsure)
		}
		for _, slot := range slots {
			if !maps.Equal(sides[0].slots[slot], sides[1].slots[slot]) {
				t.Fatalf("slot %d: %v and %v", slot, sides[0].slots[slot], sides[1].slots[slot])
			}
		}
		if sides[0].repairs != differ {
			t.Fatalf("%d cells repaired, %d differed", sides[0].repairs, differ)
		}
	})
}

// What is asked for grows with the difference, not with what is there.
func TestCompareCostsWhatDiffers(t *testing.T) {
	all := make([]uint16, 16384)
	sides := [2]*cellsOf{}
	for i := range sides {
		sides[i] = &cellsOf{slots: map[uint16]map[string]uint64{}, page: 1000}
		for slot := range all {
			all[slot] = uint16(slot)
			sides[i].slots[uint16(slot)] = map[string]uint64{"a": 1, "b": 2, "c": 3}
		}
	}
	sides[1].slots[9999]["b"] = 7
	if stepped, _ := compareCells(t, sides[0], sides[1], all); len(stepped) != len(all) {
		t.Errorf("%d slots in step", len(stepped))
	}
	if got := sides[1].asked; got != len(all)/chunkSlots+chunkSlots+replica.LeavesPerSlot {
		t.Errorf("%d hashes asked for", got)
	}
	if sides[1].listed > 3 || sides[0].repairs != 1 {
		t.Errorf("%d cells listed, %d repaired", sides[1].listed, sides[0].repairs)
	}
}

// A slot that cannot be compared does not keep others from it, where the
// errors may be its own.
func TestCompareGoesOnAfterASlotFails(t *testing.T) {
	sides := [2]*cellsOf{}
	for i := range sides {
		sides[i] = &cellsOf{slots: map[uint16]map[string]uint64{}, page: 10}
		for slot := range uint16(200) {
			sides[i].slots[slot] = map[string]uint64{"a": uint64(i + 1)}
		}
	}
	var mu sync.Mutex
	var stepped, failed []uint16
	c := comparison{
		mine: sides[0], theirs: sides[1], differed: func(uint16) {},
		repair: func(_ context.Context, keys []replica.Key) (bool, error) {
			if keys[0].Slot%50 == 7 {
				return false, errors.New("failed")
			}
			return true, nil
		},
		outcome: outcome{
			stepped: func(slots []uint16) {
				mu.Lock()
				defer mu.Unlock()
				stepped = append(stepped, slots...)
			},
			failed: func(slot uint16, err error) error {
				mu.Lock()
				defer mu.Unlock()
				if failed = append(failed, slot); len(failed) > 3 {
					return err
				}
				return nil
			},
		},
	}
	all := appendSlots(nil, replica.SlotRange{Last: 149})
	if err := c.run(context.Background(), all); err != nil || len(stepped) != 147 || len(failed) != 3 {
		t.Errorf("%v, with %d slots in step and %v failed", err, len(stepped), failed)
	}
	failed = nil
	if err := c.run(context.Background(), appendSlots(nil, replica.SlotRange{Last: 199})); err == nil {
		t.Error("what was failed for good is no error")
	}
}

func TestErrorsOfASlot(t *testing.T) {
	for err, want := range map[error]bool{
		replica.ErrMalformed:                            true,
		&peer.RemoteError{Code: replica.CodeRefused}:    true,
		&peer.RemoteError{Code: replica.CodeFailed}:     true,
		&peer.RemoteError{Code: replica.CodeClosed}:     false,
		&peer.RemoteError{Code: replica.CodeOverloaded}: false,
		peer.ErrTimeout:     false,
		peer.ErrUnreachable: false,
		context.Canceled:    false,
		fmt.Errorf("n2: %w", &peer.RemoteError{Code: 77}): true,
	} {
		if got := ofSlot(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
