package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestApplyIsVisibleAndAtomic(t *testing.T) {
	s := opened(t, small(vfs.NewMem()))
	put(t, s, "gone", "old", false)
	b := s.NewBatch()
	b.Set(row("a"), []byte("1"))
	b.Set(row("b"), []byte("2"))
	b.Set(row("empty"), nil)
	b.Delete(row("gone"))
	b.SetFloor(9, 41)
	if b.Len() != 5 || b.Size() == 0 {
		t.Fatalf("len %d, size %d", b.Len(), b.Size())
	}
	c, err := s.Apply(b, true)
	if err != nil {
		t.Fatal(err)
	}
	want(t, s, "a", "1") // before the sync
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	want(t, s, "b", "2")
	want(t, s, "gone", "")
	if v, err := s.Get(row("empty")); v == nil || len(v) != 0 || err != nil {
		t.Fatalf("an empty value is %v, %v", v, err)
	}
	if f := s.Floor(9); f != 41 {
		t.Fatalf("floor %d", f)
	}
}

func TestBatchCopiesAndValuesAreTheCallers(t *testing.T) {
	s := opened(t, small(vfs.NewMem()))
	b, r, v := s.NewBatch(), row("k"), []byte("value")
	b.Set(r, v)
	clear(r)
	clear(v)
	c, err := s.Apply(b, false)
	if err := errors.Join(err, c.Wait()); err != nil {
		t.Fatal(err)
	}
	got, _ := s.Get(row("k"))
	clear(got)
	want(t, s, "k", "value")
}

func TestFloorsOnlyRise(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, small(fs))
	for _, step := range []struct{ slot, set, want int }{{1, 5, 5}, {1, 3, 5}, {1, 9, 9}, {Slots - 1, 1, 1}} {
		b := s.NewBatch()
		b.SetFloor(uint16(step.slot), uint64(step.set))
		c, err := s.Apply(b, true)
		if err := errors.Join(err, c.Wait()); err != nil {
			t.Fatal(err)
		}
		if got := s.Floor(uint16(step.slot)); got != uint64(step.want) {
			t.Fatalf("slot %d: floor %d, want %d", step.slot, got, step.want)
		}
	}
	b := s.NewBatch()
	b.SetFloor(2, 7)
	b.SetFloor(2, 6)
	c, err := s.Apply(b, true)
	if err := errors.Join(err, c.Wait()); err != nil {
		t.Fatal(err)
	}
	b = s.NewBatch()
	b.SetFloor(3, 100)
	b.Close() // never applied
	closeStore(t, s)

	s = opened(t, small(fs))
	if s.Floor(1) != 9 || s.Floor(2) != 7 || s.Floor(3) != 0 || s.Floor(Slots-1) != 1 {
		t.Fatalf("floors after a restart: %d %d %d %d", s.Floor(1), s.Floor(2), s.Floor(3), s.Floor(Slots-1))
	}
}

