package replica

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage/version"
)

// numbered returns a cell that tells its number by its timestamp.
func numbered(t testing.TB, n uint64, size int) *version.Cell {
	c, _, _, err := (*version.Cell)(nil).Put(
		version.Mint{Actor: version.Actor{ID: 1}, Floor: n, Time: version.Timestamp(n)}, version.Write{Value: make([]byte, size)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func numberOf(c *version.Cell) uint64 {
	if c == nil {
		return 0
	}
	return uint64(c.Versions[0].Time)
}

func (c *cache) testKey(i int) rowKey {
	return c.key(binary.BigEndian.AppendUint32([]byte("row"), uint32(i)))
}

// check recounts what a cache holds.
func (c *cache) check(t rapid.TB) {
	for i := range c.shards {
		s := &c.shards[i]
		var used int64
		n := 0
		for e, newer := s.newest, (*entry)(nil); e != nil; newer, e = e, e.older {
			if e.newer != newer || s.table[e.hash] != e {
				t.Fatal("the queue is torn")
			}
			if cost := costOf(rowKey{row: e.row}, e.cell); cost != e.cost {
				t.Fatalf("an entry of %d is accounted with %d", cost, e.cost)
			}
			used += e.cost
			n++
		}
		if n != len(s.table) || used != s.used || used > s.limit {
			t.Fatalf("%d entries of %d bytes; accounted %d of %d, bound %d", n, used, len(s.table), s.used, s.limit)
		}
		for _, g := range s.gates {
			if g.open != 0 {
				t.Fatal("a gate was left open")
			}
		}
	}
}

// TestCacheModel: whatever is found is what was last put, and the bound holds.
func TestCacheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCache(int64(rapid.IntRange(0, 1<<20).Draw(t, "limit")))
		model := map[int]*version.Cell{}
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			i := rapid.IntRange(0, 60).Draw(t, "row")
			k := c.testKey(i)
			switch rapid.IntRange(0, 3).Draw(t, "do") {
			case 0:
				var cell *version.Cell
				if rapid.Bool().Draw(t, "present") {
					cell, _, _, _ = cell.Put(version.Mint{Actor: version.Actor{ID: 1}}, version.Write{Value: make([]byte, rapid.IntRange(0, 9000).Draw(t, "size"))})
				}
				if old, ok := c.open(k); ok && old != model[i] {
					t.Fatal("open found something else")
				}
				known := rapid.Bool().Draw(t, "known")
				if known {
					model[i] = cell
				}
				c.shut(k, cell, known)
			default:
				cell, ok, ticket := c.get(k)
				if ok && cell != model[i] {
					t.Fatal("get found something else")
				}
				if !ok {
					c.fill(k, model[i], ticket)
				}
			}
		}
		for i := range c.shards {
			for j := range c.shards[i].gates {
				c.shards[i].gates[j].open = 0
			}
		}
		c.check(t)
	})
}

// TestCacheStaleFill: what was read before a write is not kept after it,
// however the two interleave.
func TestCacheStaleFill(t *testing.T) {
	c := newCache(1 << 20)
	k := c.testKey(1)
	older, newer := numbered(t, 1, 1), numbered(t, 2, 1)
	absent := func(when string) {
		if cell, ok, _ := c.get(k); ok {
			t.Errorf("%s: found %d", when, numberOf(cell))
		}
	}

	_, _, ticket := c.get(k)
	c.open(k)
	c.fill(k, older, ticket)
	absent("read before open, filled before shut")
	_, _, during := c.get(k)
	c.fill(k, older, during)
	absent("read and filled before shut")
	c.shut(k, newer, true)
	s := c.shard(k.hash)
	s.remove(s.find(k)) // as by eviction
	c.fill(k, older, ticket)
	absent("read before open, filled after shut and eviction")
	c.fill(k, older, during)
	absent("read before shut, filled after eviction")

	_, _, ticket = c.get(k)
	c.fill(k, newer, ticket)
	c.fill(k, older, ticket)
	if cell, ok, _ := c.get(k); !ok || cell != newer {
		t.Error("a second fill took the first one's place")
	}
}

// shelf is a store made of atomics, with a cache in front of it.
type shelf struct {
	*cache
	cells []*version.Cell // by number, less one
	rows  [300]atomic.Uint64
	high  [300]atomic.Uint64 // the highest number that was read
}

