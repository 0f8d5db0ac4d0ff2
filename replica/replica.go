package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// Defaults of Options.
const (
	DefaultClockMax    = 10
	DefaultMaxSiblings = 128
)

// Options of a Replica.
type Options struct {
	Store *storage.Store
	// Clock stamps versions; it is the clock that the peers' frames carry.
	// nil: one over Now.
	Clock *version.Clock
	// Now is the wall clock that expiries are compared with; nil: Clock's.
	Now func() time.Time
	// Lanes is how many goroutines write; 0: half of GOMAXPROCS, at least 1.
	Lanes int
	// CacheBytes bounds the cache of cells; 0: DefaultCacheBytes; < 0: none.
	CacheBytes int64
	// ClockMax and MaxSiblings bound client writes, never merges: pairs kept
	// in a vector clock and versions in a cell. 0: the defaults; < 0: no bound.
	ClockMax, MaxSiblings int
	// HintLimit bounds the hints for one owner, in bytes; 0: DefaultHintLimit;
	// < 0: no bound.
	HintLimit int64
	// Pace is asked before something is read for other nodes' background work,
	// with what was read before; nil: nothing is held back.
	Pace   func(ctx context.Context, bytes int) error
	Logger *slog.Logger // nil: discard
}

// Replica is this node's replica. Its methods may be used concurrently.
type Replica struct {
	store       *storage.Store
	durability  storage.Durability
	clock       *version.Clock
	now         func() int64 // Unix ms
	clockMax    int
	maxSiblings int
	log         *slog.Logger
	unfit       error // why New has failed

	hints   hints
	damage  damage
	probes  probes
	cache   *cache
	leaves  *leaves
	journal journal
	reads   readTimes
	lanes   []*lane
	point   pool // reads and applies that need the disk
	bulk    pool // clients' scans and counts
	paced   paced
}