func TestScan(t *testing.T) {
	s := opened(t, small(vfs.NewMem()))
	for i := range 10 {
		put(t, s, fmt.Sprintf("k%d", i), fmt.Sprint(i), false)
	}
	from, to := RowSlotStart(nil, 2), RowSlotStart(nil, 3)
	collect := func(limit, stopAt int) (values []string, err error) {
		err = s.Scan(t.Context(), from, to, limit, func(_, v []byte, _ error) (bool, error) {
			values = append(values, string(v))
			return len(values) != stopAt, nil
		})
		return values, err
	}
	for _, c := range []struct{ limit, stopAt, want int }{{0, 0, 10}, {3, 0, 3}, {0, 4, 4}, {20, 0, 10}} {
		if got, err := collect(c.limit, c.stopAt); err != nil || len(got) != c.want || !slices.IsSorted(got) {
			t.Fatalf("limit %d, stop at %d: %v, %v", c.limit, c.stopAt, got, err)
		}
	}
	mine := errors.New("mine")
	if err := s.Scan(t.Context(), from, nil, 0, func(_, _ []byte, _ error) (bool, error) { return true, mine }); !errors.Is(err, mine) {
		t.Fatalf("fn's error came back as %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Scan(ctx, from, to, 0, func(_, _ []byte, _ error) (bool, error) { return true, nil }); !errors.Is(err, context.Canceled) {
		t.Fatalf("a canceled scan said %v", err)
	}
}

func TestMeta(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, small(fs))
	if v, err := s.GetMeta("history"); v != nil || err != nil {
		t.Fatalf("absent: %v, %v", v, err)
	}
	if err := s.PutMeta("history", []byte("h1")); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = opened(t, small(fs))
	if v, err := s.GetMeta("history"); string(v) != "h1" || err != nil {
		t.Fatalf("%q, %v", v, err)
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	b := s.NewBatch()
	b.Set(row("k"), []byte("v"))
	c, err := s.Apply(b, true)
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	closeStore(t, s)
	if err := c.Wait(); err != nil { // Close has synced it
		t.Fatal(err)
	}
	if err := tryPut(s, "k", "v", true); !errors.Is(err, ErrClosed) {
		t.Errorf("Apply: %v", err)
	}
	if _, err := s.Get(row("k")); !errors.Is(err, ErrClosed) {
		t.Errorf("Get: %v", err)
	}
	if err := s.PutMeta("m", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("PutMeta: %v", err)
	}
	if err := s.Sync(); !errors.Is(err, ErrClosed) {
		t.Errorf("Sync: %v", err)
	}
	if m := s.Metrics(); m != (Metrics{}) {
		t.Errorf("Metrics: %+v", m)
	}
}

// Calls that race with Close are served or refused, never crash; a scan ends.
func TestCloseWaitsForCalls(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	put(t, s, "k", "v", false)
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for {
				_, errGet := s.Get(row("k"))
				errPut := tryPut(s, "k", "v", true)
				errScan := s.Scan(context.Background(), nil, nil, 0, func(_, _ []byte, _ error) (bool, error) { return true, nil })
				for _, err := range []error{errGet, errPut, errScan} {
					if err != nil {
						if !errors.Is(err, ErrClosed) {
							t.Error(err)
						}
						return
					}
				}
			}
		})
	}
	time.Sleep(5 * time.Millisecond)
	closeStore(t, s)
	calls.Wait()
}

func TestBatchTooLarge(t *testing.T) {
	s := opened(t, small(vfs.NewMem()))
	b := s.NewBatch()
	b.large = true // as the first change beyond MaxBatchBytes makes it
	b.Set(row("k"), []byte("v"))
	if _, err := s.Apply(b, true); !errors.Is(err, ErrBatchTooLarge) {
		t.Fatal(err)
	}
	want(t, s, "k", "")
	// A batch larger than the tables in memory is fine.
	b = s.NewBatch()
	large := strings.Repeat("x", 2*minMemTableBytes)
	b.Set(row("large"), []byte(large))
	c, err := s.Apply(b, true)
	if err := errors.Join(err, c.Wait()); err != nil {
		t.Fatal(err)
	}
	want(t, s, "large", large)
}

func TestDirectoryInUse(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, small(fs))
	_, err := Open(small(fs))
	if !errors.Is(err, ErrInUse) {
		t.Fatal(err)
	}
	wantText(t, err, testDir)
	put(t, s, "k", "v", true) // the refused open has harmed nothing
	closeStore(t, s)
	s = opened(t, small(fs))
	if s.Actor().Inc != 0 {
		t.Fatalf("the refused open cost an incarnation: %v", s.Actor())
	}
	want(t, s, "k", "v")
}

