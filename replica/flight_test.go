package replica

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/storage"
)

// TestSlowDiskHoldsNothingUp: while the disk takes seconds for a sync, what
// comes is applied all the same, soon enough to be sent to others, and is
// acknowledged when it is on disk and not before.
func TestSlowDiskHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := &faultyFS{FS: vfs.NewMem()}
		fs.free.Store(1 << 30)
		g := startRig(t, storage.Options{FS: fs}, Options{Lanes: 1})
		slow := func() error { time.Sleep(3 * time.Second); return nil }
		fs.syncs.Store(&slow)
		began := time.Now()
		durable := make(chan time.Duration, 2*easyFlights)
		for i := range cap(durable) {
			applied := make(chan struct{})
			g.Update(&UpdateBatch{
				Ops:     []Update{put(keyOf(i), "v")},
				Applied: func() { close(applied) },
				Durable: func(err error) {
					if err != nil {
						t.Error(err)
					}
					durable <- time.Since(began)
				},
			})
			asked := time.Now()
			<-applied
			if took := time.Since(asked); took > slowLanding {
				t.Fatalf("write %d was applied after %v", i, took)
			}
		}
		if took := time.Since(began); took >= 3*time.Second {
			t.Fatalf("all was applied after %v, when the disk had answered", took)
		}
		for range cap(durable) {
			if at := <-durable; at < 3*time.Second {
				t.Errorf("acknowledged after %v, before the disk had it", at)
			}
		}
		fs.syncs.Store(nil)
		g.close()
	})
}

// The bytes under way are bounded, however slow the disk is.
func TestFlightsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r runway
		r.init()
		launched := 0
		go func() {
			for range 5 {
				r.launch(flight{bytes: maxFlightBytes / 2})
				launched++
			}
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if launched != 2 {
			t.Fatalf("%d flights of half the bound are under way", launched)
		}
		for want := 3; want <= 5; want++ {
			r.land(<-r.flights)
			synctest.Wait()
			if launched != want {
				t.Fatalf("%d flights after a landing, want %d", launched, want)
			}
		}
		r.land(<-r.flights)
		r.land(<-r.flights)
		if n := r.aloft.Load(); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	})
}
