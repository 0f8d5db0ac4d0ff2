package replica

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/storage"
)

// Changed is never earlier than what Slot says, nor later for a block that
// nobody has touched.
func TestChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := startRig(t, storage.Options{}, Options{})
		defer g.close()
		for i, slot := range []uint16{0, 63, 64, 16383} {
			time.Sleep(time.Second)
			k := keyOf(i)
			k.Slot = slot
			if _, err := g.update(put(k, "v")); err != nil {
				t.Fatal(err)
			}
		}
		for _, tc := range []struct {
			first, last uint16
			want        time.Duration
		}{
			{0, 0, 2 * time.Second}, {1, 62, 2 * time.Second}, {64, 100, 3 * time.Second},
			{128, 16319, 0}, {16320, 16383, 4 * time.Second}, {0, 16383, 4 * time.Second}, {0, 64, 3 * time.Second},
		} {
			if got := g.Changed(tc.first, tc.last); got != tc.want {
				t.Errorf("slots %d to %d changed after %v, want %v", tc.first, tc.last, got, tc.want)
			}
		}
		if got := g.Slot(63).Changed; got != 2*time.Second {
			t.Errorf("slot 63 changed after %v", got)
		}
	})
}
