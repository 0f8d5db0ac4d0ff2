package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// write puts a row into the store behind the replica's back; nil removes it.
func (g *rig) write(k Key, value []byte) {
	g.t.Helper()
	b := g.store.NewBatch()
	row := storage.AppendRow(nil, k.Slot, k.Key, k.Field)
	if b.Set(row, value); value == nil {
		b.Delete(row)
	}
	if err := settle(g.store.Apply(b, false)); err != nil {
		g.t.Fatal(err)
	}
}

func (g *rig) scrub(slot uint16) Scrubbed {
	g.t.Helper()
	s, err := g.Scrub(context.Background(), slot)
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

// inSlot returns keys of one slot.
func inSlot(slot uint16, i int) Key { return Key{Slot: slot, Key: fmt.Appendf(nil, "k%d", i)} }

// TestScrubMends whatever has happened to a slot behind the replica's back, at
// once and over a restart; nothing else changes, and a second look finds all
// well.
func TestScrubMends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewMem()
		o := Options{Lanes: 2, CacheBytes: rapid.SampledFrom([]int64{-1, 4 << 20}).Draw(t, "cache")}
		g := startRig(t, storage.Options{FS: fs}, o)
		defer func() { g.close() }()
		const keys = 8
		for i := range keys {
			if _, err := g.update(put(inSlot(5, i), "v"), put(inSlot(6, i), "v")); err != nil {
				t.Fatal(err)
			}
		}
		other := g.Leaves(6)
		f := newForeign(7, 0)
		f.put(t, "other")
		damaged := map[int]bool{}
		for range rapid.IntRange(0, 4).Draw(t, "damages") {
			i := rapid.IntRange(0, keys).Draw(t, "row")
			value := rapid.SampledFrom([][]byte{nil, {}, []byte("damaged"), f.cell.Bytes(), f.cell.Bytes()[1:]}).Draw(t, "value")
			g.write(inSlot(5, i), value)
			c, err := version.DecodeCell(value)
			damaged[i] = value != nil && (c == nil || err != nil)
		}
		if rapid.Bool().Draw(t, "leaf") {
			leaf := &g.leaves.hash[5][rapid.IntRange(0, LeavesPerSlot-1).Draw(t, "which")]
			leaf.Store(leaf.Load() ^ 1)
		}
		if rapid.Bool().Draw(t, "count") {
			g.leaves.slots[5].mortal.Add(1)
		}
		want := scanLeaves(t, g.store)[5]
		right := g.leaves.sums(5) == want
		rows := 0
		for _, d := range damaged {
			rows += int(count(d))
		}
		actor := g.store.Actor()
		s := g.scrub(5)
		if s.RowsDamaged != rows || rows == 0 && (s.LeavesWrong == 0) != right || s.LeavesWrong > LeavesPerSlot {
			t.Fatalf("%+v, with %d damaged rows, leaves right: %v", s, rows, right)
		}
		if g.store.Actor() != actor {
			t.Fatalf("nothing is lost yet, and %v goes on as %v", actor, g.store.Actor())
		}
		g.checkLeaves()
		if s.Cells != int(g.Slot(5).Cells) || g.Leaves(6) != other {
			t.Fatalf("%+v of %d cells", s, g.Slot(5).Cells)
		}
		left := s.RowsDamaged - s.RowsMended
		if again := g.scrub(5); again != (Scrubbed{Cells: s.Cells, RowsDamaged: left}) {
			t.Fatalf("again: %+v, after %+v", again, s)
		}
		var remedy Remedy
		for i := range keys + 1 {
			k := inSlot(5, i)
			if _, err := g.Get(k); isDamaged(err) && damaged[i] {
				remedy.Cells = append(remedy.Cells, KeyedCell{k, f.cell})
			} else if err != nil {
				t.Fatalf("key %d: %v", i, err)
			}
		}
		if n := len(remedy.Cells); n != left || left != len(g.Damaged(false)) {
			t.Fatalf("%d cells cannot be read, %d of %+v are known", n, len(g.Damaged(false)), s)
		}
		remedy.Slot, remedy.Read = 5, time.Now()
		if n, err := g.Mend(t.Context(), []Remedy{remedy}); err != nil || n != left {
			t.Fatalf("%d of %d mended, %v", n, left, err)
		}
		for i := range remedy.Cells {
			if c := g.get(remedy.Cells[i].Key); c.Digest() != f.cell.Digest() {
				t.Fatalf("key %q is %v", remedy.Cells[i].Key.Key, c)
			}
		}
		if again := g.scrub(5); again != (Scrubbed{Cells: s.Cells + left}) || len(g.Damaged(false)) > 0 {
			t.Fatalf("in the end: %+v, after %+v", again, s)
		}
		g.checkLeaves()
		g.close()
		g = startRig(t, storage.Options{FS: fs}, o)
		g.checkLeaves()
		if _, err := g.update(put(inSlot(5, 0), "after")); err != nil {
			t.Fatal(err)
		}
	})
}

