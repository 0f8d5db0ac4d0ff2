package replica

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// hint keeps cells for owner and waits.
func (g *rig) hint(owner string, must bool, cells ...KeyedCell) error {
	done := make(chan error, 1)
	g.Apply(&ApplyBatch{For: owner, Must: must, Cells: cells, Done: func(err error) { done <- err; close(done) }})
	return <-done
}

// drop drops cells and waits.
func (g *rig) drop(owner string, cells ...KeyedCell) (int, error) {
	done := make(chan error, 1)
	b := &DropBatch{For: owner, Cells: cells, Done: func(err error) { done <- err; close(done) }}
	g.Drop(b)
	err := <-done
	return b.Dropped, err
}

// kept returns all hints for owner, read in pages of limit.
func (g *rig) kept(t rapid.TB, owner string, limit int) []KeyedCell {
	t.Helper()
	var all []KeyedCell
	var after []byte
	for {
		p, err := g.Hints(context.Background(), owner, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, p.Cells...); p.Next == nil {
			return all
		}
		after = p.Next
	}
}

// every returns what kept does, or all of the replica's own cells.
func (g *rig) every(t rapid.TB, owner string) []KeyedCell {
	t.Helper()
	if owner != "" {
		return g.kept(t, owner, 2)
	}
	p, err := g.Scan(context.Background(), ScanRequest{Last: storage.Slots - 1})
	if err != nil || p.Next != nil {
		t.Fatal(p.Next, err)
	}
	return p.Cells
}

func (g *rig) held(t rapid.TB, k Key) *version.Cell {
	t.Helper()
	c, err := g.Held(k)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// hintModel is what a replica should hold, by owner ("": its own) and key.
type hintModel map[string]map[int]*version.Cell

const modelKeys = 4

func (m hintModel) check(t *rapid.T, g *rig) {
	for k := range modelKeys {
		want, pending := m[""][k], 0
		for _, owner := range []string{"a", "b\x00"} {
			if hint := m[owner][k]; hint != nil {
				want = version.Merge(want, hint)
				pending++
			}
		}
		held := g.held(t, keyOf(k))
		if !bytes.Equal(held.Bytes(), want.Bytes()) || !bytes.Equal(g.get(keyOf(k)).Bytes(), m[""][k].Bytes()) {
			t.Fatalf("key %d: held is %v, want %v", k, held, want)
		}
		if n := g.PendingHints(keyOf(k)); n != pending {
			t.Fatalf("key %d has hints for %d owners, want %d", k, n, pending)
		}
		answer := g.read(t, []Ask{{Key: keyOf(k)}}, false)[0]
		if !bytes.Equal(answer.Cell.Bytes(), want.Bytes()) {
			t.Fatalf("key %d: a peer is told %v, want %v", k, answer.Cell, want)
		}
	}
	stats := map[string]HintStats{}
	for _, s := range g.HintStats() {
		stats[s.Owner] = s
	}
	for _, owner := range []string{"a", "b\x00"} {
		var want []KeyedCell
		sum := HintStats{}
		for _, k := range slices.Sorted(maps.Keys(m[owner])) {
			c, key := m[owner][k], keyOf(k)
			want = append(want, KeyedCell{key, c})
			sum.Cells++
			sum.Bytes += int64(len(storage.AppendHintRow(nil, owner, key.Slot, key.Key, nil)) + len(c.Bytes()))
		}
		slices.SortFunc(want, func(x, y KeyedCell) int { return cmp.Compare(x.Key.Slot, y.Key.Slot) })
		if got := g.kept(t, owner, rapid.IntRange(1, 3).Draw(t, "page")); !sameCells(got, want) {
			t.Fatalf("kept for %q: %v, want %v", owner, got, want)
		}
		if s := stats[owner]; s.Cells != sum.Cells || s.Bytes != sum.Bytes || (s.Oldest == 0) != (s.Cells == 0) {
			t.Fatalf("numbers of %q: %+v, want %+v", owner, s, sum)
		}
	}
}

// TestHintsMerge: hints merge with what is kept for their owner and with
// nothing else; whoever reads the replica gets its own cell and all hints; a
// drop takes exactly what it names; all of it, and its account, outlives a stop.
func TestHintsMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewMem()
		o := Options{
			CacheBytes: rapid.SampledFrom([]int64{-1, 4 << 20}).Draw(t, "cache"), Lanes: rapid.IntRange(1, 2).Draw(t, "lanes"),
		}
		g := startRig(t, storage.Options{FS: fs}, o)
		defer func() { g.close() }()
		m := hintModel{"": {}, "a": {}, "b\x00": {}}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			owner := rapid.SampledFrom([]string{"", "a", "b\x00"}).Draw(t, "owner")
			switch rapid.IntRange(0, 6).Draw(t, "do") {
			case 0, 1, 2:
				var cells []KeyedCell
				for range rapid.IntRange(1, 3).Draw(t, "cells") {
					k := rapid.IntRange(0, modelKeys-1).Draw(t, "key")
					c := drawCell(t)
					merged := version.Merge(m[owner][k], c)
					if merged == nil {
						continue // two that replace each other: of no one history
					}
					cells = append(cells, KeyedCell{keyOf(k), c})
					m[owner][k] = merged
				}
				if err := g.hint(owner, false, cells...); err != nil {
					t.Fatal(err)
				}
			case 3, 4, 5:
				k := rapid.IntRange(0, modelKeys-1).Draw(t, "key")
				given, want := m[owner][k], 1
				if given == nil || rapid.Bool().Draw(t, "other") {
					given = drawCell(t)
				}
				if bytes.Equal(given.Bytes(), m[owner][k].Bytes()) {
					delete(m[owner], k)
				} else {
					want = 0
				}
				if n, err := g.drop(owner, KeyedCell{keyOf(k), given}); n != want || err != nil {
					t.Fatalf("%d dropped, %v; want %d", n, err, want)
				}
			case 6:
				g.close()
				g = startRig(t, storage.Options{FS: fs}, o)
			}
			m.check(t, g)
		}
	})
}

