package replica

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage"
)

// unkept puts the cells of keys first to last-1 into a store, and nothing of
// them into its leaves, as programs did that knew none.
func unkept(t testing.TB, fs vfs.FS, first, last int) {
	t.Helper()
	s, err := storage.Open(storage.Options{Dir: "data", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	f := newForeign(7, 0)
	f.put(t, "v")
	b := s.NewBatch()
	for i := first; i < last; i++ {
		k := keyOf(i)
		b.Set(storage.AppendRow(nil, k.Slot, k.Key, nil), f.cell.Bytes())
	}
	if err := errors.Join(settle(s.Apply(b, true)), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// marked reports whether the store says that leaves are kept, and how many rows
// it has of them and of the journal.
func marked(t testing.TB, s *storage.Store) (marked bool, leaves, journal int) {
	t.Helper()
	from, to := storage.LeavesRows()
	err := s.Scan(t.Context(), from, to, 0, func(row, _ []byte, _ error) (bool, error) {
		_, mark, err := storage.ParseLeavesRow(row)
		if leaves++; mark {
			marked = true
		}
		return true, err
	})
	if err == nil {
		from, to = storage.JournalRows()
		err = s.Scan(t.Context(), from, to, 0, func([]byte, []byte, error) (bool, error) { journal++; return true, nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	return marked, leaves, journal
}

// TestLeavesAreBuiltOnce of a data directory that has cells only, and read from
// then on.
func TestLeavesAreBuiltOnce(t *testing.T) {
	fs := vfs.NewMem()
	unkept(t, fs, 0, 2000)
	g := startRig(t, storage.Options{FS: fs}, Options{})
	if g.Slot(keyOf(9).Slot).Cells == 0 {
		t.Error("nothing was built")
	}
	g.checkLeaves()
	if ok, rows, _ := marked(t, g.store); !ok || rows < 1000 {
		t.Errorf("marked %v, %d rows", ok, rows)
	}
	g.close()

	// A cell that comes in behind the replica's back shows that the next start
	// does not look at cells.
	unkept(t, fs, 2000, 2001)
	g = startRig(t, storage.Options{FS: fs}, Options{})
	if k := keyOf(2000); g.Slot(k.Slot).Cells != scanLeaves(t, g.store)[k.Slot].cells-1 {
		t.Error("the leaves were built again")
	}
	if s, err := g.Scrub(t.Context(), keyOf(2000).Slot); s.LeavesWrong != 1 || err != nil {
		t.Errorf("%+v %v", s, err)
	}
	g.close()
}

// crashes calls each with what a crash at some of the changes of the file
// system leaves while do is at work on it.
func crashes(t *testing.T, mem *vfs.MemFS, every int, do func(fs vfs.FS), each func(at int, left *vfs.MemFS)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 9))
	var mu sync.Mutex
	var left []*vfs.MemFS
	ops := 0
	do(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			if ops%every == 0 {
				left = append(left, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng}))
			}
			ops++
		}
		return nil
	})))
	if len(left) < 15 {
		t.Fatalf("%d crashes", len(left))
	}
	for at, fs := range left {
		each(at*every, fs)
	}
}

