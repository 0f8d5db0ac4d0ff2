package storage

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/dynaring/dynaring/storage/version"
)

// The crash model: batch n (from 1 on) writes its number into several rows, and
// as its slot's floor. So the state after the first n batches is known for every
// n, and any state found on a disk says which n it is, or that there is none.

const modelRows = 7

// rowsOf names the rows that batch n writes; row "seq" is in every batch.
func rowsOf(n int) []string {
	return []string{"seq", fmt.Sprint("a", n%modelRows), fmt.Sprint("b", n%modelRows), fmt.Sprint("c", n%3)}
}

// modelBatch is batch n. Some are large, so that tables are flushed and logs
// rotated every few batches; every fifth deletes a row.
func modelBatch(s *Store, n int) *Batch {
	b := s.NewBatch()
	for _, name := range rowsOf(n) {
		if name[0] == 'c' && n%5 == 0 {
			b.Delete(row(name))
			continue
		}
		size := 1 + n*7919%97
		if n%4 == 0 {
			size *= 400
		}
		b.Set(row(name), []byte(fmt.Sprintf("%d%s", n, strings.Repeat(".", size))))
	}
	b.SetFloor(uint16(n%modelRows), uint64(n))
	return b
}

// modelState is the state after the first n batches: row → number of the batch.
func modelState(n int) (rows map[string]int, floors [modelRows]uint64) {
	rows = map[string]int{}
	for i := 1; i <= n; i++ {
		for _, name := range rowsOf(i) {
			if rows[name] = i; name[0] == 'c' && i%5 == 0 {
				delete(rows, name)
			}
		}
		floors[i%modelRows] = uint64(i)
	}
	return rows, floors
}

// found returns how many batches s holds, which must be the first ones, whole.
func found(t testing.TB, s *Store) int {
	t.Helper()
	got := map[string]int{}
	err := s.Scan(t.Context(), RowSlotStart(nil, 0), RowSlotStart(nil, Slots), 0, func(r, value []byte, _ error) (bool, error) {
		_, key, _, err := ParseRow(r)
		number, _, _ := strings.Cut(string(value), ".")
		var n int
		fmt.Sscan(number, &n)
		got[string(key)] = n
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	wantRows, wantFloors := modelState(got["seq"])
	if !maps.Equal(got, wantRows) {
		t.Fatalf("not the state after any number of batches: %v; after %d it is %v", got, got["seq"], wantRows)
	}
	for slot, want := range wantFloors {
		if f := s.Floor(uint16(slot)); f != want {
			t.Fatalf("after %d batches the floor of slot %d is %d, want %d", got["seq"], slot, f, want)
		}
	}
	return got["seq"]
}

// crash returns what a crash now may leave.
func crash(fs *vfs.MemFS, rng *rand.Rand) *vfs.MemFS {
	percent := []int{0, 0, 10, 50, 90, 100}[rng.IntN(6)]
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
}

// A mode is what a node does with its batches: which it asks to be synced, and
// what it takes as acknowledged durably.
var modes = map[string]struct {
	sync     func(n int, rng *rand.Rand) bool
	interval bool // Sync now and then
}{
	"always":   {sync: func(int, *rand.Rand) bool { return true }},
	"one":      {sync: func(_ int, rng *rand.Rand) bool { return rng.IntN(3) == 0 }},
	"interval": {sync: func(int, *rand.Rand) bool { return false }, interval: true},
}

// After a crash a store holds the first n batches, whole, for an n no smaller
// than what was synced and no larger than what was applied; time and again.
func TestCrashKeepsPrefix(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			lost := 0
			for seed := range 5 {
				rng := rand.New(rand.NewPCG(uint64(seed), 0))
				fs := vfs.NewCrashableMem()
				s := open(t, small(fs))
				applied, durable := 0, 0
				for range 6 {
					for range rng.IntN(60) {
						applied++
						sync := mode.sync(applied, rng)
						c, err := s.Apply(modelBatch(s, applied), sync)
						if err == nil {
							err = c.Wait()
						}
						if mode.interval && rng.IntN(10) == 0 {
							if err = s.Sync(); err == nil {
								durable = applied
							}
						}
						if err != nil {
							t.Fatal(err)
						}
						if sync {
							durable = applied
						}
					}
					crashed := crash(fs, rng)
					closeStore(t, s)
					fs, s = crashed, open(t, small(crashed))
					n := found(t, s)
					if n < durable || n > applied {
						t.Fatalf("seed %d: %d batches applied, %d synced, %d found", seed, applied, durable, n)
					}
					lost += applied - n
					applied, durable = n, n
				}
				closeStore(t, s)
			}
			if (lost == 0) != (name == "always") {
				t.Fatalf("%d applied batches were lost by crashes", lost)
			}
		})
	}
}

// The same while writers commit and their syncs are under way, waited for by
// others: nothing that Wait has answered for is lost.
func TestCrashUnderConcurrentCommits(t *testing.T) {
	for seed := range 5 {
		rng := rand.New(rand.NewPCG(uint64(seed), 0))
		fs := vfs.NewCrashableMem()
		s := open(t, small(fs))
		var mu sync.Mutex
		durable := 0
		var work sync.WaitGroup
		commits := make(chan Commit, 64)
		work.Go(func() {
			n := 0
			for c := range commits {
				if err := c.Wait(); err != nil {
					t.Error(err)
				}
				n++
				mu.Lock()
				durable = n
				mu.Unlock()
			}
		})
		work.Go(func() {
			defer close(commits)
			for n := 1; n <= 200; n++ {
				c, err := s.Apply(modelBatch(s, n), true)
				if err != nil {
					t.Error(err)
					return
				}
				commits <- c
			}
		})
		for range 8 {
			mu.Lock()
			before := durable
			mu.Unlock()
			crashed := open(t, small(crash(fs, rng)))
			if n := found(t, crashed); n < before {
				t.Fatalf("seed %d: %d batches were synced, %d found", seed, before, n)
			}
			closeStore(t, crashed)
		}
		work.Wait()
		closeStore(t, s)
	}
}