// TestHintsSurviveCrash: where a replica's copy has to be synced, a hint that
// was acknowledged is on disk.
func TestHintsSurviveCrash(t *testing.T) {
	const keys = 20
	fs := vfs.NewCrashableMem()
	so := storage.Options{FS: fs, Durability: storage.Always}
	g := startRig(t, so, Options{Lanes: 2})
	acked := &ledger{cells: map[int]*version.Cell{}}
	var stop atomic.Bool
	var acks atomic.Int64
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 5))
			f := newForeign(uint64(100+w), 0)
			for !stop.Load() {
				k := rng.IntN(keys)
				f.cell = nil
				f.put(t, "v")
				if err := g.hint("n2", false, KeyedCell{keyOf(k), f.cell}); err != nil {
					t.Error(err)
				}
				acked.note(k, f.cell)
				acks.Add(1)
			}
		})
	}
	for crash := range 5 {
		for before := acks.Load(); acks.Load() < before+10; {
			runtime.Gosched()
		}
		want := acked.snapshot()
		so.FS = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: crash * 20, RNG: rand.New(rand.NewPCG(1, uint64(crash)))})
		after := startRig(t, so, Options{})
		for k, c := range want {
			if !covers(after.held(t, keyOf(k)), c) {
				t.Errorf("crash %d: an acknowledged hint of key %d is lost", crash, k)
			}
		}
		if s := after.HintStats(); len(s) != 1 || s[0].Cells < int64(len(want)) {
			t.Errorf("crash %d: %+v after %d hints", crash, s, len(want))
		}
		after.close()
	}
	stop.Store(true)
	writers.Wait()
	g.close()
}

