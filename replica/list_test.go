package replica

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage"
)

func sameListing(a, b Listing) bool {
	return bytes.Equal(a.Next, b.Next) && slices.EqualFunc(a.Items, b.Items, func(x, y Listed) bool {
		return x.Digest == y.Digest && sameKey(x.Key, y.Key)
	})
}

// TestHashesRoundTrip and lists of them.
func TestHashesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		deep := rapid.Bool().Draw(t, "deep")
		ranges := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) SlotRange {
			first := rapid.Uint16Range(0, storage.Slots-1).Draw(t, "first")
			if deep {
				return SlotRange{first, first}
			}
			return SlotRange{first, rapid.Uint16Range(first, storage.Slots-1).Draw(t, "last")}
		}), 0, maxAskedSlots/storage.Slots).Draw(t, "ranges")
		got, gotDeep, err := DecodeHashes(AppendHashes(nil, ranges, deep))
		if err != nil || gotDeep != deep || !slices.Equal(got, ranges) {
			t.Fatalf("got %v %v %v, want %v %v", got, gotDeep, err, ranges, deep)
		}
		hashes := rapid.SliceOfN(rapid.Uint64(), 0, 20).Draw(t, "hashes")
		back, err := DecodeHashed(AppendHashed(nil, hashes), len(hashes))
		if err != nil || !slices.Equal(back, hashes) {
			t.Fatalf("got %v %v, want %v", back, err, hashes)
		}
		if _, err := DecodeHashed(AppendHashed(nil, hashes), len(hashes)+1); err == nil {
			t.Fatal("too few hashes are taken")
		}
		slot, leaves := rapid.Uint16Range(0, storage.Slots-1).Draw(t, "slot"), rapid.Uint16().Draw(t, "leaves")
		after, limit := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "after"), rapid.IntRange(0, MaxPage).Draw(t, "limit")
		s, l, a, n, err := DecodeList(AppendList(nil, slot, leaves, after, limit))
		if err != nil || s != slot || l != leaves || !bytes.Equal(a, after) || n != limit {
			t.Fatalf("got %d %b %x %d %v, want %d %b %x %d", s, l, a, n, err, slot, leaves, after, limit)
		}
		listing := Listing{Next: after, Items: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Listed {
			return Listed{drawKey(t), rapid.Uint64().Draw(t, "digest")}
		}), 0, 5).Draw(t, "items")}
		if got := scribbled(t, AppendListing(nil, listing), DecodeListing); !sameListing(got, listing) {
			t.Fatalf("got %v, want %v", got, listing)
		}
	})
}

// TestList: pages of any size together are the cells of the leaves asked for,
// once each, in order; digests and all; and asking by message is the same.
func TestList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := startRig(t, storage.Options{}, Options{})
		defer g.close()
		n := rapid.IntRange(0, 40).Draw(t, "cells")
		for i := range n {
			k := inSlot(5, i)
			k.Field = fmt.Appendf(nil, "f%d", i%3)
			if _, err := g.update(put(k, "v"), put(inSlot(4, i), "v"), put(inSlot(6, i), "v")); err != nil {
				t.Fatal(err)
			}
		}
		g.write(Key{Slot: 5, Key: []byte("k2a")}, []byte("damaged"))
		leaves, limit := rapid.Uint16().Draw(t, "leaves"), rapid.IntRange(0, 9).Draw(t, "limit")
		var want []Listed
		for i := range n {
			k := inSlot(5, i)
			k.Field = fmt.Appendf(nil, "f%d", i%3)
			if leaves&(1<<leafOf(hashRow(storage.AppendRow(nil, 5, k.Key, k.Field)))) != 0 {
				want = append(want, Listed{k, g.get(k).Digest()})
			}
		}
		slices.SortFunc(want, func(a, b Listed) int { return bytes.Compare(a.Key.Key, b.Key.Key) })
		var got []Listed
		var after []byte
		for pages := 0; ; pages++ {
			l, err := g.List(t.Context(), 5, leaves, after, limit)
			if err != nil || limit > 0 && len(l.Items) > limit || pages > n {
				t.Fatalf("page %d of %d items, %v", pages, len(l.Items), err)
			}
			r := g.ask(KindList, AppendList(nil, 5, leaves, after, limit))
			if served, err := DecodeListing(r.body); err != nil || !sameListing(served, l) {
				t.Fatalf("served %v, %v %s, want %v", served, err, r.err, l)
			}
			got = append(got, l.Items...)
			if after = l.Next; len(after) == 0 {
				break
			}
		}
		if !sameListing(Listing{Items: got}, Listing{Items: want}) {
			t.Fatalf("got %v, want %v", got, want)
		}
		g.scrub(5) // for the check at the end
	})
}

// TestListOutside: rows that are not of the slot lead to nothing.
func TestListOutside(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	defer g.close()
	if _, err := g.update(put(inSlot(4, 1), "v"), put(inSlot(5, 1), "v"), put(inSlot(6, 1), "v")); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[string]int{"": 1, "a": 1, "z": 0, string(storage.RowSlotStart(nil, 4)): 1, string(storage.RowSlotStart(nil, 6)): 0} {
		if l, err := g.List(t.Context(), 5, 1<<LeavesPerSlot-1, []byte(after), 0); err != nil || len(l.Items) != want || l.Next != nil {
			t.Errorf("after %q: %v, %v", after, l, err)
		}
	}
}

// TestServeHashes: what is asked for by message is what is kept.
func TestServeHashes(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	defer g.close()
	for i := range 50 {
		if _, err := g.update(put(keyOf(i), "v")); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(ranges []SlotRange, deep bool, n int) []uint64 {
		r := g.ask(KindHashes, AppendHashes(nil, ranges, deep))
		hashes, err := DecodeHashed(r.body, n)
		if err != nil {
			t.Fatal(err, r.err)
		}
		return hashes
	}
	if h := ask([]SlotRange{{0, storage.Slots - 1}, {37, 37}, {38, 60}}, false, 3); h[0] != g.RangeHash(0, storage.Slots-1) || h[0] == 0 || h[1] == 0 || h[2] != 0 {
		t.Errorf("ranges: %x", h)
	}
	a, b := g.Leaves(37), g.Leaves(1)
	if h := ask([]SlotRange{{37, 37}, {1, 1}}, true, 2*LeavesPerSlot); !slices.Equal(h, slices.Concat(a[:], b[:])) {
		t.Errorf("leaves: %x", h)
	}
	for _, kind := range []uint8{KindHashes, KindList} {
		if r := g.ask(kind, []byte{9}); r.code != CodeMalformed {
			t.Errorf("kind %d malformed: %+v", kind, r)
		}
	}
}
