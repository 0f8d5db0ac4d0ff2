package replica

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage"
)

// TestReadTimes: the percentile is not below the true one of the last reads,
// and at most a quarter above it, but for the unit; what is old does not count.
func TestReadTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r readTimes
		now := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "now"))
		}).Draw(t, "begin")
		for range rapid.IntRange(0, 50).Draw(t, "old") {
			r.add(now, time.Hour)
		}
		now += readSlices * readSlice
		if p := r.p99(now); p != 0 {
			t.Fatalf("of nothing recent: %v", p)
		}
		typical := time.Duration(rapid.Int64Range(0, int64(100*time.Second)).Draw(t, "typical"))
		n := rapid.IntRange(1, 400).Draw(t, "reads")
		slow := rapid.IntRange(0, n/100).Draw(t, "slow")
		for i := range n {
			d := typical
			if i < slow {
				d = 10 * typical
			}
			r.add(now+time.Duration(i)*(readSlice*(readSlices-1)/400), d)
		}
		p := r.p99(now + readSlice*(readSlices-1))
		if p < typical || p > typical+typical/4+4*readUnit {
			t.Fatalf("%v for reads of %v, %d of %d slower", p, typical, slow, n)
		}
	})
}

// TestReadP99 sees reads of the store, not those of the cache.
func TestReadP99(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := startRig(t, storage.Options{}, Options{})
		defer g.close()
		if _, err := g.update(put(keyOf(1), "v")); err != nil {
			t.Fatal(err)
		}
		if g.ReadP99() == 0 {
			t.Error("the lane's read was not seen")
		}
		time.Sleep(time.Minute)
		_ = g.get(keyOf(1))
		if p := g.ReadP99(); p != 0 {
			t.Errorf("%v without a read of the store", p)
		}
		_ = g.get(keyOf(2))
		if g.ReadP99() == 0 {
			t.Error("a read was not seen")
		}
	})
}

// TestReadBuckets: bounds rise and every time lies below its bucket's.
func TestReadBuckets(t *testing.T) {
	for b := range readBuckets - 1 {
		if readBound(b) >= readBound(b+1) || readBucket(readBound(b)) != b+1 || readBucket(readBound(b)-1) != b {
			t.Fatalf("bucket %d ends at %v, the next at %v", b, readBound(b), readBound(b+1))
		}
	}
	if readBucket(-1) != 0 || readBucket(1<<62) != readBuckets-1 {
		t.Error("the ends")
	}
}
