package storage

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A disk that is full for a while is waited out: commits under way take long,
// new ones are refused with what to do, and then everything goes on.
func TestDiskFullIsWaitedOut(t *testing.T) {
	for _, kind := range []string{".log", ".sst", "MANIFEST"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := vfs.NewCrashableMem()
				var full atomic.Bool
				o := small(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
					if full.Load() && op.Kind == errorfs.OpFileWrite && strings.Contains(op.Path, kind) {
						return syscall.ENOSPC
					}
					return nil
				})))
				s := open(t, o)
				n := 0
				step := func(count int) error {
					var err error
					_, n, err = load(s, n, count, func(n int) bool { return n%3 == 0 })
					return err
				}
				if err := step(10); err != nil {
					t.Fatal(err)
				}
				full.Store(true)
				done := make(chan error, 1)
				go func() { done <- step(1000) }()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				// The writer is held up by the log's sync, or has been refused.
				if err := tryPut(s, "other", "1", true); !errors.Is(err, ErrDiskFull) {
					t.Fatalf("a full disk took a batch: %v", err)
				} else {
					wantText(t, err, "full", "free some space", testDir)
				}
				want(t, s, "other", "") // reads go on
				full.Store(false)
				time.Sleep(2 * spaceRetry)
				if err := <-done; err != nil && !errors.Is(err, ErrDiskFull) {
					t.Fatal(err)
				}
				if err := step(5); err != nil {
					t.Fatalf("with space again: %v", err)
				}
				if err := s.Sync(); err != nil {
					t.Fatal(err)
				}
				crashed := opened(t, small(mem.CrashClone(vfs.CrashCloneCfg{})))
				if got := found(t, crashed); got != n {
					t.Fatalf("%d applied and synced, %d found", n, got)
				}
				closeStore(t, crashed)
				closeStore(t, s)
			})
		})
	}
}

// A store that is closed while its disk is full does not wait for space.
func TestCloseOnFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		s := open(t, small(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if full.Load() && op.Kind == errorfs.OpFileWrite {
				return syscall.ENOSPC
			}
			return nil
		}))))
		full.Store(true)
		b := s.NewBatch()
		b.Set(row("k"), []byte("v"))
		c, err := s.Apply(b, true)
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() { waited <- c.Wait() }()
		time.Sleep(5 * time.Second)
		if err := s.Close(); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Close: %v", err)
		}
		if err := <-waited; !errors.Is(err, ErrFailed) {
			t.Fatalf("Wait: %v", err)
		}
	})
}

// Below the reserve batches are refused, and taken again by themselves.
func TestMinFreeBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		free := func(n uint64) {
			mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: n, TotalBytes: 1 << 40, UsedBytes: 1<<40 - n})
		}
		free(99 << 20)
		o := small(mem)
		o.MinFreeBytes = 100 << 20
		s := open(t, o) // opens all the same: it can be read
		var run sync.WaitGroup
		ctx := t.Context()
		run.Go(func() { _ = s.Run(ctx) })
		err := tryPut(s, "k", "v", true)
		var full *DiskFullError
		if !errors.As(err, &full) || !errors.Is(err, ErrDiskFull) || full.Free != 99<<20 || full.Need != 100<<20 {
			t.Fatalf("%v", err)
		}
		wantText(t, err, "99.0 MiB", "100.0 MiB", testDir, "by themselves")
		if err := s.PutMeta("members", []byte("m")); err != nil {
			t.Fatalf("the node's own settings: %v", err)
		}
		for range 3 {
			free(100 << 20)
			time.Sleep(syncEvery + time.Millisecond)
			put(t, s, "k", "v", true)
			if m := s.Metrics(); m.DiskFull || m.FreeBytes != 100<<20 {
				t.Fatalf("%+v", m)
			}
			free(1)
			time.Sleep(syncEvery + time.Millisecond)
			if err := tryPut(s, "k", "v2", false); !errors.Is(err, ErrDiskFull) {
				t.Fatal(err)
			}
			if !s.Metrics().DiskFull {
				t.Fatal("metrics do not say so")
			}
		}
		want(t, s, "k", "v")
		closeStore(t, s)
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
