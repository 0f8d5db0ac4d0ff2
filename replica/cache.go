package replica

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"runtime"
	"sync"

	"github.com/dynaring/dynaring/storage/version"
)

// DefaultCacheBytes is the cache's bound where Options names none.
const DefaultCacheBytes = 256 << 20

// Shards bound how long a hit waits for somebody else's; gates bound how many
// rows share the fate of one that is being written.
const (
	shardsPerProc = 16
	maxShards     = 256
	gatesPerShard = 256 // a power of two
	// maxEntryShare: a cell larger than this share of its shard is not kept,
	// so that one cell cannot push out everything else.
	maxEntryShare = 4
)

// rowKey is a cell's row in the store and the seeded hash that the cache and
// the lanes find it by.
type rowKey struct {
	row  []byte
	hash uint64
}

// cache holds hot cells by row, nil for cells known to be absent. Its law: a
// reader never finds a cell that is older than one it could have read from the
// store before, nor one that is not yet in the store's memtable.
//
// A gate (many to a shard, by hash) keeps that law. A lane opens a row's gate
// before it reads the row to change it, and shuts it, with the new cell, once
// the store has the change. A reader that missed takes the gate's ticket,
// reads the store, and may put what it found into the cache only if the gate
// has not been opened or shut since: what it found may be stale otherwise.
//
// Eviction is SIEVE (Zhang et al., NSDI 2024): a queue in order of arrival and
// a hand that takes the oldest cell not read since the hand last passed. A hit
// sets one bit; nothing moves.
type cache struct {
	seed   maphash.Seed
	shards []shard
	shift  int // a hash's top bits choose the shard
}

type shard struct {
	mu           sync.Mutex        // on one cache line with what a hit touches
	table        map[uint64]*entry // two rows of one hash: the later takes the place
	hits, misses uint64

	newest, oldest, hand *entry // the hand moves from oldest to newest
	spare                *entry // last evicted, to be used again
	used, limit          int64
	evictions            uint64

	gates [gatesPerShard]gate

	_ [64]byte // keeps neighbours' mutexes off this cache line
}

// gate is shared by all rows whose hash leads to it: ticket counts how often
// it was moved, open how many lanes' writes are under way behind it.
type gate struct {
	ticket uint32
	open   int32
}

type entry struct {
	row          []byte
	hash         uint64
	cell         *version.Cell
	cost         int64
	visited      bool
	newer, older *entry
}

func newCache(limit int64) *cache {
	n := min(maxShards, shardsPerProc*runtime.GOMAXPROCS(0))
	n = 1 << bits.Len(uint(n-1))
	c := &cache{seed: maphash.MakeSeed(), shards: make([]shard, n), shift: 64 - bits.TrailingZeros(uint(n))}
	for i := range c.shards {
		c.shards[i].table = make(map[uint64]*entry)
		c.shards[i].limit = max(limit, 0) / int64(n)
	}
	return c
}

func (c *cache) key(row []byte) rowKey {
	return rowKey{row: row, hash: maphash.Bytes(c.seed, row)}
}

func (c *cache) shard(hash uint64) *shard { return &c.shards[hash>>c.shift] }

func (s *shard) gate(hash uint64) *gate { return &s.gates[hash%gatesPerShard] }

