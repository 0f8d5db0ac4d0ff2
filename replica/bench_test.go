package replica

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	benchBatch = 16
	benchKeys  = 100_000
	benchValue = 64 // bytes
)

func benchRig(b *testing.B, mode storage.Durability, cache int64) *rig {
	g := startRig(b, storage.Options{Dir: b.TempDir(), FS: vfs.Default, Durability: mode, MemTableBytes: 64 << 20},
		Options{CacheBytes: cache})
	b.Cleanup(g.close)
	return g
}

func benchModes(b *testing.B, fn func(b *testing.B, g *rig)) {
	for _, mode := range []storage.Durability{storage.Always, storage.One, storage.Interval} {
		b.Run(mode.String(), func(b *testing.B) {
			g := benchRig(b, mode, DefaultCacheBytes)
			b.ReportAllocs()
			fn(b, g)
		})
	}
}

func perOp(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchBatch, "ns/key")
	b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "keys/s")
}

// clients runs fn in n goroutines, each call of it one batch, b.N in all: the
// load of n connections, each waiting for its batch before it sends the next.
func clients(b *testing.B, n int, fn func(client int) func(i int)) {
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for c := range n {
		wg.Go(func() {
			one := fn(c)
			for {
				i := int(next.Add(1))
				if i > b.N {
					return
				}
				one(i)
			}
		})
	}
	wg.Wait()
	perOp(b)
}

// setter returns what writes batch i with one reused batch.
func setter(g *rig) func(i int) {
	value := make([]byte, benchValue)
	ended := make(chan error, 1)
	u := &UpdateBatch{Ops: make([]Update, benchBatch), Durable: func(err error) { ended <- err }}
	return func(i int) {
		for n := range u.Ops {
			k := keyNames[(i*benchBatch+n)%benchKeys]
			u.Ops[n].Key = k
			u.Ops[n].Change = Change{Kind: Put, Value: value}
		}
		g.Update(u)
		if err := <-ended; err != nil {
			g.t.Fatal(err)
		}
	}
}

var keyNames = func() []Key {
	keys := make([]Key, benchKeys)
	for i := range keys {
		keys[i] = keyOf(i)
	}
	return keys
}()

// BenchmarkSet writes batches of 16, one after another.
func BenchmarkSet(b *testing.B) {
	benchModes(b, func(b *testing.B, g *rig) {
		set := setter(g)
		i := 0
		for b.Loop() {
			set(i)
			i++
		}
		perOp(b)
	})
}

// BenchmarkSetClients writes batches of 16 from 50 clients at once.
func BenchmarkSetClients(b *testing.B) {
	benchModes(b, func(b *testing.B, g *rig) {
		clients(b, 50, func(int) func(int) { return setter(g) })
		s := g.Stats()
		b.ReportMetric(float64(s.Updates)/float64(s.Groups), "keys/commit")
	})
}

// BenchmarkApply serves requests of 16 cells, each new to the replica, from 50
// clients at once.
func BenchmarkApply(b *testing.B) {
	f := newForeign(7, 0)
	value := make([]byte, benchValue)
	var mu sync.Mutex
	benchModes(b, func(b *testing.B, g *rig) {
		clients(b, 50, func(int) func(int) {
			cells := make([]KeyedCell, benchBatch)
			var body []byte
			a := newAnswers()
			return func(i int) {
				mu.Lock()
				now := f.clock.Now()
				mu.Unlock()
				for n := range cells {
					k := keyNames[(i*benchBatch+n)%benchKeys]
					// What another node mints: a successor of all it has seen.
					next, _, _, err := (*version.Cell)(nil).Put(version.Mint{Actor: f.actor, Floor: uint64(now), Time: now},
						version.Write{Value: value, Context: &version.Context{Past: version.Past{{Actor: f.actor, Base: uint64(now), Time: now}}}})
					if err != nil {
						b.Fatal(err)
					}
					cells[n] = KeyedCell{Key: k, Cell: next}
				}
				body = AppendApply(body[:0], cells)
				g.serve(KindApply, body, g.clock.Now(), a)
				if r := <-a.ch; r.err != "" {
					b.Fatal(r.err)
				}
			}
		})
	})
}

// BenchmarkGet reads single cells.
func BenchmarkGet(b *testing.B) {
	for _, c := range []struct {
		name  string
		cache int64
	}{{"hit", DefaultCacheBytes}, {"miss", -1}} {
		b.Run(c.name, func(b *testing.B) {
			g := benchRig(b, storage.Interval, c.cache)
			set := setter(g)
			for i := range benchKeys / benchBatch {
				set(i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if cell, err := g.Get(keyNames[i*7919%benchKeys]); cell == nil || err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkServeRead answers requests for 16 cells by digest, from the cache.
func BenchmarkServeRead(b *testing.B) {
	g := benchRig(b, storage.Interval, DefaultCacheBytes)
	set := setter(g)
	for i := range benchKeys / benchBatch {
		set(i)
	}
	bodies := make([][]byte, benchKeys/benchBatch)
	for i := range bodies {
		asks := make([]Ask, benchBatch)
		for n := range asks {
			k := keyNames[i*benchBatch+n]
			asks[n] = Ask{Key: k, Digest: g.get(k).Digest()}
		}
		bodies[i] = AppendRead(nil, asks, false)
	}
	a := newAnswers()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		g.serve(KindRead, bodies[i%len(bodies)], 0, a)
		if r := <-a.ch; r.err != "" || len(r.body) != 1+benchBatch {
			b.Fatal(fmt.Sprint(r))
		}
		i++
	}
	perOp(b)
}