// TestScrubKeepsWhatIsCached: a damaged row whose cell is in memory is no loss.
func TestScrubKeepsWhatIsCached(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	defer g.close()
	k := inSlot(5, 1)
	ops, err := g.update(put(k, "v"))
	if err != nil {
		t.Fatal(err)
	}
	before := g.Leaves(5)
	g.write(k, []byte("damaged"))
	if s := g.scrub(5); s != (Scrubbed{Cells: 1, RowsDamaged: 1, RowsMended: 1}) {
		t.Errorf("%+v", s)
	}
	if c := g.get(k); c.Digest() != ops[0].Next.Digest() || g.value(k) != "v" || g.Leaves(5) != before {
		t.Error("it is lost")
	}
}

// TestScrubLeavesRoom: a cell whose row was lost is taken again from elsewhere,
// although it was once here, and its leaf agrees with the others' then.
func TestScrubLeavesRoom(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	defer g.close()
	k := inSlot(5, 1)
	ops, err := g.update(put(k, "v"))
	if err != nil {
		t.Fatal(err)
	}
	before := g.Leaves(5)
	g.write(k, nil)
	if s := g.scrub(5); s != (Scrubbed{LeavesWrong: 1}) {
		t.Errorf("%+v", s)
	}
	if g.SlotHash(5) != 0 || g.get(k) != nil {
		t.Error("what is lost is still answered")
	}
	if err := g.apply(KeyedCell{k, ops[0].Next}); err != nil || g.Leaves(5) != before {
		t.Errorf("it does not come back: %v", err)
	}
}

// TestScrubUnderLoad finds nothing where there is nothing, however the slot
// changes meanwhile; and mends what there is.
func TestScrubUnderLoad(t *testing.T) {
	g := startRig(t, storage.Options{Durability: storage.Interval}, Options{Lanes: 2, CacheBytes: -1})
	defer g.close()
	for i := range 300 {
		if _, err := g.update(put(inSlot(5, i), "v")); err != nil {
			t.Fatal(err)
		}
	}
	var stop atomic.Bool
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := w; !stop.Load(); i += 7 {
				if i%5 == 0 {
					g.remove(inSlot(5, i%300))
				} else if _, err := g.update(put(inSlot(5, i%300), "w")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 60 {
		if s := g.scrub(5); s.LeavesWrong+s.RowsDamaged > 0 {
			t.Fatalf("nothing was wrong: %+v", s)
		}
		if i%10 == 0 {
			g.write(inSlot(5, 1000), []byte("damaged"))
			if s := g.scrub(5); s.LeavesWrong > 0 || s.RowsDamaged != 1 {
				t.Fatalf("a damaged row that was in no leaf: %+v", s)
			}
			g.write(inSlot(5, 1000), nil)
		}
	}
	stop.Store(true)
	writers.Wait()
}

// TestScrubOnFullDisk mends nothing, says so, and mends it later.
func TestScrubOnFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := &faultyFS{FS: vfs.NewMem()}
		fs.free.Store(1 << 30)
		g := startRig(t, storage.Options{FS: fs, MinFreeBytes: 1 << 20}, Options{CacheBytes: -1})
		defer g.close()
		if _, err := g.update(put(inSlot(5, 1), "v")); err != nil {
			t.Fatal(err)
		}
		before := g.Leaves(5)
		g.write(inSlot(5, 1), []byte("damaged"))
		fs.free.Store(1)
		time.Sleep(2 * time.Second)
		if s, err := g.Scrub(t.Context(), 5); !errors.Is(err, storage.ErrDiskFull) || s != (Scrubbed{}) {
			t.Errorf("%+v, %v", s, err)
		}
		if g.Leaves(5) != before {
			t.Error("what was refused is in the leaves")
		}
		fs.free.Store(1 << 30)
		time.Sleep(2 * time.Second)
		if s := g.scrub(5); s != (Scrubbed{RowsDamaged: 1}) || g.SlotHash(5) != 0 { // it is in no leaf
			t.Errorf("%+v", s)
		}
	})
}

// TestScrubEnds with its context, and with the replica.
func TestScrubEnds(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	if _, err := g.update(put(inSlot(5, 1), "v")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Scrub(ctx, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	g.halt()
	if _, err := g.Scrub(t.Context(), 5); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if err := g.store.Close(); err != nil {
		t.Fatal(err)
	}
}