// TestDropWhileChanging delivers and drops while more comes: whatever was
// acknowledged is delivered or still kept. Hints and a replica's own cells alike.
func TestDropWhileChanging(t *testing.T) {
	for _, owner := range []string{"", "n2"} {
		t.Run("for "+owner, func(t *testing.T) {
			const keys = 3
			g := startRig(t, storage.Options{Durability: storage.Interval}, Options{Lanes: 2})
			acked, delivered := &ledger{cells: map[int]*version.Cell{}}, map[string]*version.Cell{}
			var acks atomic.Int64
			var stop atomic.Bool
			var writers sync.WaitGroup
			for w := range 3 {
				writers.Go(func() {
					f := newForeign(uint64(100+w), 0)
					for i := w; !stop.Load(); i++ {
						f.cell = nil
						f.put(t, "v")
						if err := g.hint(owner, false, KeyedCell{keyOf(i % keys), f.cell}); err != nil {
							t.Error(err)
						}
						acked.note(i%keys, f.cell)
						acks.Add(1)
					}
				})
			}
			dropped, stayed := 0, 0
			for round := range 40 {
				if round == 39 {
					stop.Store(true)
					writers.Wait()
				}
				cells := g.every(t, owner)
				for _, kc := range cells {
					delivered[string(kc.Key.Key)] = version.Merge(delivered[string(kc.Key.Key)], kc.Cell)
				}
				for before := acks.Load(); round%2 == 0 && acks.Load() < before+3; {
					runtime.Gosched() // until some of it has changed
				}
				n, err := g.drop(owner, cells...)
				if err != nil {
					t.Fatal(err)
				}
				dropped, stayed = dropped+n, stayed+len(cells)-n
			}
			for k, want := range acked.cells {
				key := keyOf(k)
				if got := version.Merge(delivered[string(key.Key)], g.held(t, key)); !covers(got, want) {
					t.Errorf("something of key %d is neither delivered nor kept", k)
				}
				if c := g.held(t, key); c != nil {
					t.Errorf("key %d is still held after the last drop", k)
				}
			}
			if dropped == 0 || stayed == 0 {
				t.Errorf("%d dropped, %d had changed: nothing was tested", dropped, stayed)
			}
			g.close()
		})
	}
}

// TestOldestHint: the age is that of the oldest write, whenever it came, and is
// gone with it.
func TestOldestHint(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	defer g.close()
	old, young := newForeign(7, 0), newForeign(8, 0)
	old.clock = version.NewClock(func() time.Time { return time.UnixMilli(5000) })
	old.put(t, "old")
	young.put(t, "young")
	oldest := func() int64 { return g.HintStats()[0].Oldest }
	if err := g.hint("n2", false, KeyedCell{keyOf(1), young.cell}, KeyedCell{keyOf(2), old.cell}); err != nil {
		t.Fatal(err)
	}
	if oldest() != 5000 {
		t.Errorf("the oldest is of %d", oldest())
	}
	if _, err := g.drop("n2", KeyedCell{keyOf(2), old.cell}); err != nil {
		t.Fatal(err)
	}
	if want := young.cell.Versions[0].Time.Millis(); oldest() != want {
		t.Errorf("the oldest is of %d, want %d", oldest(), want)
	}
	if s := g.HintStats()[0]; s.Stored != 2 || s.Dropped != 1 {
		t.Errorf("%+v", s)
	}
}

// TestHeldWithoutHints: who keeps no hints does not pay for them.
func TestHeldWithoutHints(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	defer g.close()
	f := newForeign(7, 0)
	f.put(t, "v")
	if err := g.apply(KeyedCell{keyOf(1), f.cell}); err != nil {
		t.Fatal(err)
	}
	if err := g.hint("n2", false, KeyedCell{keyOf(2), f.cell}); err != nil {
		t.Fatal(err)
	}
	hits := g.Stats().CacheHits
	if n := testing.AllocsPerRun(100, func() { _, _ = g.Held(keyOf(1)) }) - testing.AllocsPerRun(100, func() { _, _ = g.Get(keyOf(1)) }); n != 0 {
		t.Errorf("%v allocations more than Get", n)
	}
	if s := g.Stats(); s.CacheHits-hits != 202 {
		t.Errorf("%d rows were looked for by 202 reads", s.CacheHits-hits)
	}
}
