package replica

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// drawCell builds a cell by a few random writes of random actors.
func drawCell(t *rapid.T) *version.Cell {
	var c *version.Cell
	for i := range rapid.IntRange(1, 4).Draw(t, "writes") {
		m := version.Mint{
			Actor: version.Actor{ID: rapid.Uint64Range(1, 3).Draw(t, "actor")},
			Time:  version.TimestampAt(int64(1000 + i)),
			Now:   1000,
		}
		var next *version.Cell
		var err error
		if rapid.Bool().Draw(t, "incr") {
			next, _, _, err = c.Increment(m, rapid.Int64Range(-3, 3).Draw(t, "by"))
		}
		if next == nil || err != nil {
			w := version.Write{Value: rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")}
			if rapid.Bool().Draw(t, "sibling") {
				w.Context = &version.Context{}
			}
			if next, _, _, err = c.Put(m, w); err != nil {
				t.Fatal(err)
			}
		}
		c = next
	}
	return c
}

func drawKey(t *rapid.T) Key {
	return Key{
		Slot:  uint16(rapid.IntRange(0, storage.Slots-1).Draw(t, "slot")),
		Key:   rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "key"),
		Field: rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "field"),
	}
}

func sameKey(a, b Key) bool {
	return a.Slot == b.Slot && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Field, b.Field)
}

func sameCells(a, b []KeyedCell) bool {
	return slices.EqualFunc(a, b, func(x, y KeyedCell) bool {
		return sameKey(x.Key, y.Key) && bytes.Equal(x.Cell.Bytes(), y.Cell.Bytes())
	})
}

// scribbled returns what decode makes of a body that is overwritten as soon as
// decode has returned, as a connection's buffer is.
func scribbled[T any](t *rapid.T, body []byte, decode func([]byte) (T, error)) T {
	body = bytes.Clone(body)
	out, err := decode(body)
	if err != nil {
		t.Fatal(err)
	}
	for i := range body {
		body[i] = 0xff
	}
	return out
}

func TestApplyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) KeyedCell {
			return KeyedCell{Key: drawKey(t), Cell: drawCell(t)}
		}), 0, 8).Draw(t, "cells")
		if n := len(cells); n > 0 && rapid.Bool().Draw(t, "large") {
			big, _, _, err := cells[0].Cell.Put(version.Mint{Actor: version.Actor{ID: 9}}, version.Write{Value: make([]byte, maxSharedFrame)})
			if err != nil {
				t.Fatal(err)
			}
			cells[0].Cell = big
		}
		if got := scribbled(t, AppendApply(nil, cells), DecodeApply); !sameCells(got, cells) {
			t.Fatalf("got %v, want %v", got, cells)
		}
		page := Page{Cells: cells, Next: rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "next")}
		got := scribbled(t, AppendPage(nil, page), DecodePage)
		if !sameCells(got.Cells, cells) || !bytes.Equal(got.Next, page.Next) {
			t.Fatalf("got %v, want %v", got, page)
		}
	})
}

func TestHintRoundTrip(t *testing.T) {
	type hint struct {
		owner string
		must  bool
		cells []KeyedCell
	}
	decode := func(b []byte) (h hint, err error) {
		h.owner, h.must, h.cells, err = DecodeHint(b)
		return h, err
	}
	rapid.Check(t, func(t *rapid.T) {
		want := hint{
			owner: rapid.StringN(1, 20, maxOwnerName).Draw(t, "owner"),
			must:  rapid.Bool().Draw(t, "must"),
			cells: []KeyedCell{{Key: drawKey(t), Cell: drawCell(t)}},
		}
		got := scribbled(t, AppendHint(nil, want.owner, want.must, want.cells), decode)
		if got.owner != want.owner || got.must != want.must || !sameCells(got.cells, want.cells) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
	for _, name := range []string{"", strings.Repeat("n", maxOwnerName+1)} {
		if _, err := decode(AppendHint(nil, name, false, nil)); !errors.Is(err, ErrMalformed) {
			t.Errorf("an owner with a name of %d bytes: %v", len(name), err)
		}
	}
}

func TestCollectRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asks := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Ask {
			return Ask{Key: drawKey(t), Digest: rapid.Uint64().Draw(t, "digest")}
		}), 0, 8).Draw(t, "asks")
		for _, body := range [][]byte{AppendInspect(nil, asks), AppendCollect(nil, asks)} {
			got := scribbled(t, body, DecodeAsks)
			if !slices.EqualFunc(got, asks, func(a, b Ask) bool { return a.Digest == b.Digest && sameKey(a.Key, b.Key) }) {
				t.Fatalf("got %v, want %v", got, asks)
			}
		}
		found := rapid.SliceOfN(rapid.Make[Inspected](), 0, 8).Draw(t, "found")
		gone := rapid.SliceOfN(rapid.Bool(), 0, 8).Draw(t, "gone")
		if got, err := DecodeInspected(AppendInspected(nil, found), len(found)); err != nil || !slices.Equal(got, found) {
			t.Fatalf("got %v %v, want %v", got, err, found)
		}
		if got, err := DecodeCollected(AppendCollected(nil, gone), len(gone)); err != nil || !slices.Equal(got, gone) {
			t.Fatalf("got %v %v, want %v", got, err, gone)
		}
		_, err := DecodeInspected(AppendInspected(nil, found), len(found)+1)
		if _, other := DecodeCollected(AppendCollected(nil, gone), len(gone)+1); err == nil || other == nil {
			t.Fatal("an answer to fewer asks")
		}
	})
}

func TestReadRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asks := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Ask {
			return Ask{Key: drawKey(t), Digest: rapid.Uint64().Draw(t, "digest")}
		}), 0, 8).Draw(t, "asks")
		stripped := rapid.Bool().Draw(t, "stripped")
		got, gotStripped, err := DecodeRead(AppendRead(nil, asks, stripped))
		same := slices.EqualFunc(got, asks, func(a, b Ask) bool { return a.Digest == b.Digest && sameKey(a.Key, b.Key) })
		if err != nil || gotStripped != stripped || !same {
			t.Fatalf("got %v %v %v, want %v %v", got, gotStripped, err, asks, stripped)
		}

		answers := make([]Answer, len(asks))
		for i := range answers {
			answers[i].Status = Status(rapid.IntRange(0, int(Later)).Draw(t, "status"))
			switch {
			case answers[i].Status == Found:
				answers[i].Cell = drawCell(t)
			case i == 0 && answers[i].Status == Later:
				answers[i].Status = Same
			}
		}
		back := scribbled(t, AppendAnswers(nil, answers), func(b []byte) ([]Answer, error) {
			return DecodeAnswers(nil, b, len(answers))
		})
		if !slices.EqualFunc(back, answers, func(a, b Answer) bool {
			return a.Status == b.Status && bytes.Equal(a.Cell.Bytes(), b.Cell.Bytes())
		}) {
			t.Fatalf("got %v, want %v", back, answers)
		}
		if _, err := DecodeAnswers(nil, AppendAnswers(nil, answers), len(answers)+1); !errors.Is(err, ErrMalformed) {
			t.Fatalf("an answer to fewer asks: %v", err)
		}
	})
}

func TestRangeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ScanRequest{
			First:    uint16(rapid.IntRange(0, storage.Slots-1).Draw(t, "first")),
			After:    rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "after"),
			Limit:    rapid.IntRange(0, MaxPage).Draw(t, "limit"),
			Stripped: rapid.Bool().Draw(t, "stripped"),
			Of:       ScanOf(rapid.IntRange(0, 2).Draw(t, "of")),
		}
		s.Last = uint16(rapid.IntRange(int(s.First), storage.Slots-1).Draw(t, "last"))
		got, err := DecodeScan(AppendScan(nil, s))
		if err != nil || got.First != s.First || got.Last != s.Last || got.Limit != s.Limit ||
			got.Stripped != s.Stripped || got.Of != s.Of || !bytes.Equal(got.After, s.After) {
			t.Fatalf("got %v %v, want %v", got, err, s)
		}
		n := CountRequest{[]SlotRange{{s.First, s.Last}, {s.Last, s.Last}}, rapid.Int64Min(0).Draw(t, "now"), s.Stripped}
		if got, err := DecodeCount(AppendCount(nil, n)); err != nil || !reflect.DeepEqual(got, n) {
			t.Fatalf("got %v %v, want %v", got, err, n)
		}
		keys := []Counted{{rapid.Uint64().Draw(t, "hash"),
			KeyCount{rapid.Uint64().Draw(t, "n"), rapid.Uint64().Draw(t, "expiring"), rapid.Uint64().Draw(t, "ttl")}}, {}}
		if got, err := DecodeCounted(AppendCounted(nil, keys), 2); !slices.Equal(got, keys) || err != nil {
			t.Fatalf("got %v %v, want %v", got, err, keys)
		}
	})
}