func (s *shelf) at(n uint64) *version.Cell {
	if n == 0 {
		return nil
	}
	return s.cells[n-1]
}

// read reads a row as a replica does.
func (s *shelf) read(i int) uint64 {
	k := s.testKey(i)
	cell, ok, ticket := s.get(k)
	if ok {
		return numberOf(cell)
	}
	n := s.rows[i].Load()
	runtime.Gosched()
	s.fill(k, s.at(n), ticket)
	return n
}

// write raises the numbers of a few of lane l's rows, or fails to, as a lane does.
func (s *shelf) write(t *testing.T, rng *rand.Rand, l, lanes int) {
	group := map[int]uint64{}
	for range 1 + rng.IntN(4) {
		i := rng.IntN(len(s.rows)/lanes)*lanes + l
		if _, ok := group[i]; ok {
			continue
		}
		cell, ok := s.open(s.testKey(i))
		n := s.rows[i].Load()
		if ok && numberOf(cell) != n {
			t.Errorf("a lane found %d of row %d, which is at %d", numberOf(cell), i, n)
		}
		group[i] = n + 1
	}
	stored := rng.IntN(8) > 0
	for i, n := range group {
		if stored {
			s.rows[i].Store(n)
		}
	}
	for i, n := range group {
		s.shut(s.testKey(i), s.at(n), stored)
	}
}

// TestCacheCoherence runs lanes and readers with so little room that rows come
// and go: a reader never sees a row's number sink, nor one the store does not
// have yet.
func TestCacheCoherence(t *testing.T) {
	const lanes, readers, rounds = 2, 4, 4000
	s := &shelf{cache: newCache(200 << 10)}
	for i := range rounds {
		s.cells = append(s.cells, numbered(t, uint64(i+1), 200))
	}
	var wg sync.WaitGroup
	for l := range lanes {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(l), 1))
			for range rounds {
				s.write(t, rng, l, lanes)
			}
		})
	}
	for rd := range readers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(rd), 2))
			for range rounds * 4 {
				i := rng.IntN(len(s.rows))
				high := &s.high[i]
				before := high.Load()
				n := s.read(i)
				if n < before {
					t.Errorf("row %d went back from %d to %d", i, before, n)
				}
				if now := s.rows[i].Load(); n > now {
					t.Errorf("row %d read as %d before the store had it (%d)", i, n, now)
				}
				for h := high.Load(); n > h && !high.CompareAndSwap(h, n); h = high.Load() {
				}
			}
		})
	}
	wg.Wait()
	s.check(t)
	if s := s.stats(); s.evictions == 0 || s.hits == 0 {
		t.Errorf("the test evicted %d and hit %d times: it tested nothing", s.evictions, s.hits)
	}
}

// TestCacheKeepsTheHot: a pass over many cells that nobody reads again does
// not push out those that are read all the time.
func TestCacheKeepsTheHot(t *testing.T) {
	const hot = 200
	c := newCache(8 << 20)
	cell := numbered(t, 1, 100)
	hits := 0
	for i := range 200_000 {
		k := c.testKey(1000 + i)
		if i%2 == 0 {
			k = c.testKey(i / 2 % hot)
		}
		_, ok, ticket := c.get(k)
		if !ok {
			c.fill(k, cell, ticket)
		} else if i%2 == 0 {
			hits++
		}
	}
	if hits < 100_000-4*hot {
		t.Errorf("%d hits of 100000 on what is hot", hits)
	}
	c.check(t)
}

func TestCacheHitAllocatesNothing(t *testing.T) {
	c := newCache(1 << 20)
	k := c.testKey(1)
	c.open(k)
	c.shut(k, numbered(t, 1, 10), true)
	if n := testing.AllocsPerRun(100, func() {
		if _, ok, _ := c.get(k); !ok {
			t.Fatal("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCacheHit(b *testing.B) {
	c := newCache(64 << 20)
	var keys [1024]rowKey
	for i := range keys {
		keys[i] = c.testKey(i)
		c.open(keys[i])
		c.shut(keys[i], numbered(b, 1, 100), true)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.get(keys[i&1023])
		i++
	}
}
