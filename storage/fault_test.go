package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

var errIO = errors.New("injected: input/output error")

// faultyFS fails changes of the disk: the one that is number at, and with
// forever all that follow.
type faultyFS struct {
	at      int64
	forever bool
	match   func(errorfs.Op) bool
	err     error
	ops     atomic.Int64
	hits    atomic.Int64
}

func (f *faultyFS) wrap(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || f.match != nil && !f.match(op) {
			return nil
		}
		n := f.ops.Add(1) - 1
		if n == f.at || f.forever && n > f.at {
			f.hits.Add(1)
			return f.err
		}
		return nil
	}))
}

// load applies batches, some waited for, until one is refused; it returns how
// many Wait has acknowledged as synced, counting only an unbroken run from the
// first, and how many were applied.
func load(s *Store, from, count int, sync func(n int) bool) (durable, applied int, err error) {
	durable, applied = from, from
	for n := from + 1; n <= from+count; n++ {
		c, err := s.Apply(modelBatch(s, n), sync(n))
		if err != nil {
			return durable, applied, err
		}
		applied = n
		if err := c.Wait(); err != nil {
			return durable, applied, err
		}
		if sync(n) {
			durable = n
		}
	}
	return durable, applied, nil
}

// closeBefore closes s and fails the test if that hangs.
func closeBefore(t *testing.T, s *Store, limit time.Duration) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		t.Fatal("Close hangs")
		return nil
	}
}

// Whatever change of the disk fails, once or from then on: nothing panics or
// hangs, nothing that was acknowledged as synced is lost, even by a crash right
// after, and once the store has failed it says so to everybody, once to OnFatal.
func TestEveryFailureOfTheDisk(t *testing.T) {
	reached := true
	for at := int64(0); reached; at += 1 + at/40 { // every one at first, then samples
		for _, forever := range []bool{false, true} {
			faulty := &faultyFS{at: at, forever: forever, err: errIO}
			failAt(t, faulty)
			reached = faulty.hits.Load() > 0
			if t.Failed() {
				t.Fatalf("failing operation %d, forever %v", at, forever)
			}
		}
	}
}

// failAt is one life of a store on a faulty disk.
func failAt(t *testing.T, faulty *faultyFS) {
	mem := vfs.NewCrashableMem()
	o := small(faulty.wrap(mem))
	told := make(chan error, 2)
	o.OnFatal = func(err error) { told <- err }
	s, err := Open(o)
	if err != nil { // refused to open: on a sound disk it does
		if !strings.Contains(err.Error(), testDir) || !errors.Is(err, errIO) || len(told) > 0 {
			t.Errorf("Open said %v, and to OnFatal %d errors", err, len(told))
		}
		closeStore(t, open(t, small(mem)))
		return
	}
	durable, _, err := load(s, 0, 60, func(n int) bool { return n%3 == 0 })
	if err != nil && !errors.Is(err, ErrFailed) {
		t.Errorf("the refusal says %v", err)
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	errClose := closeBefore(t, s, 10*time.Second)
	failed := s.Err() != nil
	if failed {
		if err := <-told; !errors.Is(err, ErrFailed) || !errors.Is(err, errIO) {
			t.Errorf("OnFatal(%v)", err)
		}
		if _, err := s.Get(row("seq")); !errors.Is(err, ErrFailed) {
			t.Errorf("Get after the fault: %v", err)
		}
		if err := tryPut(s, "seq", "0", true); !errors.Is(err, ErrFailed) {
			t.Errorf("Apply after the fault: %v", err)
		}
	}
	if len(told) > 0 || failed != errors.Is(errClose, ErrFailed) {
		t.Errorf("fault %v, Close said %v, %d more calls of OnFatal", s.Err(), errClose, len(told))
	}
	for _, disk := range []*vfs.MemFS{crashed, mem} {
		again := open(t, small(disk))
		if n := found(t, again); n < durable {
			t.Errorf("%d batches acknowledged, %d found", durable, n)
		}
		if failed && again.Actor() == s.Actor() {
			t.Errorf("%v goes on after a fault", s.Actor())
		}
		closeStore(t, again)
	}
}

// Writers that wait for a flush when the disk fails are let go.
func TestStalledWritersAreLetGo(t *testing.T) {
	stalled := make(chan struct{})
	s := open(t, small(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !strings.HasSuffix(op.Path, ".sst") || op.Kind != errorfs.OpFileWrite {
			return nil
		}
		<-stalled // the flush is slow, until everybody waits for it; then it fails
		return errIO
	}))))
	go func() {
		for s.stalls.count.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		close(stalled)
	}()
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for {
				b := s.NewBatch()
				b.Set(row("k"), bytes.Repeat([]byte("x"), minMemTableBytes/3))
				if c, err := s.Apply(b, false); err != nil || c.Wait() != nil {
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("writers hang on a failed disk")
	}
	if err := closeBefore(t, s, 10*time.Second); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
}