// TestCrashWhileLeavesAreBuilt: the next start builds them, or has them.
func TestCrashWhileLeavesAreBuilt(t *testing.T) {
	mem := vfs.NewCrashableMem()
	unkept(t, mem, 0, 1000)
	built := 0
	crashes(t, mem, 4, func(fs vfs.FS) {
		startRig(t, storage.Options{FS: fs}, Options{}).close()
	}, func(at int, left *vfs.MemFS) {
		s, err := storage.Open(storage.Options{Dir: "data", FS: left})
		if err != nil {
			t.Fatal(err)
		}
		if ok, _, _ := marked(t, s); ok {
			built++
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		startRig(t, storage.Options{FS: left}, Options{}).close() // which checks the leaves
	})
	if built == 0 {
		t.Error("every crash came before the end")
	}
}

// TestCrashInACheckpoint: at any moment of several under load.
func TestCrashInACheckpoint(t *testing.T) {
	mem := vfs.NewCrashableMem()
	crashes(t, mem, 16, func(fs vfs.FS) {
		g := startRig(t, storage.Options{FS: fs, Durability: storage.Interval}, Options{Lanes: 2})
		defer g.close()
		for round := range 4 {
			var work sync.WaitGroup
			work.Go(func() {
				for i := range 40 {
					ops := make([]Update, 50)
					for n := range ops {
						ops[n] = put(keyOf(i*50+n), string(make([]byte, 30+round)))
					}
					if _, err := g.update(ops...); err != nil {
						t.Error(err)
					}
				}
			})
			for range 3 {
				if err := g.checkpoint(); err != nil {
					t.Error(err)
				}
			}
			work.Wait()
		}
	}, func(at int, left *vfs.MemFS) {
		startRig(t, storage.Options{FS: left}, Options{Lanes: 1 + at%3}).close()
	})
}

// TestJournalIsCut: by itself once it has grown, and then it is short.
func TestJournalIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := startRig(t, storage.Options{Durability: storage.Interval}, Options{})
		defer g.close()
		for i := range 100 {
			if _, err := g.update(put(keyOf(i), "v")); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, journal := marked(t, g.store); journal != 100 {
			t.Errorf("%d rows after 100 batches", journal)
		}
		g.journal.grow(journalLimit)
		synctest.Wait()
		if _, leaves, journal := marked(t, g.store); leaves < 50 || journal != 0 {
			t.Errorf("%d rows of leaves, %d of the journal", leaves, journal)
		}
		if n := g.journal.bytes.Load(); n != 0 {
			t.Errorf("%d bytes", n)
		}
	})
}

// TestRefusedBatchLeavesLeaves as they were; and while the disk is full, what
// could not be stored of them at the start is made up for later.
func TestRefusedBatchLeavesLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		unkept(t, mem, 0, 10)
		fs := &faultyFS{FS: mem}
		g := startRig(t, storage.Options{FS: fs, MinFreeBytes: 1 << 20}, Options{})
		before := g.RangeHash(0, storage.Slots-1)
		if ok, _, _ := marked(t, g.store); ok || before == 0 {
			t.Errorf("on a full disk: marked %v, hash %x", ok, before)
		}
		if _, err := g.update(put(keyOf(1), "refused")); !errors.Is(err, storage.ErrDiskFull) {
			t.Errorf("a full disk answers %v", err)
		}
		if g.RangeHash(0, storage.Slots-1) != before || g.Slot(keyOf(1).Slot).Changed != 0 {
			t.Error("a refused batch is in the leaves")
		}
		fs.free.Store(1 << 30)
		time.Sleep(2 * time.Second)
		if _, err := g.update(put(keyOf(1), "taken"), put(keyOf(20), "new")); err != nil {
			t.Fatal(err)
		}
		if g.RangeHash(0, storage.Slots-1) == before || g.Slot(keyOf(1).Slot).Changed != 2*time.Second {
			t.Error("a batch that was taken is not in the leaves")
		}
		g.checkLeaves()
		time.Sleep(checkpointRetry)
		synctest.Wait()
		if ok, rows, journal := marked(t, g.store); !ok || rows != 12 || journal != 0 {
			t.Errorf("when there is space again: marked %v, %d rows, %d of the journal", ok, rows, journal)
		}
		g.close()
		g = startRig(t, storage.Options{FS: mem}, Options{})
		g.close()
	})
}

