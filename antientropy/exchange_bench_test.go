package antientropy

import (
	"testing"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

// Two owners of a million cells, of which one comes to differ: how long it
// takes until they do not, and what it moves. The suite does the same with a
// tenth of it.
func BenchmarkRepairOneInAMillion(b *testing.B) {
	o := startOwners(b, 2)
	defer o.close()
	o.load(1_000_000)
	o.settled(5 * time.Minute)
	minter := newMinter(102)
	changed := 0
	var slowest time.Duration
	wire := o.wire()
	for b.Loop() {
		changed++
		k := testKey(changed * 7919 % 1_000_000)
		cur, err := o.nodes[0].Get(k)
		if err != nil {
			b.Fatal(err)
		}
		next := minter.write(b, cur, version.Write{Value: []byte("other")})
		o.nodes[0].put(replica.KeyedCell{Key: k, Cell: next})
		began := time.Now()
		for {
			if got, _ := o.nodes[1].Get(k); got.Digest() == next.Digest() {
				break
			}
			time.Sleep(time.Millisecond)
		}
		slowest = max(slowest, time.Since(began))
		o.settled(10 * time.Second)
	}
	moved := (o.wire() - wire) / int64(changed)
	b.ReportMetric(float64(moved), "wire-B/op")
	b.ReportMetric(slowest.Seconds(), "slowest-s")
	if moved > 100<<10 || slowest > 5*time.Second {
		b.Errorf("%d bytes moved for one cell; the slowest took %v", moved, slowest)
	}
	wire = o.wire()
	if err := o.nodes[0].exchange.compareNow(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(o.wire()-wire), "wire-B/full")
}