// A commit whose sync fails is told so, and so is every one behind it; the text
// says where, what and what to do.
func TestFailedSync(t *testing.T) {
	faulty := &faultyFS{at: 5, err: syscall.EIO, match: func(op errorfs.Op) bool {
		return strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData)
	}}
	var log bytes.Buffer
	mem := vfs.NewMem()
	o := small(faulty.wrap(mem))
	o.Logger = testLog(&log)
	s := open(t, o)
	durable, applied, err := load(s, 0, 100, func(int) bool { return true })
	if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) || applied != durable+1 {
		t.Fatalf("durable %d, applied %d, %v", durable, applied, err)
	}
	wantText(t, err, testDir, "sync 0", ".log", "restarted")
	if faulty.ops.Load() != 6 {
		t.Fatalf("a failed sync was followed by %d more", faulty.ops.Load()-6)
	}
	if !strings.Contains(log.String(), "failed") {
		t.Fatalf("log: %s", log.String())
	}
	if err := s.Run(t.Context()); !errors.Is(err, ErrFailed) {
		t.Fatalf("Run: %v", err)
	}
	if err := closeBefore(t, s, 10*time.Second); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	again := opened(t, small(mem))
	if n := found(t, again); n < durable {
		t.Fatalf("%d acknowledged, %d found", durable, n)
	}
}

// Pebble's Fatalf returns, and the store has failed.
func TestFatalf(t *testing.T) {
	told := make(chan error, 1)
	o := small(vfs.NewCrashableMem())
	o.OnFatal = func(err error) { told <- err }
	s := open(t, o)
	if durable, _, err := load(s, 0, 20, func(int) bool { return true }); durable != 20 {
		t.Fatal(err)
	}
	pebbleLogger{&s.fault}.Fatalf("impossible: %d", 42)
	if err := <-told; !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "impossible: 42") {
		t.Fatal(err)
	}
	if _, err := s.Apply(modelBatch(s, 21), true); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	disk := o.FS.(*vfs.MemFS)
	_ = closeBefore(t, s, 10*time.Second)
	if n := found(t, opened(t, small(disk))); n != 20 {
		t.Fatalf("20 acknowledged, %d found", n)
	}
}

// Damaged tables are found when they are read, and end the store.
func TestDamagedTable(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, small(mem))
	for i := range 40 {
		put(t, s, fmt.Sprint("k", i), strings.Repeat(fmt.Sprint(i), 5000), false)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	names, err := mem.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			data, err := mem.UnsafeGetFileDataBuffer(testDir + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			for i := range len(data) / 2 {
				data[i] ^= 0x55
			}
		}
	}
	s, err = Open(small(mem))
	if err != nil {
		return // found as early as that
	}
	_, err = s.Get(row("k1"))
	if err == nil || !pebble.IsCorruptionError(err) && !errors.Is(err, ErrFailed) {
		t.Fatalf("a damaged value was read: %v", err)
	}
	if !errors.Is(s.Err(), ErrFailed) {
		t.Fatalf("the store goes on: %v", s.Err())
	}
	_ = closeBefore(t, s, 10*time.Second)
}

// Random failures under concurrent writers, readers and syncs, with crashes:
// what Wait has acknowledged is there.
func TestRandomFailuresUnderLoad(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		mem := vfs.NewCrashableMem()
		faulty := &faultyFS{at: int64(80 + rng.IntN(300)), forever: rng.IntN(2) == 0, err: errIO}
		s, err := Open(small(faulty.wrap(mem)))
		if err != nil {
			t.Fatal(err)
		}
		const writers = 6
		var acked [writers]atomic.Int64
		var work sync.WaitGroup
		for w := range writers {
			work.Go(func() {
				for n := 1; n <= 300; n++ {
					value := fmt.Sprintf("%d%s", n, strings.Repeat(".", n*37%3000))
					if err := tryPut(s, fmt.Sprint("w", w), value, w%2 == 0); err != nil {
						return
					}
					if w%2 == 0 {
						acked[w].Store(int64(n))
					}
					if w == 1 {
						_ = s.Sync()
					}
					if _, err := s.Get(row(fmt.Sprint("w", w))); err != nil && !errors.Is(err, ErrFailed) {
						t.Error(err)
					}
				}
			})
		}
		work.Wait()
		crashed := crash(mem, rng)
		_ = closeBefore(t, s, 20*time.Second)
		again := open(t, small(crashed))
		for w := 0; w < writers; w += 2 {
			v, err := again.Get(row(fmt.Sprint("w", w)))
			var n int64
			fmt.Sscan(strings.TrimRight(string(v), "."), &n)
			if err != nil || n < acked[w].Load() {
				t.Fatalf("seed %d: writer %d was acknowledged %d, found %d, %v", seed, w, acked[w].Load(), n, err)
			}
		}
		closeStore(t, again)
	}
}

// A store whose files are damaged says so, and what to do.
func TestDamagedManifestIsExplained(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, small(mem))
	closeStore(t, s)
	names, err := mem.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "MANIFEST-") {
			data, err := mem.UnsafeGetFileDataBuffer(testDir + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			for i := range data {
				data[i] ^= 0x55
			}
		}
	}
	_, err = Open(small(mem))
	if err == nil || !strings.Contains(err.Error(), "move the directory away") || !strings.Contains(err.Error(), testDir) {
		t.Fatalf("the error does not say what to do: %v", err)
	}
}
