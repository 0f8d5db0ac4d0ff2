package sim

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestPebbleSurvivesACrash: what was synced is there after a crash, in the
// middle of slow syncs too, and the crashed store does not disturb its
// successor.
func TestPebbleSurvivesACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDisk("n1", 1)
		open := func() *pebble.DB {
			db, err := pebble.Open("data", &pebble.Options{FS: d.FS()})
			if err != nil {
				t.Fatal(err)
			}
			return db
		}
		old := open()
		d.SetSyncDelay(time.Millisecond, 20*time.Millisecond)
		acked := make(chan int, 1000)
		for w := range 4 {
			go func() {
				for i := w; i < 1000; i += 4 {
					if err := old.Set(fmt.Append(nil, i), nil, pebble.Sync); err != nil {
						return
					}
					acked <- i
				}
			}()
		}
		time.Sleep(333 * time.Millisecond)
		n := len(acked)
		if n == 0 || n == 1000 {
			t.Fatalf("%d acknowledged: the crash is not in the middle", n)
		}
		d.Crash(50)
		db := open()
		for range n {
			i := <-acked
			_, closer, err := db.Get(fmt.Append(nil, i))
			if err != nil {
				t.Fatalf("acknowledged %d: %v", i, err)
			}
			closer.Close()
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute) // the old store's writers end
		if err := old.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestDiskFaults(t *testing.T) {
	d := NewDisk("n1", 1)
	fs := d.FS()
	f, err := fs.Create("f", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	d.SetFull(true)
	if _, err := f.Write([]byte("x")); !vfs.IsNoSpaceError(err) {
		t.Errorf("write to a full disk: %v", err)
	}
	if u, err := fs.GetDiskUsage(""); err != nil || u.AvailBytes != 0 {
		t.Errorf("usage of a full disk: %v, %v", u, err)
	}
	if err := f.Sync(); err != nil {
		t.Errorf("sync of a full disk: %v", err)
	}
	d.SetFull(false)
	if _, err := f.Write([]byte("x")); err != nil {
		t.Errorf("write with room again: %v", err)
	}
	d.Break()
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync of a broken disk: %v", err)
	}
	d.Crash(0)
	if err := f.Sync(); err != nil {
		t.Errorf("the old node's disk: %v", err)
	}
	if _, err := d.FS().Stat("f"); err == nil {
		t.Error("a file whose directory was never synced is there after a crash")
	}
}