// New returns a replica over o.Store, having loaded what it keeps in memory. It
// takes work at once; Run does it.
func New(o Options) *Replica {
	if o.Clock == nil {
		o.Clock = version.NewClock(o.Now)
	}
	if o.Lanes <= 0 {
		o.Lanes = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Replica{
		store:       o.Store,
		durability:  o.Store.Durability(),
		clock:       o.Clock,
		now:         o.Clock.WallMillis,
		clockMax:    bound(o.ClockMax, DefaultClockMax),
		maxSiblings: bound(o.MaxSiblings, DefaultMaxSiblings),
		log:         o.Logger,
		cache:       newCache(o.CacheBytes),
		leaves:      &leaves{began: time.Now()},
		journal:     journal{due: make(chan struct{}, 1)},
	}
	if o.Now != nil {
		r.now = func() int64 { return o.Now().UnixMilli() }
	}
	for range o.Lanes {
		r.lanes = append(r.lanes, newLane(r))
	}
	r.point.init()
	r.bulk.init()
	r.paced.init()
	r.paced.wait = o.Pace
	r.damage.init(o.Logger)
	r.hints.init(bound(o.HintLimit, DefaultHintLimit))
	if err := errors.Join(r.loadLeaves(context.Background()), r.loadHints()); err != nil {
		r.unfit = fmt.Errorf("loading what is kept of the cells: %w", err)
	}
	return r
}

// bound reads an option of which 0 means the default and less means none,
// which package version writes as 0.
func bound[N int | int64](n, byDefault N) N {
	if n == 0 {
		n = byDefault
	}
	return max(n, 0)
}

// Run does the work until ctx ends. Then it refuses what comes with ErrClosed,
// finishes what it has been given, and returns nil. If New could not read the
// store, Run refuses everything and returns why at once.
func (r *Replica) Run(ctx context.Context) error {
	if r.unfit != nil {
		r.refuseAll()
		return r.unfit
	}
	var lanes, workers sync.WaitGroup
	for _, l := range r.lanes {
		lanes.Go(l.run)
		lanes.Go(l.sync)
	}
	for range pointWorkers {
		workers.Go(func() { r.point.work(ctx) })
	}
	for range bulkWorkers {
		workers.Go(func() { r.bulk.work(ctx) })
	}
	for range pacedWorkers {
		workers.Go(func() { r.paced.work(ctx) })
	}
	workers.Go(func() { r.keepLeaves(ctx) })
	workers.Go(func() { r.giveUpHints(ctx) })
	<-ctx.Done()
	r.point.close()
	r.bulk.close()
	r.paced.close()
	workers.Wait() // what they apply still finds the lanes open
	for _, l := range r.lanes {
		l.queue.close()
	}
	lanes.Wait()
	return nil
}

// refuseAll ends the queues without doing any work.
func (r *Replica) refuseAll() {
	r.point.close()
	r.bulk.close()
	r.paced.close()
	for _, l := range r.lanes {
		l.queue.close()
		for works := l.queue.take(nil); len(works) > 0; works = l.queue.take(nil) {
			l.refuse(works, r.unfit)
		}
	}
}

// Get returns the cell as this replica holds it, nil if it was never written,
// or was dropped. Where its row is damaged the error is storage.ErrDamaged: there
// may be a cell, and it is not known which.
func (r *Replica) Get(k Key) (*version.Cell, error) { return r.get(nil, k) }

// get is Get for o nil, else it returns the hint for o.
func (r *Replica) get(o *hintOwner, k Key) (*version.Cell, error) {
	var room [128]byte
	key := r.cache.key(o.appendRow(room[:0], &k))
	cell, ok, ticket := r.cache.get(key)
	if ok {
		return cell, nil
	}
	// The row is built anew: the store would move room to the heap for hits too.
	return r.fetch(rowKey{row: o.appendRow(nil, &k), hash: key.hash}, ticket)
}

// SyncsForAll reports whether of a write's replicas the coordinator's alone
// syncs before it answers: the others' answers are no substitute for its own.
func (r *Replica) SyncsForAll() bool { return r.durability == storage.One }

// Sync puts everything that has been acknowledged on disk, in every mode.
func (r *Replica) Sync() error { return r.store.Probe() }

// hit is get without the store; ok is false for what is not in the cache.
func (r *Replica) hit(o *hintOwner, k Key) (cell *version.Cell, ok bool) {
	var room [128]byte
	cell, ok, _ = r.cache.get(r.cache.key(o.appendRow(room[:0], &k)))
	return cell, ok
}

// fetch reads a row that is not in the cache, and puts it there.
func (r *Replica) fetch(key rowKey, ticket uint32) (*version.Cell, error) {
	cell, err := r.read(key.row)
	if err == nil {
		r.cache.fill(key, cell, ticket)
	}
	return cell, err
}

func (r *Replica) read(row []byte) (*version.Cell, error) {
	begin := r.Uptime()
	b, err := r.store.Get(row)
	end := r.Uptime()
	r.reads.add(end, end-begin)
	if b == nil && err == nil {
		return nil, nil
	}
	var cell *version.Cell
	if err == nil {
		cell, err = decodeRow(row, b, nil)
	}
	if err != nil {
		r.damage.note(err)
		return nil, fmt.Errorf("reading a cell: %w", err)
	}
	return cell, nil
}

// warm brings a cell that is about to be written into the cache on the
// caller's goroutine, so that its lane need not wait for the disk. What fails
// here fails again in the lane, which reports it.
func (r *Replica) warm(key rowKey) {
	if ok, ticket := r.cache.peek(key); !ok {
		_, _ = r.fetch(key, ticket)
	}
}

// rowKey appends the row of k's cell, or of its hint for o, to *rows, which
// backs it.
func (r *Replica) rowKey(rows *[]byte, o *hintOwner, k *Key) rowKey {
	at := len(*rows)
	*rows = o.appendRow(*rows, k)
	return r.cache.key((*rows)[at:len(*rows):len(*rows)])
}

// opBytes is what an operation takes in a queue besides its row and value.
const opBytes = 64

// Update queues b. It blocks only while the queue is full. Once Run is over,
// b is refused with ErrClosed, on the caller's goroutine.
func (r *Replica) Update(b *UpdateBatch) {
	w := work{update: b, ops: len(b.Ops)}
	b.rows = b.rows[:0]
	for i := range b.Ops {
		u := &b.Ops[i]
		u.row = r.rowKey(&b.rows, nil, &u.Key)
		r.warm(u.row)
		w.bytes += opBytes + len(u.row.row) + len(u.Change.Value)
	}
	r.enqueue(w)
}

// Apply queues b. It blocks only while the queue is full. Once Run is over, b
// is refused with ErrClosed, and hints beyond their bound with ErrHintsFull, on
// the caller's goroutine.
func (r *Replica) Apply(b *ApplyBatch) {
	w, cold, err := r.prepareApply(b)
	if err != nil {
		b.end(err)
		return
	}
	r.submit(w, cold, b.keys)
}

// prepareApply also reports whether some cell has to be read from the store.
func (r *Replica) prepareApply(b *ApplyBatch) (w work, cold bool, err error) {
	b.owner = nil
	if b.For != "" {
		if b.owner, err = r.admitHints(b.For, b.Must); err != nil {
			return w, false, err
		}
	}
	w = work{task: b, ops: len(b.Cells)}
	w.bytes, cold = r.place(&b.places, b.owner, len(b.Cells), func(n int) *Key { return &b.Cells[n].Key })
	for i := range b.Cells {
		w.bytes += len(b.Cells[i].Cell.Bytes())
	}
	return w, cold, nil
}

// place fills in the rows of the cells that n keys name, or of their hints for
// o. It returns the bytes that this takes in a queue, and whether some cell has
// to be read from the store.
func (r *Replica) place(p *places, o *hintOwner, n int, key func(int) *Key) (bytes int, cold bool) {
	p.rows, p.keys = p.rows[:0], p.keys[:0]
	for i := range n {
		k := r.rowKey(&p.rows, o, key(i))
		p.keys = append(p.keys, k)
		ok, _ := r.cache.peek(k)
		cold = cold || !ok
		bytes += opBytes + len(k.row)
	}
	return bytes, cold
}

// submit queues w once its cells are in the cache.
func (r *Replica) submit(w work, cold bool, keys []rowKey) {
	if cold {
		for _, key := range keys {
			r.warm(key)
		}
	}
	r.enqueue(w)
}

// enqueue hands w to its lane, or each share of it to its own.
func (r *Replica) enqueue(w work) {
	first, mixed := r.laneOf(&w, 0), false
	for n := 1; n < w.ops && !mixed; n++ {
		mixed = r.laneOf(&w, n) != first
	}
	if !mixed {
		r.push(first, w)
		return
	}
	shares := make([][]int32, len(r.lanes))
	lanes := 0
	for n := range w.ops {
		at := r.laneOf(&w, n)
		if shares[at] == nil {
			lanes++
		}
		shares[at] = append(shares[at], int32(n))
	}
	w.join = newJoin(lanes)
	bytes := w.bytes / w.ops
	for at, share := range shares {
		if share != nil {
			w.share, w.ops, w.bytes = share, len(share), bytes*len(share)
			r.push(at, w)
		}
	}
}

func (r *Replica) laneOf(w *work, n int) int {
	switch {
	case len(r.lanes) == 1 || w.ops == 0:
		return 0
	case w.update != nil:
		return int(w.update.Ops[n].Key.Slot) % len(r.lanes)
	}
	return int(w.task.slot(n)) % len(r.lanes)
}

func (r *Replica) push(lane int, w work) {
	if !r.lanes[lane].queue.push(w) {
		w.refused(ErrClosed)
	}
}
