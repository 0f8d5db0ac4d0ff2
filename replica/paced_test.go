package replica

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/storage"
)

// What other nodes read for their background work is asked for, each piece
// with the size of the one before; what their clients wait for never is, nor
// is it held up.
func TestTransfersArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var asked []int
		blocked := false
		g := startRig(t, storage.Options{}, Options{Pace: func(ctx context.Context, bytes int) error {
			mu.Lock()
			asked = append(asked, bytes)
			wait := blocked
			mu.Unlock()
			if wait {
				<-ctx.Done()
			}
			return ctx.Err()
		}})
		defer g.close()
		k := keyOf(1)
		if _, err := g.update(put(k, "value")); err != nil {
			t.Fatal(err)
		}
		scan := func(stripped bool) int {
			got := g.ask(KindScan, AppendScan(nil, ScanRequest{Last: storage.Slots - 1, Stripped: stripped}))
			if got.code != 0 {
				t.Fatal(got.err)
			}
			return len(got.body)
		}
		size := scan(false)
		synctest.Wait()
		scan(true)
		listed := g.ask(KindList, AppendList(nil, k.Slot, 1<<LeavesPerSlot-1, nil, 0))
		synctest.Wait()
		scan(false)
		mu.Lock()
		if want := []int{0, size, len(listed.body)}; !slices.Equal(asked, want) {
			t.Errorf("asked with %v, want %v", asked, want)
		}
		blocked = true
		mu.Unlock()

		began := time.Now()
		held := make(chan time.Duration, pacedWorkers)
		for range pacedWorkers {
			go func() { scan(false); held <- time.Since(began) }()
		}
		synctest.Wait()
		if scan(true); time.Since(began) != 0 {
			t.Error("a client's scan waits for transfers")
		}
		for range pacedWorkers {
			if d := <-held; d != maxHeldBack {
				t.Errorf("a transfer was held back for %v", d)
			}
		}
	})
}
