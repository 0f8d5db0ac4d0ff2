package replica

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// ledger holds what was acknowledged: for each key the cell that the disk has
// to hold at least.
type ledger struct {
	mu    sync.Mutex
	cells map[int]*version.Cell
}

func (l *ledger) note(k int, c *version.Cell) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cells[k] = version.Merge(l.cells[k], c)
}

func (l *ledger) snapshot() map[int]*version.Cell {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.cells)
}

// load writes and applies from several goroutines until stop, and notes in own
// and merged what was acknowledged.
func load(g *rig, keys int, stop *atomic.Bool, own, merged *ledger) *sync.WaitGroup {
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 5))
			f := newForeign(uint64(100+w), 0)
			for !stop.Load() {
				ops := make([]Update, 4)
				at := make([]int, len(ops))
				for i := range ops {
					at[i] = rng.IntN(keys)
					ops[i] = incr(keyOf(at[i]), 1)
				}
				ended := make(chan error, 2)
				b := &UpdateBatch{Ops: ops}
				b.Durable = func(err error) {
					for i := range b.Ops {
						if err == nil {
							own.note(at[i], b.Ops[i].Next)
						}
					}
					ended <- err
				}
				g.Update(b)
				f.cell = nil
				f.put(g.t, "theirs")
				k := rng.IntN(keys)
				cell := f.cell
				g.Apply(&ApplyBatch{Cells: []KeyedCell{{keyOf(k), cell}}, Done: func(err error) {
					if err == nil {
						merged.note(k, cell)
					}
					ended <- err
				}})
				for range 2 {
					if err := <-ended; err != nil {
						g.t.Errorf("writer %d: %v", w, err)
					}
				}
			}
		})
	}
	return &wg
}

// TestCrashKeepsAcknowledged crashes under load at several moments: whatever
// was acknowledged before, as the mode promises, is there afterwards.
func TestCrashKeepsAcknowledged(t *testing.T) {
	eachMode(t, func(t *testing.T, mode storage.Durability) {
		const keys = 20
		fs := vfs.NewCrashableMem()
		g := startRig(t, storage.Options{FS: fs, Durability: mode}, Options{Lanes: 2})
		own, merged := &ledger{cells: map[int]*version.Cell{}}, &ledger{cells: map[int]*version.Cell{}}
		var stop atomic.Bool
		writers := load(g, keys, &stop, own, merged)
		for crash := range 5 {
			time.Sleep(10 * time.Millisecond)
			ownAcked, mergedAcked := own.snapshot(), merged.snapshot()
			clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: crash * 20, RNG: rand.New(rand.NewPCG(1, uint64(crash)))})
			after := startRig(t, storage.Options{FS: clone, Durability: mode}, Options{})
			if after.store.Actor() == g.store.Actor() {
				t.Error("the same actor mints after a crash")
			}
			for k, want := range ownAcked {
				if mode != storage.Interval && !covers(after.get(keyOf(k)), want) {
					t.Errorf("crash %d: an acknowledged update of key %d is lost", crash, k)
				}
			}
			for k, want := range mergedAcked {
				if mode == storage.Always && !covers(after.get(keyOf(k)), want) {
					t.Errorf("crash %d: an acknowledged cell of key %d is lost", crash, k)
				}
			}
			after.close()
		}
		stop.Store(true)
		writers.Wait()
		if len(own.cells) != keys || len(merged.cells) != keys {
			t.Errorf("only %d and %d keys were written", len(own.cells), len(merged.cells))
		}
		g.close() // clean: everything has to be there
		g = startRig(t, storage.Options{FS: fs, Durability: mode}, Options{})
		defer g.close()
		for k := range keys {
			if c := g.get(keyOf(k)); !covers(c, own.cells[k]) || !covers(c, merged.cells[k]) {
				t.Errorf("key %d lost something over a clean stop", k)
			}
		}
	})
}

// TestIntervalSyncs: a second after it was acknowledged, a write is on disk.
func TestIntervalSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewCrashableMem()
		g := startRig(t, storage.Options{FS: fs, Durability: storage.Interval}, Options{})
		synctest.Wait() // the store has synced once, and waits
		ops, err := g.update(put(keyOf(1), "v"))
		if err != nil {
			t.Fatal(err)
		}
		at := func() *version.Cell {
			after := startRig(t, storage.Options{FS: fs.CrashClone(vfs.CrashCloneCfg{})}, Options{})
			defer after.close()
			return after.get(keyOf(1))
		}
		if at() != nil {
			t.Error("interval waits for the disk")
		}
		time.Sleep(2 * time.Second)
		if !covers(at(), ops[0].Next) {
			t.Error("not on disk after two seconds")
		}
		g.close()
	})
}