// message is a well-formed message, and its decoder.
type message struct {
	name   string
	body   []byte
	decode func([]byte) error
}

// messages returns one of each kind.
func messages(t testing.TB) []message {
	cell, _, _, err := (*version.Cell)(nil).Put(version.Mint{Actor: version.Actor{ID: 1}}, version.Write{Value: []byte("v")})
	if err != nil {
		t.Fatal(err)
	}
	key := Key{Slot: 7, Key: []byte("k"), Field: []byte("f")}
	cells := []KeyedCell{{Key: key, Cell: cell}}
	return []message{
		{"apply", AppendApply(nil, cells), func(b []byte) error { _, err := DecodeApply(b); return err }},
		{"page", AppendPage(nil, Page{Cells: cells, Next: []byte("n")}), func(b []byte) error { _, err := DecodePage(b); return err }},
		{"read", AppendRead(nil, []Ask{{Key: key}}, true), func(b []byte) error { _, _, err := DecodeRead(b); return err }},
		{"answers", AppendAnswers(nil, []Answer{{Found, cell}}), func(b []byte) error { _, err := DecodeAnswers(nil, b, 1); return err }},
		{"scan", AppendScan(nil, ScanRequest{Last: 9, Limit: 3, After: []byte("r")}), func(b []byte) error { _, err := DecodeScan(b); return err }},
		{"hint", AppendHint(nil, "n1", true, cells), func(b []byte) error { _, _, _, err := DecodeHint(b); return err }},
		{"asks", AppendCollect(nil, []Ask{{Key: key, Digest: 3}}), func(b []byte) error { _, err := DecodeAsks(b); return err }},
		{"inspected", AppendInspected(nil, []Inspected{{Digest: 3, Dead: true, Recent: true}}), func(b []byte) error { _, err := DecodeInspected(b, 1); return err }},
		{"collected", AppendCollected(nil, []bool{true, false}), func(b []byte) error { _, err := DecodeCollected(b, 2); return err }},
		{"count", AppendCount(nil, CountRequest{[]SlotRange{{1, 2}}, 3, true}), func(b []byte) error { _, err := DecodeCount(b); return err }},
		{"counted", AppendCounted(nil, []Counted{{9, KeyCount{300, 2, 1}}}), func(b []byte) error { _, err := DecodeCounted(b, 1); return err }},
		{"hashes", AppendHashes(nil, []SlotRange{{3, 3}}, true), func(b []byte) error { _, _, err := DecodeHashes(b); return err }},
		{"hashed", AppendHashed(nil, []uint64{1, 2}), func(b []byte) error { _, err := DecodeHashed(b, 2); return err }},
		{"list", AppendList(nil, 7, 1<<15, []byte("r"), 3), func(b []byte) error { _, _, _, _, err := DecodeList(b); return err }},
		{"listing", AppendListing(nil, Listing{[]Listed{{key, 9}}, []byte("n")}), func(b []byte) error { _, err := DecodeListing(b); return err }},
	}
}

