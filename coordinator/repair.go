package coordinator

import (
	"bytes"
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage/version"
)

// Bounds of what waits to be healed. What does not fit is dropped: another
// read, or the comparing of replicas, finds it again.
const (
	maxRepairs     = 4096
	maxRepairBytes = 32 << 20
)

// repairs is the queue of cells that a read found some replica to lack.
type repairs struct {
	ready chan struct{} // of one; a token means: there is something
	seed  maphash.Seed
	stats *counters

	mu    sync.Mutex
	queue []repair
	index map[uint64]int // by hash of target and key: where in queue
	bytes int
}

// repair is one cell for one replica; "" is this node's own.
type repair struct {
	node string
	cell replica.KeyedCell
	read time.Time // when the oldest part of it was read
}

// over returns when a repair is too old to be made: what it carries may have
// been dropped everywhere since (law 7).
func (r *repair) over() time.Time { return r.read.Add(replica.OpLifetime) }

func (q *repairs) init(stats *counters) {
	q.ready = make(chan struct{}, 1)
	q.seed = maphash.MakeSeed()
	q.stats = stats
	q.index = make(map[uint64]int)
}

// add queues the cell for node, together with what already waits for the same
// place. read is when it was read. It copies the key and never blocks.
func (q *repairs) add(node string, key replica.Key, cell *version.Cell, read time.Time) {
	h := q.hash(node, key)
	q.mu.Lock()
	if at, ok := q.index[h]; ok && q.queue[at].is(node, key) {
		old := &q.queue[at].cell
		q.queue[at].read = earlier(q.queue[at].read, read)
		q.bytes -= len(old.Cell.Bytes())
		old.Cell = version.Merge(old.Cell, cell)
		q.bytes += len(old.Cell.Bytes())
		q.mu.Unlock()
		return
	}
	size := len(key.Key) + len(key.Field) + len(cell.Bytes())
	if len(q.queue) >= maxRepairs || len(q.queue) > 0 && q.bytes+size > maxRepairBytes {
		q.mu.Unlock()
		q.stats.repairsDropped.Add(1)
		return
	}
	q.index[h] = len(q.queue)
	q.queue = append(q.queue, repair{node, replica.KeyedCell{Key: cloneKey(key), Cell: cell}, read})
	q.bytes += size
	q.mu.Unlock()
	q.stats.repairsQueued.Add(1)
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (r *repair) is(node string, key replica.Key) bool {
	return r.node == node && sameKey(r.cell.Key, key)
}

func sameKey(a, b replica.Key) bool {
	return a.Slot == b.Slot && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Field, b.Field)
}

// cloneKey copies a key's bytes, both into one piece of memory.
func cloneKey(k replica.Key) replica.Key {
	b := make([]byte, 0, len(k.Key)+len(k.Field))
	b = append(append(b, k.Key...), k.Field...)
	n := len(k.Key)
	return replica.Key{Slot: k.Slot, Key: b[:n:n], Field: b[n:]}
}

func (q *repairs) hash(node string, key replica.Key) uint64 {
	var h maphash.Hash
	h.SetSeed(q.seed)
	h.WriteString(node)
	h.WriteByte(0)
	h.Write(key.Key)
	h.WriteByte(0)
	h.Write(key.Field)
	return h.Sum64()
}

// take empties the queue.
func (q *repairs) take() []repair {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.queue
	q.queue, q.bytes = nil, 0
	clear(q.index)
	return all
}

// heal repairs what is queued until ctx ends, and then what is left, for at
// most one more request's bound.
func (c *Coordinator) heal(ctx context.Context) {
	for {
		select {
		case <-c.repairs.ready:
			c.healAll(c.repairs.take(), time.Now().Add(c.opts.Timeout))
			continue
		case <-ctx.Done():
		}
		break
	}
	deadline := time.Now().Add(c.opts.Timeout)
	for left := c.repairs.take(); len(left) > 0 && time.Now().Before(deadline); left = c.repairs.take() {
		c.healAll(left, deadline)
	}
}

// healAll sends each replica what it lacks, and waits until all have answered
// or failed: no more than one round is ever on its way.
func (c *Coordinator) healAll(all []repair, deadline time.Time) {
	var wg sync.WaitGroup
	queued := len(all)
	now := time.Now()
	all = slices.DeleteFunc(all, func(r repair) bool { return !now.Before(r.over()) })
	c.counters.repairsDropped.Add(uint64(queued - len(all)))
	for len(all) > 0 {
		node, size := all[0].node, 0
		var mine []replica.KeyedCell
		until := deadline
		rest := all[:0]
		for _, r := range all {
			if r.node != node || size > softFrame {
				rest = append(rest, r)
				continue
			}
			mine = append(mine, r.cell)
			until = earlier(until, r.over())
			size += len(r.cell.Key.Key) + len(r.cell.Key.Field) + len(r.cell.Cell.Bytes())
		}
		all = rest
		wg.Add(1)
		done := func(err error) {
			c.healed(node, len(mine), err)
			wg.Done()
		}
		if node == "" {
			c.replica.Apply(&replica.ApplyBatch{Cells: mine, Done: done})
			continue
		}
		c.peers.Call(node, peer.Bulk, replica.KindApply, replica.AppendApply(nil, mine), until,
			func(r peer.Reply) { done(r.Err) })
	}
	wg.Wait()
}

// healed counts repairs. One that failed is found again by the next read.
func (c *Coordinator) healed(node string, n int, err error) {
	if err == nil {
		c.counters.repairsDone.Add(uint64(n))
		return
	}
	c.counters.repairsFailed.Add(uint64(n))
	if node == "" {
		c.log.Warn("the local replica could not be repaired", "cells", n, "err", err)
	}
}