// TestDamagedLeavesAreBuilt, whichever of their rows it is.
func TestDamagedLeavesAreBuilt(t *testing.T) {
	for name, row := range map[string][]byte{
		"mark":         storage.AppendLeavesMark(nil),
		"slot":         storage.AppendLeavesRow(nil, 7),
		"no such slot": storage.AppendLeavesRow(nil, storage.Slots),
		"entry":        storage.AppendJournalRow(nil, 0, 1<<40),
		"long entry":   append(storage.AppendJournalRow(nil, 0, 1), 0),
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			g := startRig(t, storage.Options{FS: fs}, Options{})
			for i := range 20 {
				if _, err := g.update(put(keyOf(i), "v")); err != nil {
					t.Fatal(err)
				}
			}
			b := g.store.NewBatch()
			b.Set(row, []byte("damaged"))
			if err := settle(g.store.Apply(b, false)); err != nil {
				t.Fatal(err)
			}
			g.close()
			for range 2 {
				g = startRig(t, storage.Options{FS: fs}, Options{})
				if ok, _, journal := marked(t, g.store); !ok || journal != 0 {
					t.Errorf("marked %v, %d rows of the journal", ok, journal)
				}
				g.close()
			}
		})
	}
}

// TestUnfit: a replica that could not read the store at its start refuses all.
func TestUnfit(t *testing.T) {
	s, err := storage.Open(storage.Options{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r := New(Options{Store: s})
	b, wait := waited([]Update{put(keyOf(1), "v")})
	b.Ops[0].row = r.rowKey(&b.rows, nil, &b.Ops[0].Key)
	r.push(0, work{update: b, ops: 1})
	if err := r.Run(context.Background()); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Run: %v", err)
	}
	if err := wait(); !errors.Is(err, storage.ErrClosed) || !errors.Is(err, errNotApplied) {
		t.Errorf("what was queued: %v", err)
	}
}

// TestEntriesRoundTrip: what a lane writes of a change is what a start reads.
func TestEntriesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var kept slotCounts
		kept.cells.Store(3)
		n := slotChange{slot: rapid.Uint16Range(0, storage.Slots-1).Draw(t, "slot"), mask: rapid.Uint16Min(1).Draw(t, "mask")}
		n.cells = rapid.SampledFrom([]uint32{0, 3, 1 << 31}).Draw(t, "cells")
		n.mortal = rapid.Uint32().Draw(t, "mortal")
		for i := range n.hash {
			n.hash[i] = rapid.Uint64Max(1<<hashBits-1).Draw(t, "hash")
		}
		got := slotChange{slot: n.slot}
		counted := false
		err := decodeEntries(appendChange(nil, &n, &kept), func(e leafEntry) {
			if e.slot != n.slot || e.hash != n.hash[e.leaf] {
				t.Fatalf("%+v of %+v", e, n)
			}
			got.mask |= 1 << e.leaf
			if e.counts {
				counted, got.cells, got.mortal = true, e.cells, e.mortal
			}
		})
		if err != nil || got.mask != n.mask {
			t.Fatalf("%v, leaves %b, want %b", err, got.mask, n.mask)
		}
		if counted != (n.cells != 3 || n.mortal != 0) || counted && (got.cells != n.cells || got.mortal != n.mortal) {
			t.Fatalf("counted %v: %d %d, want %d %d", counted, got.cells, got.mortal, n.cells, n.mortal)
		}
	})
}

// FuzzJournal holds what a start reads to: no panic, nothing out of bounds, and
// errLeaves for what no replica has written.
func FuzzJournal(f *testing.F) {
	n := slotChange{slot: 12182, mask: 1<<3 | 1<<15}
	n.hash[3], n.hash[15], n.cells = 1<<47, 7, 300
	f.Add(appendChange(nil, &n, &slotCounts{}))
	f.Add(appendSums(nil, &n.leafSums))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := decodeEntries(b, func(e leafEntry) {
			if e.slot >= storage.Slots || e.leaf < 0 || e.leaf >= LeavesPerSlot || e.hash>>hashBits != 0 {
				t.Fatalf("%+v", e)
			}
		})
		if err != nil && !errors.Is(err, errLeaves) {
			t.Fatal(err)
		}
		sums, err := decodeSums(b)
		if (err == nil) != (len(b) == leavesBytes) || err != nil && !errors.Is(err, errLeaves) {
			t.Fatal(err)
		}
		if err == nil && string(appendSums(nil, &sums)) != string(b) {
			t.Fatalf("%x", b)
		}
	})
}