// On a real file system another process is kept out, too.
func TestDirectoryInUseByAnotherProcess(t *testing.T) {
	if dir := os.Getenv("STORAGE_TEST_OPEN"); dir != "" {
		_, err := Open(Options{Dir: dir})
		fmt.Println("error:", err, errors.Is(err, ErrInUse))
		return
	}
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	s := opened(t, Options{Dir: dir})
	put(t, s, "k", "v", true)
	if s.Metrics().FreeBytes == 0 || s.Metrics().Syncs == 0 {
		t.Errorf("metrics: %+v", s.Metrics())
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "STORAGE_TEST_OPEN="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "true") || !strings.Contains(string(out), dir) {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestForeignDirectories(t *testing.T) {
	write := func(fs vfs.FS, name, content string) {
		if err := writeMarker(fs, testDir, name, content); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, file, content string
		err                 error
		says                string
	}{
		{"somebody's files", "thesis.tex", "", ErrForeign, "thesis.tex"},
		{"another program's", formatFile, "something else", ErrForeign, "something else"},
		{"a newer format", formatFile, formatPrefix + "3\n", ErrFormat, "format 3"},
		{"an older format", formatFile, formatPrefix + "1\n", ErrFormat, "with --join"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := vfs.NewMem()
			if err := fs.MkdirAll(testDir, 0o755); err != nil {
				t.Fatal(err)
			}
			write(fs, c.file, c.content)
			_, err := Open(small(fs))
			if !errors.Is(err, c.err) {
				t.Fatal(err)
			}
			wantText(t, err, testDir, c.says)
			if names, _ := fs.List(testDir); len(names) != 2 { // the file and the lock
				t.Fatalf("a refused directory was changed: %v", names)
			}
			_, err = Open(small(fs)) // its lock was let go
			if !errors.Is(err, c.err) {
				t.Fatal(err)
			}
		})
	}
	if _, err := Open(Options{FS: vfs.NewMem()}); err == nil {
		t.Fatal("no directory was given, and one was opened")
	}
}

func TestCheckpoint(t *testing.T) {
	fs := vfs.NewMem()
	s := opened(t, small(fs))
	put(t, s, "k", "v", false)
	if err := s.Checkpoint(testDir + "/inside"); err == nil {
		t.Fatal("a checkpoint inside the data directory")
	}
	if err := s.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", "later", true)
	o := small(fs)
	o.Dir = "copy"
	c := open(t, o)
	want(t, c, "k", "v")
	if c.Actor().ID == s.Actor().ID || c.Actor().Inc != 0 || c.Fresh() {
		t.Fatalf("original %v, copy %v, fresh %v", s.Actor(), c.Actor(), c.Fresh())
	}
	if !c.Copied() || s.Copied() {
		t.Fatalf("copied: the copy %v, its original %v", c.Copied(), s.Copied())
	}
	actor := c.Actor()
	closeStore(t, c)
	c = opened(t, o)
	if c.Copied() {
		t.Fatal("a copy that has been opened before still counts as one")
	}
	if c.Actor() != actor {
		t.Fatalf("the copy's actor went from %v to %v", actor, c.Actor())
	}
	// A copy that was broken off is not mistaken for data.
	if err := fs.Remove("copy/" + formatFile); err != nil {
		t.Fatal(err)
	}
	closeStore(t, c)
	if _, err := Open(o); !errors.Is(err, ErrForeign) {
		t.Fatal(err)
	}
}

func TestDurability(t *testing.T) {
	for _, d := range []Durability{Always, One, Interval} {
		if got, err := ParseDurability(d.String()); got != d || err != nil {
			t.Errorf("%v: %v, %v", d, got, err)
		}
	}
	if _, err := ParseDurability("sometimes"); err == nil {
		t.Error("sometimes")
	}
}

// Run ends with its context, and syncs once a second what was not synced; all
// of it in virtual time, in a bubble where a lock across I/O would hang.
func TestRunInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewCrashableMem()
		s := open(t, small(fs))
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		for i := range 30 {
			var writers sync.WaitGroup
			for w := range 8 {
				writers.Go(func() {
					put(t, s, fmt.Sprintf("w%d.%d", w, i), strings.Repeat("x", 4<<10), w == 0)
				})
			}
			writers.Wait()
			put(t, s, "last", fmt.Sprint(i), false)
			time.Sleep(syncEvery + time.Millisecond)
			synctest.Wait()

			crashed := open(t, small(fs.CrashClone(vfs.CrashCloneCfg{})))
			want(t, crashed, "last", fmt.Sprint(i))
			closeStore(t, crashed)
		}
		cancel()
		run.Wait()
		closeStore(t, s)
	})
}