// get answers a reader. Where ok is false, ticket is what fill will ask for.
func (c *cache) get(k rowKey) (cell *version.Cell, ok bool, ticket uint32) {
	s := c.shard(k.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.find(k); e != nil {
		e.visited = true
		s.hits++
		return e.cell, true, 0
	}
	s.misses++
	return nil, false, s.gate(k.hash).ticket
}

// peek is get for a writer about to queue: it neither counts nor marks.
func (c *cache) peek(k rowKey) (ok bool, ticket uint32) {
	s := c.shard(k.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(k) != nil, s.gate(k.hash).ticket
}

// fill keeps what a reader that missed has read from the store since.
func (c *cache) fill(k rowKey, cell *version.Cell, ticket uint32) {
	s := c.shard(k.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.gate(k.hash); g.open == 0 && g.ticket == ticket && s.find(k) == nil {
		s.put(k, cell)
	}
}

// open opens a row's gate for a lane and returns what is known of the row.
func (c *cache) open(k rowKey) (cell *version.Cell, ok bool) {
	s := c.shard(k.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gate(k.hash)
	g.open++
	g.ticket++
	if e := s.find(k); e != nil {
		return e.cell, true
	}
	return nil, false
}

// shut ends what open began: with the cell that the store now holds, or, where
// known is false, with nothing learnt.
func (c *cache) shut(k rowKey, cell *version.Cell, known bool) {
	s := c.shard(k.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gate(k.hash)
	g.open--
	g.ticket++
	if known {
		s.put(k, cell)
	}
}

// forget drops all rows that begin with prefix. It is slow, and for when the
// store was found to be other than it should.
func (c *cache) forget(prefix []byte) {
	for i := range c.shards {
		c.shards[i].forget(prefix)
	}
}

func (s *shard) forget(prefix []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.table {
		if bytes.HasPrefix(e.row, prefix) {
			s.remove(e)
		}
	}
}

func (s *shard) find(k rowKey) *entry {
	if e := s.table[k.hash]; e != nil && string(e.row) == string(k.row) {
		return e
	}
	return nil
}

// put makes the cell the row's, and evicts what no longer fits. A cell written
// over one that was there counts as read: it is hot.
func (s *shard) put(k rowKey, cell *version.Cell) {
	e, cost := s.table[k.hash], costOf(k, cell)
	if e != nil && string(e.row) == string(k.row) && cost <= s.limit/maxEntryShare {
		e.visited = e.visited || e.cell != nil && e.cell != cell
		s.used += cost - e.cost
		e.cell, e.cost = cell, cost
		s.evict()
		return
	}
	if e != nil {
		s.remove(e)
	}
	if cost > s.limit/maxEntryShare {
		return
	}
	if e = s.spare; e == nil {
		e = new(entry)
	}
	s.spare = nil
	*e = entry{row: append(e.row[:0], k.row...), hash: k.hash, cell: cell, cost: cost, older: s.newest}
	if s.newest != nil {
		s.newest.newer = e
	} else {
		s.oldest = e
	}
	s.newest = e
	s.table[k.hash] = e
	s.used += cost
	s.evict()
}

func (s *shard) evict() {
	for s.used > s.limit {
		e := s.hand
		if e == nil {
			e = s.oldest
		}
		for e.visited {
			e.visited = false
			if e = e.newer; e == nil {
				e = s.oldest
			}
		}
		s.hand = e.newer
		s.remove(e)
		s.evictions++
	}
}

func (s *shard) remove(e *entry) {
	if s.hand == e {
		s.hand = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		s.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		s.oldest = e.newer
	}
	delete(s.table, e.hash)
	s.used -= e.cost
	*e = entry{row: e.row}
	s.spare = e
}

// What an entry takes besides the bytes of its row and its cell's encoding:
// the structs, the table's slot, the allocator's rounding.
const (
	entryBytes   = 240
	versionBytes = 136
	pairBytes    = 64
	totalBytes   = 64
)

func costOf(k rowKey, cell *version.Cell) int64 {
	cost := entryBytes + len(k.row)
	if cell != nil {
		cost += len(cell.Bytes()) + totalBytes*len(cell.Totals)
		for i := range cell.Versions {
			v := &cell.Versions[i]
			cost += versionBytes + pairBytes*(len(v.Past)+len(v.Seen))
		}
	}
	return int64(cost)
}

// cacheStats is the sum over all shards.
type cacheStats struct {
	hits, misses, evictions uint64
	entries                 int
	bytes                   int64
}

func (c *cache) stats() (sum cacheStats) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		sum.hits += s.hits
		sum.misses += s.misses
		sum.evictions += s.evictions
		sum.entries += len(s.table)
		sum.bytes += s.used
		s.mu.Unlock()
	}
	return sum
}