// faultyFS is a disk whose free space and syncs the test commands.
type faultyFS struct {
	vfs.FS
	free  atomic.Uint64
	syncs atomic.Pointer[func() error] // called before each sync of the log
}

func (f *faultyFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.free.Load(), TotalBytes: 1 << 40}, nil
}

func (f *faultyFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	return &faultyFile{file, f}, err
}

func (f *faultyFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(oldname, newname, category)
	return &faultyFile{file, f}, err
}

type faultyFile struct {
	vfs.File
	fs *faultyFS
}

func (f *faultyFile) before() error {
	if fn := f.fs.syncs.Load(); fn != nil {
		return (*fn)()
	}
	return nil
}

func (f *faultyFile) Sync() error {
	if err := f.before(); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultyFile) SyncData() error {
	if err := f.before(); err != nil {
		return err
	}
	return f.File.SyncData()
}

// TestDiskFull: a refused batch is refused whole and leaves no trace, in the
// store, in the cache, or in what is minted next.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := &faultyFS{FS: vfs.NewMem()}
		fs.free.Store(1 << 30)
		g := startRig(t, storage.Options{FS: fs, MinFreeBytes: 1 << 20}, Options{Lanes: 2})
		before, err := g.update(put(keyOf(1), "before"))
		if err != nil {
			t.Fatal(err)
		}
		fs.free.Store(1)
		time.Sleep(2 * time.Second)
		ops, err := g.update(put(keyOf(1), "refused"), put(keyOf(2), "refused"), incr(keyOf(3), 1))
		if !errors.Is(err, storage.ErrDiskFull) || !errors.Is(err, errNotApplied) {
			t.Errorf("a full disk answers %v", err)
		}
		for i := range ops {
			if u := &ops[i]; !errors.Is(u.Err, storage.ErrDiskFull) || u.Next != nil || u.Delta != nil {
				t.Errorf("a refused operation has an outcome: %+v", u)
			}
		}
		f := newForeign(7, 0)
		f.put(t, "theirs")
		if err := g.apply(KeyedCell{keyOf(2), f.cell}); !errors.Is(err, storage.ErrDiskFull) {
			t.Errorf("a full disk answers %v", err)
		}
		if g.get(keyOf(1)) != before[0].Next || g.get(keyOf(2)) != nil || g.get(keyOf(3)) != nil {
			t.Error("refused writes can be read")
		}
		if n := g.Stats().Refused; n != 4 {
			t.Errorf("%d refusals counted", n)
		}
		fs.free.Store(1 << 30)
		time.Sleep(2 * time.Second)
		again, err := g.update(put(keyOf(1), "after"))
		if err != nil || again[0].Dot.Counter != 2 {
			t.Errorf("after the refusal: dot %v, %v", again[0].Dot, err)
		}
		g.close()
	})
}

// TestFailedSync: what the disk has failed to sync is never acknowledged, nor
// anything after it; it had been applied, so its owner knows that it may exist.
func TestFailedSync(t *testing.T) {
	for _, mode := range []storage.Durability{storage.Always, storage.One} {
		t.Run(mode.String(), func(t *testing.T) {
			fs := &faultyFS{FS: vfs.NewMem()}
			fs.free.Store(1 << 30)
			fatal := make(chan error, 1)
			g := startRig(t, storage.Options{FS: fs, Durability: mode, OnFatal: func(err error) { fatal <- err }}, Options{})
			if _, err := g.update(put(keyOf(1), "before")); err != nil {
				t.Fatal(err)
			}
			broken := func() error { return errors.New("broken disk") }
			fs.syncs.Store(&broken)
			if _, err := g.update(put(keyOf(2), "lost")); !errors.Is(err, storage.ErrFailed) || errors.Is(err, errNotApplied) {
				t.Errorf("a failed sync answers %v", err)
			}
			<-fatal
			if _, err := g.update(put(keyOf(3), "later")); !errors.Is(err, storage.ErrFailed) {
				t.Errorf("after a failed sync: %v", err)
			}
			if _, err := g.update(Update{Key: keyOf(1)}); mode == storage.Always && !errors.Is(err, storage.ErrFailed) {
				t.Errorf("nothing was written after a failed sync: %v", err)
			}
			g.halt()
			_ = g.store.Close()
		})
	}
}