// life opens a store, applies batches and closes it; told is called with every
// actor that may mint and what it has applied so far.
func life(fs vfs.FS, batches *int, minted func(version.Actor, int)) error {
	s, err := Open(small(fs))
	if err != nil {
		return err
	}
	for range 4 {
		*batches++
		minted(s.Actor(), *batches)
		c, err := s.Apply(modelBatch(s, *batches), *batches%2 == 0)
		if err != nil {
			return err
		}
		if err := c.Wait(); err != nil {
			return err
		}
	}
	return s.Close()
}

// A crash at any file system operation of a store's first and second life: it
// opens again, and an actor that it goes on under has forgotten nothing that it
// minted (law 3).
func TestCrashAtEveryOperation(t *testing.T) {
	for at, done := 0, false; !done; at++ {
		rng := rand.New(rand.NewPCG(uint64(at), 3))
		mem := vfs.NewCrashableMem()
		var crashed *vfs.MemFS
		minted := map[version.Actor]int{} // as it was at the crash
		var atCrash map[version.Actor]int
		ops, batches := 0, 0
		var mu sync.Mutex
		hook := errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				if ops == at {
					crashed, atCrash = crash(mem, rng), maps.Clone(minted)
				}
				ops++
			}
			return nil
		})
		for range 2 {
			err := life(errorfs.Wrap(mem, hook), &batches, func(a version.Actor, n int) {
				mu.Lock()
				defer mu.Unlock()
				minted[a] = n
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if done = crashed == nil; done {
			if actors := slices.Collect(maps.Keys(minted)); len(actors) != 1 {
				t.Fatalf("two clean lives under %v", actors)
			}
			break
		}
		s, err := Open(small(crashed))
		if err != nil {
			t.Fatalf("after a crash at operation %d: %v", at, err)
		}
		if n := found(t, s); n < atCrash[s.Actor()] {
			t.Fatalf("crash at operation %d: %v goes on, but has minted %d and remembers %d", at, s.Actor(), atCrash[s.Actor()], n)
		}
		closeStore(t, s)
	}
}

// An empty batch with a sync is a barrier for all that was applied before it.
func TestEmptyBatchSyncs(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := opened(t, small(fs))
	put(t, s, "k", "v", false)
	c, err := s.Apply(s.NewBatch(), true)
	if err := errors.Join(err, c.Wait()); err != nil {
		t.Fatal(err)
	}
	want(t, opened(t, small(fs.CrashClone(vfs.CrashCloneCfg{}))), "k", "v")
}

func TestIncarnations(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, small(fs))
	first := s.Actor()
	if !s.Fresh() || first.ID == 0 || first.Inc != 0 {
		t.Fatalf("a fresh store: %v, %v", s.Fresh(), first)
	}
	reopen := func(clean bool, wantInc uint32) {
		t.Helper()
		next := fs
		if !clean {
			next = fs.CrashClone(vfs.CrashCloneCfg{})
		}
		closeStore(t, s)
		fs, s = next, open(t, small(next))
		if a := s.Actor(); s.Fresh() || a.ID != first.ID || a.Inc != wantInc {
			t.Fatalf("actor %v, fresh %v; want incarnation %d of %v", a, s.Fresh(), wantInc, first)
		}
	}
	reopen(true, 0)
	reopen(false, 1)
	reopen(false, 2)
	reopen(true, 2)
	reopen(true, 2)
	reopen(false, 3)
	put(t, s, "k", "v", true)
	reopen(false, 4)
	want(t, s, "k", "v")
	closeStore(t, s)
	// A clean marker of another incarnation, as from an older copy, is none.
	if err := leaveSeal(fs, testDir, first.String()); err != nil {
		t.Fatal(err)
	}
	s = opened(t, small(fs))
	if a := s.Actor(); a.Inc != 5 {
		t.Fatalf("an old marker was believed: %v", a)
	}
	if other := opened(t, small(vfs.NewMem())); other.Actor().ID == first.ID {
		t.Fatal("two directories, one actor")
	}
}

// An incarnation that was handed out is never handed out again, whatever
// crashes, and all of them are of one directory.
func TestNextIncarnation(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, small(fs))
	first := s.Actor()
	var mu sync.Mutex
	given := map[version.Actor]bool{first: true}
	for crash := range 4 {
		var raisers sync.WaitGroup
		for range 4 {
			raisers.Go(func() {
				a, err := s.NextIncarnation()
				mu.Lock()
				defer mu.Unlock()
				if err != nil || given[a] || a.ID != first.ID {
					t.Errorf("%v was handed out (again: %v), %v", a, given[a], err)
				}
				given[a] = true
			})
		}
		raisers.Wait()
		highest := s.Actor()
		crashed := fs.CrashClone(vfs.CrashCloneCfg{})
		closeStore(t, s)
		if crash%2 == 0 {
			fs = crashed
		}
		s = open(t, small(fs))
		if a := s.Actor(); crash%2 == 0 && given[a] || crash%2 == 1 && a != highest {
			t.Fatalf("after %v goes on as %v", highest, a)
		}
		given[s.Actor()] = true
	}
	closeStore(t, s)
	if _, err := s.NextIncarnation(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}
