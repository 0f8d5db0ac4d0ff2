package ring

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage/version"
)

const testCluster = 0xc105

func found(n, partitions int) Event {
	return Event{ID: 1, Time: 1, Kind: Found, Config: &Config{Cluster: testCluster, N: n, Placement: PlacementEqual, Partitions: partitions}}
}

func mustHistory(t testing.TB, events ...Event) *History {
	t.Helper()
	h, err := NewHistory(events...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func mustReplay(t testing.TB, h *History) *Ring {
	t.Helper()
	r, err := Replay(h)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// drawEvents returns any events that a history may hold, sensible or not, of
// few names, actors, ids and times, so that they meet.
func drawEvents(t *rapid.T) []Event {
	names := rapid.SampledFrom([]string{"n1", "n2", "n3", "n4", "n5", "n6"})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Event {
		e := Event{
			ID:   EventID(rapid.Uint64Range(1, 40).Draw(t, "id")),
			Time: version.Timestamp(rapid.Uint64Range(1, 20).Draw(t, "time")),
			Kind: Kind(rapid.SampledFrom([]byte{1, 2, 2, 2, 3, 3, 3, 4, 200}).Draw(t, "kind")),
		}
		if rapid.IntRange(0, 9).Draw(t, "later") == 0 {
			e.Extra = rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(t, "extra")
		}
		switch e.Kind {
		case Found:
			e.Config = &Config{
				Cluster:    testCluster,
				N:          rapid.IntRange(0, 5).Draw(t, "n"),
				Placement:  rapid.SampledFrom([]string{PlacementEqual, PlacementEqual, PlacementEqual, "moon"}).Draw(t, "placement"),
				Partitions: rapid.SampledFrom([]int{1, 4, 7, 8, 16, 64}).Draw(t, "partitions"),
			}
		case Join:
			e.Name, e.Actor = names.Draw(t, "name"), rapid.Uint64Range(1, 12).Draw(t, "actor")
			e.Weight = rapid.IntRange(1, 3).Draw(t, "weight")
			e.Zone = rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "zone")
		case Ready:
			e.Name, e.Since = names.Draw(t, "name"), EventID(rapid.Uint64Range(1, 40).Draw(t, "since"))
			e.Slots = JoinRanges(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Range {
				lo := rapid.Uint16Range(0, Slots-1).Draw(t, "lo")
				return Range{lo, rapid.Uint16Range(lo, Slots-1).Draw(t, "hi")}
			}), 0, 3).Draw(t, "slots"))
		}
		return e
	}), 0, 30).Draw(t, "events")
}

// However events travel, cut up, twice, in any order, the same set gives the
// same history and the same ring.
func TestMergeIsUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t)
		whole, err := NewHistory(events...)
		if err != nil {
			t.Fatal(err)
		}
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var merged *History
		for range 2 {
			rnd.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			for rest := events; len(rest) > 0; {
				n := 1 + rnd.IntN(len(rest))
				part, err := NewHistory(rest[:n]...)
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
				a, b := merged, part
				if rnd.IntN(2) == 0 {
					a, b = b, a
				}
				if merged, err = a.Merge(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		if merged.Digest() != whole.Digest() || !bytes.Equal(merged.Encoded(), whole.Encoded()) {
			t.Fatalf("merged\n%v\nwhole\n%v", merged.Events(), whole.Events())
		}
		if again, _ := merged.Merge(whole); again != merged {
			t.Fatal("merging what is there made something new")
		}
		a, errA := Replay(whole)
		b, errB := Replay(merged)
		if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(errA, errB) {
			t.Fatal("same history, other ring")
		}
	})
}

func TestHistoryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, err := NewHistory(drawEvents(t)...)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeHistory(h.Encoded())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(h, back) {
			t.Fatalf("wrote %v, read %v", h, back)
		}
	})
}