// TestDurableWaits holds the disk up: Applied comes, Durable and Done only as
// the mode says, and what found nothing to write waits for what it found.
func TestDurableWaits(t *testing.T) {
	eachMode(t, func(t *testing.T, mode storage.Durability) {
		synctest.Test(t, func(t *testing.T) {
			fs := &faultyFS{FS: vfs.NewMem()}
			fs.free.Store(1 << 30)
			g := startRig(t, storage.Options{FS: fs, Durability: mode}, Options{})
			release := make(chan struct{})
			slow := func() error { <-release; return nil }
			fs.syncs.Store(&slow)
			var events []string
			var mu sync.Mutex
			event := func(s string) {
				mu.Lock()
				defer mu.Unlock()
				events = append(events, s)
			}
			f := newForeign(7, 0)
			f.put(t, "theirs")
			for range 2 {
				g.Apply(&ApplyBatch{Cells: []KeyedCell{{keyOf(2), f.cell}}, Done: func(err error) { event(fmt.Sprint("merged ", err)) }})
				synctest.Wait()
			}
			g.Update(&UpdateBatch{Ops: []Update{put(keyOf(1), "v")}, Applied: func() { event("applied") },
				Durable: func(err error) { event(fmt.Sprint("durable ", err)) }})
			synctest.Wait()
			want := map[storage.Durability]string{
				storage.Always:   "[applied]",
				storage.One:      "[merged <nil> merged <nil> applied]",
				storage.Interval: "[merged <nil> merged <nil> applied durable <nil>]",
			}[mode]
			if got := fmt.Sprint(events); got != want {
				t.Errorf("before the sync: %s, want %s", got, want)
			}
			if g.value(keyOf(1)) != "v" {
				t.Error("applied, but not visible")
			}
			fs.syncs.Store(nil)
			close(release)
			synctest.Wait()
			if len(events) != 4 {
				t.Errorf("in the end: %v", events)
			}
			g.close()
		})
	})
}

// TestClose: what was queued before the end is carried out, what comes after
// is refused.
func TestClose(t *testing.T) {
	eachMode(t, func(t *testing.T, mode storage.Durability) {
		g := startRig(t, storage.Options{Durability: mode}, Options{Lanes: 2})
		var waits []func() error
		for i := range 50 {
			b, wait := waited([]Update{put(keyOf(i), "v"), put(keyOf(i+1), "v")})
			g.Update(b)
			waits = append(waits, wait)
		}
		g.halt()
		for i, wait := range waits {
			if err := wait(); err != nil {
				t.Errorf("batch %d: %v", i, err)
			}
		}
		if _, err := g.update(put(keyOf(1), "late"), put(keyOf(2), "late")); !errors.Is(err, ErrClosed) || !errors.Is(err, errNotApplied) {
			t.Errorf("after the end: %v", err)
		}
		if err := g.apply(KeyedCell{keyOf(1), g.get(keyOf(1))}); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
		if err := g.store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestJoin: a batch over several lanes ends once, whatever their order.
func TestJoin(t *testing.T) {
	full, failed := errors.New("full"), errors.New("failed")
	for _, c := range []struct {
		name    string
		outcome []error // a lane's: nil stored, full refused, failed: its sync
		applied bool
		durable error
	}{
		{"all stored", []error{nil, nil, nil}, true, nil},
		{"all refused", []error{full, full, full}, false, full},
		{"some refused", []error{nil, full, nil}, true, nil},
		{"a sync failed", []error{nil, failed, nil}, true, failed},
		{"both", []error{full, failed, nil}, true, failed},
	} {
		for range 20 {
			applied, ended := 0, 0
			var got error
			b := &UpdateBatch{Ops: make([]Update, 3), Applied: func() { applied++ }, Durable: func(err error) { ended++; got = err }}
			join := newJoin(3)
			for _, i := range rand.Perm(3) {
				w := work{update: b, share: []int32{int32(i)}, ops: 1, join: join}
				if c.outcome[i] == full {
					w.refused(full)
					continue
				}
				w.applied()
				w.settled(c.outcome[i])
			}
			if (applied == 1) != c.applied || applied > 1 || ended != 1 || got != c.durable {
				t.Fatalf("%s: applied %d times, ended %d times with %v", c.name, applied, ended, got)
			}
			for i := range b.Ops {
				if (b.Ops[i].Err == full) != (c.outcome[i] == full) {
					t.Fatalf("%s: operation %d has %v", c.name, i, b.Ops[i].Err)
				}
			}
		}
	}
}