// TestMalformed cuts and lengthens messages: each end must be noticed.
func TestMalformed(t *testing.T) {
	for _, m := range messages(t) {
		if err := m.decode(m.body); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		for n := range m.body {
			if err := m.decode(m.body[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s cut to %d of %d bytes: %v", m.name, n, len(m.body), err)
			}
		}
		if err := m.decode(append(bytes.Clone(m.body), 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with a byte too many: %v", m.name, err)
		}
	}
	beyond := AppendCount(nil, CountRequest{Ranges: []SlotRange{{storage.Slots, storage.Slots}}})
	if _, err := DecodeCount(beyond); !errors.Is(err, ErrMalformed) {
		t.Errorf("a slot beyond the ring: %v", err)
	}
	if _, err := DecodeScan(AppendScan(nil, ScanRequest{First: 2, Last: 1})); !errors.Is(err, ErrMalformed) {
		t.Errorf("a range backwards: %v", err)
	}
	if _, _, err := DecodeHashes(AppendHashes(nil, []SlotRange{{1, 2}}, true)); !errors.Is(err, ErrMalformed) {
		t.Errorf("the leaves of a range: %v", err)
	}
	everything := make([]SlotRange, maxAskedSlots/storage.Slots+1)
	for i := range everything {
		everything[i].Last = storage.Slots - 1
	}
	if _, _, err := DecodeHashes(AppendHashes(nil, everything, false)); !errors.Is(err, ErrMalformed) {
		t.Errorf("more slots than one request may hash: %v", err)
	}
}

// FuzzDecode holds every decoder to: no panic, and what is accepted is what
// its own encoder would have written.
func FuzzDecode(f *testing.F) {
	for _, m := range messages(f) {
		f.Add(m.body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if cells, err := DecodeApply(body); err == nil {
			again, err := DecodeApply(AppendApply(nil, cells))
			if err != nil || !sameCells(again, cells) {
				t.Fatalf("apply: %v %v, want %v", again, err, cells)
			}
		}
		if owner, must, cells, err := DecodeHint(body); err == nil {
			name, again, kept, err := DecodeHint(AppendHint(nil, owner, must, cells))
			if err != nil || name != owner || again != must || !sameCells(kept, cells) {
				t.Fatalf("hint: %q %v %v %v, want %q %v %v", name, again, kept, err, owner, must, cells)
			}
		}
		if asks, err := DecodeAsks(body); err == nil {
			if again, err := DecodeAsks(AppendCollect(nil, asks)); err != nil || len(again) != len(asks) {
				t.Fatalf("asks: %v %v, want %v", again, err, asks)
			}
		}
		for n := range 3 {
			if found, err := DecodeInspected(body, n); err == nil && len(found) != n {
				t.Fatalf("%d cells of %d inspected", len(found), n)
			}
			if gone, err := DecodeCollected(body, n); err == nil && len(gone) != n {
				t.Fatalf("%d cells of %d collected", len(gone), n)
			}
		}
		if page, err := DecodePage(body); err == nil {
			again, err := DecodePage(AppendPage(nil, page))
			if err != nil || !sameCells(again.Cells, page.Cells) || !bytes.Equal(again.Next, page.Next) {
				t.Fatalf("page: %v %v, want %v", again, err, page)
			}
		}
		if asks, stripped, err := DecodeRead(body); err == nil {
			again, _, err := DecodeRead(AppendRead(nil, asks, stripped))
			if err != nil || len(again) != len(asks) {
				t.Fatalf("read: %v %v, want %v", again, err, asks)
			}
		}
		for n := range 3 {
			if answers, err := DecodeAnswers(nil, body, n); err == nil && len(answers) != n {
				t.Fatalf("%d answers to %d asks", len(answers), n)
			}
		}
		if s, err := DecodeScan(body); err == nil && (s.First > s.Last || s.Last >= storage.Slots || s.Limit > MaxPage) {
			t.Fatalf("scan: %v", s)
		}
		if n, err := DecodeCount(body); err == nil {
			if again, err := DecodeCount(AppendCount(nil, n)); err != nil || !reflect.DeepEqual(again, n) {
				t.Fatalf("count: %v %v, want %v", again, err, n)
			}
		}
		_, _ = DecodeCounted(body, 1)
		if ranges, deep, err := DecodeHashes(body); err == nil {
			again, _, err := DecodeHashes(AppendHashes(nil, ranges, deep))
			if err != nil || !slices.Equal(again, ranges) {
				t.Fatalf("hashes: %v %v, want %v", again, err, ranges)
			}
		}
		if slot, _, _, limit, err := DecodeList(body); err == nil && (slot >= storage.Slots || limit > MaxPage) {
			t.Fatalf("list: %d %d", slot, limit)
		}
		if l, err := DecodeListing(body); err == nil {
			again, err := DecodeListing(AppendListing(nil, l))
			if err != nil || !sameListing(again, l) {
				t.Fatalf("listing: %v %v, want %v", again, err, l)
			}
		}
		for n := range 3 {
			if hashes, err := DecodeHashed(body, n); err == nil && len(hashes) != n {
				t.Fatalf("%d hashes, want %d", len(hashes), n)
			}
		}
	})
}
