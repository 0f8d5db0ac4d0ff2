package antientropy

import (
	"bytes"
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage"
)

var slotSets = rapid.Custom(func(t *rapid.T) []uint16 {
	slots := rapid.SliceOfNDistinct(rapid.OneOf(
		rapid.Uint16Range(0, storage.Slots-1), rapid.Uint16Range(100, 400),
	), 0, 400, rapid.ID[uint16]).Draw(t, "slots")
	slices.Sort(slots)
	return slots
})

// Chunks cover exactly the slots, in order, and none is too long.
func TestChunksCoverTheSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := slotSets.Draw(t, "slots")
		var back []uint16
		for _, r := range chunks(slots) {
			if r.Last < r.First || r.Last-r.First >= chunkSlots {
				t.Fatalf("range %d to %d", r.First, r.Last)
			}
			back = appendSlots(back, r)
		}
		if !slices.Equal(back, slots) {
			t.Fatalf("%v became %v", slots, back)
		}
	})
	all := make([]uint16, storage.Slots)
	for i := range all {
		all[i] = uint16(i)
	}
	if got := len(chunks(all)); got != storage.Slots/chunkSlots {
		t.Errorf("all slots are %d ranges", got)
	}
}

func TestLeafSet(t *testing.T) {
	var a, b leaves
	a[0], b[15], a[3], b[3] = 1, 1, 5, 5
	if got := leafSet(&a, &b); got != 1<<0|1<<15 {
		t.Errorf("%b", got)
	}
}

// Keys are ordered as their rows are, whatever bytes are in them.
func TestKeysAreOrderedAsRows(t *testing.T) {
	part := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 0xfe, 0xff}), 0, 4)
	key := rapid.Custom(func(t *rapid.T) replica.Key {
		return replica.Key{Slot: rapid.Uint16Range(0, 2).Draw(t, "slot"), Key: part.Draw(t, "key"), Field: part.Draw(t, "field")}
	})
	row := func(k replica.Key) []byte { return storage.AppendRow(nil, k.Slot, k.Key, k.Field) }
	rapid.Check(t, func(t *rapid.T) {
		a, b := key.Draw(t, "a"), key.Draw(t, "b")
		if got, want := compareKeys(&a, &b), bytes.Compare(row(a), row(b)); got != want {
			t.Fatalf("%v and %v: %d, their rows %d", a, b, got, want)
		}
	})
}

// Two listings, cut into pages anyhow, give exactly the keys that differ.
func TestDifferingFindsExactlyWhatDiffers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digests := rapid.MapOfN(rapid.ByteRange(0, 40), rapid.Uint64Range(1, 3), 0, 40)
		a, b := digests.Draw(t, "a"), digests.Draw(t, "b")
		var want []string
		for k := range byte(41) {
			if a[k] != b[k] {
				want = append(want, string([]byte{k}))
			}
		}
		pages := func(m map[byte]uint64) func(after []byte) replica.Listing {
			limit := rapid.IntRange(1, 9).Draw(t, "limit")
			items := listed(m)
			return func(after []byte) replica.Listing { return pageOf(items, after, limit) }
		}
		pa, pb := pages(a), pages(b)
		var mine, theirs listing
		var keys []replica.Key
		for !(mine.ended() && theirs.ended()) {
			if mine.wants() {
				mine.add(pa(mine.next))
			}
			if theirs.wants() {
				theirs.add(pb(theirs.next))
			}
			keys = differing(keys, &mine, &theirs)
		}
		var got []string
		for _, k := range keys {
			got = append(got, string(k.Key))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v against %v: %q, want %q", a, b, got, want)
		}
	})
}

func listed(m map[byte]uint64) []replica.Listed {
	var out []replica.Listed
	for k, digest := range m {
		out = append(out, replica.Listed{Key: replica.Key{Key: []byte{k}}, Digest: digest})
	}
	slices.SortFunc(out, func(a, b replica.Listed) int { return cmp.Compare(a.Key.Key[0], b.Key.Key[0]) })
	return out
}

// pageOf returns the page of items that comes after a key.
func pageOf(items []replica.Listed, after []byte, limit int) replica.Listing {
	for len(after) > 0 && len(items) > 0 && bytes.Compare(items[0].Key.Key, after) <= 0 {
		items = items[1:]
	}
	if len(items) <= limit {
		return replica.Listing{Items: items}
	}
	return replica.Listing{Items: items[:limit], Next: items[limit-1].Key.Key}
}