func TestHistoryMissing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, err := NewHistory(drawEvents(t)...)
		if err != nil {
			t.Fatal(err)
		}
		b, err := NewHistory(drawEvents(t)...)
		if err != nil {
			t.Fatal(err)
		}
		union, err := a.Merge(b)
		if err != nil {
			t.Fatal(err)
		}
		if n := a.Len() + len(a.Missing(b)); n != union.Len() {
			t.Fatalf("%d events and %d missing ones are %d together", a.Len(), len(a.Missing(b)), union.Len())
		}
	})
}

func TestForeignHistory(t *testing.T) {
	theirs := found(3, 256)
	theirs.ID, theirs.Config = 2, &Config{Cluster: 9, N: 3, Placement: PlacementEqual, Partitions: 256}
	ours := mustHistory(t, found(3, 256))
	for _, err := range []error{
		func() error { _, err := ours.Merge(mustHistory(t, theirs)); return err }(),
		func() error { _, err := ours.With(theirs); return err }(),
		func() error { _, err := NewHistory(found(3, 256), theirs); return err }(),
		func() error {
			_, err := DecodeHistory(appendHistory(nil, []Event{found(3, 256), theirs}))
			return err
		}(),
	} {
		if !errors.Is(err, ErrForeignCluster) {
			t.Errorf("got %v", err)
		}
	}
}

func TestBadEvents(t *testing.T) {
	for name, e := range map[string]Event{
		"no id":      {Kind: Join, Name: "n1", Weight: 1},
		"no kind":    {ID: 1},
		"no name":    {ID: 1, Kind: Join, Weight: 1},
		"no weight":  {ID: 1, Kind: Join, Name: "n1"},
		"heavy":      {ID: 1, Kind: Join, Name: "n1", Weight: MaxWeight + 1},
		"no config":  {ID: 1, Kind: Found},
		"no cluster": {ID: 1, Kind: Found, Config: &Config{}},
		"backwards":  {ID: 1, Kind: Ready, Slots: []Range{{5, 4}}},
		"neighbours": {ID: 1, Kind: Ready, Slots: []Range{{0, 4}, {5, 6}}},
		"beyond":     {ID: 1, Kind: Ready, Slots: []Range{{0, Slots}}},
		"long name":  {ID: 1, Kind: Join, Weight: 1, Name: string(make([]byte, MaxName+1))},
	} {
		if _, err := NewHistory(e); !errors.Is(err, ErrBadEvent) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestNilHistory(t *testing.T) {
	var h *History
	if h.Len() != 0 || h.Events() != nil || h.Digest() != 0 || h.Cluster() != 0 || h.Latest() != 0 || h.Encoded() != nil || h.Has(1) {
		t.Error("the nil history is not empty")
	}
	if _, err := Replay(h); !errors.Is(err, ErrNoCluster) {
		t.Errorf("got %v", err)
	}
	full := mustHistory(t, found(3, 256))
	if got, _ := h.Merge(full); got != full {
		t.Error("nothing and something is not something")
	}
	if got, _ := full.Merge(h); got != full {
		t.Error("something and nothing is not something")
	}
}

// FuzzDecodeHistory checks that a decoder fed with anything neither fails
// badly nor takes in what it would write otherwise.
func FuzzDecodeHistory(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(appendHistory(nil, []Event{found(3, 256)}))
	f.Add(appendHistory(nil, []Event{
		found(3, 256),
		{ID: 2, Time: 5, Kind: Join, Name: "n1", Actor: 7, Weight: 1, Zone: "a"},
		{ID: 3, Time: 6, Kind: Ready, Name: "n1", Since: 2, Slots: []Range{{0, 63}, {128, 16383}}},
		{ID: 4, Time: 7, Kind: 9, Extra: []byte("of a later day")},
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := DecodeHistory(b)
		if err != nil {
			if !errors.Is(err, ErrBadHistory) && !errors.Is(err, ErrForeignCluster) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if !bytes.Equal(h.Encoded(), b) {
			t.Fatalf("read %x, writes %x", b, h.Encoded())
		}
		if r, err := Replay(h); err == nil {
			checkRing(t, r)
		}
	})
}
