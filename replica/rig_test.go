package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// rig is a running replica over a store of its own.
type rig struct {
	*Replica
	t     rapid.TB
	store *storage.Store
	stop  context.CancelFunc
	done  sync.WaitGroup
}

// startRig opens a store, in memory unless so says otherwise, and runs a
// replica over it. The caller closes it.
func startRig(t rapid.TB, so storage.Options, o Options) *rig {
	t.Helper()
	if so.Dir == "" {
		so.Dir = "data"
	}
	if so.FS == nil {
		so.FS = vfs.NewMem()
	}
	if so.MemTableBytes == 0 {
		so.MemTableBytes = 256 << 10
	}
	store, err := storage.Open(so)
	if err != nil {
		t.Fatal(err)
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 4 << 20
	}
	o.Store = store
	g := &rig{Replica: New(o), t: t, store: store}
	g.run()
	return g
}

func (g *rig) run() {
	var ctx context.Context
	ctx, g.stop = context.WithCancel(context.Background())
	g.done.Go(func() { _ = g.Run(ctx) })
	g.done.Go(func() { _ = g.store.Run(ctx) })
}

// pause puts a new replica in the place of the running one. What it is given
// is queued until resume is called, and then worked on at once.
func (g *rig) pause(o Options) (resume func()) {
	g.halt()
	o.Store = g.store
	g.Replica = New(o)
	return g.run
}

// halt ends the replica without closing the store.
func (g *rig) halt() {
	g.stop()
	g.done.Wait()
	g.cache.check(g.t)
	g.compareLeaves(false)
}

func (g *rig) close() {
	g.t.Helper()
	g.halt()
	if err := g.store.Close(); err != nil {
		g.t.Fatal(err)
	}
}

// update carries out ops as one batch and waits until they are durable.
func (g *rig) update(ops ...Update) ([]Update, error) {
	b, wait := waited(ops)
	g.Update(b)
	return b.Ops, wait()
}

// errNotApplied marks a batch that was refused whole.
var errNotApplied = errors.New("not applied")

// waited returns a batch and what waits for its end. It checks that the
// callbacks come once and in order.
func waited(ops []Update) (*UpdateBatch, func() error) {
	applied, ended := false, make(chan error, 1)
	b := &UpdateBatch{Ops: ops}
	b.Applied = func() {
		if applied {
			panic("applied twice")
		}
		applied = true
	}
	b.Durable = func(err error) {
		switch {
		case !applied && err == nil:
			err = errors.New("durable but not applied")
		case !applied:
			err = fmt.Errorf("%w: %w", errNotApplied, err)
		}
		ended <- err
		close(ended) // a second call panics
	}
	return b, func() error { return <-ended }
}

// apply merges cells and waits.
func (g *rig) apply(cells ...KeyedCell) error {
	done := make(chan error, 1)
	g.Apply(&ApplyBatch{Cells: cells, Done: func(err error) { done <- err; close(done) }})
	return <-done
}

func (g *rig) get(k Key) *version.Cell {
	g.t.Helper()
	c, err := g.Get(k)
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

func (g *rig) value(k Key) string {
	g.t.Helper()
	s, ok := g.get(k).Winner(g.now())
	if !ok {
		return "(nil)"
	}
	return string(s.Value)
}

func keyOf(i int) Key {
	return Key{Slot: uint16(i*37) % storage.Slots, Key: fmt.Appendf(nil, "key:%d", i)}
}

func put(k Key, value string) Update {
	return Update{Key: k, Change: Change{Kind: Put, Value: []byte(value)}}
}

func incr(k Key, by int64) Update {
	return Update{Key: k, Change: Change{Kind: Incr, By: by}}
}

// covers reports whether a holds everything that b does.
func covers(a, b *version.Cell) bool {
	return version.Merge(a, b).Digest() == a.Digest()
}

// foreign is another node's replica of one cell.
type foreign struct {
	cell  *version.Cell
	actor version.Actor
	clock *version.Clock
	max   int // pairs in a clock
}

func newForeign(id uint64, clockMax int) *foreign {
	return &foreign{actor: version.Actor{ID: id}, clock: version.NewClock(nil), max: clockMax}
}

func (f *foreign) mint() version.Mint {
	return version.Mint{Actor: f.actor, Time: f.clock.Now(), Now: f.clock.WallMillis(), ClockMax: f.max}
}

func (f *foreign) put(t rapid.TB, value string) {
	next, _, _, err := f.cell.Put(f.mint(), version.Write{Value: []byte(value)})
	if err != nil {
		t.Fatal(err)
	}
	f.cell = next
}

func (f *foreign) incr(t rapid.TB, by int64) {
	next, _, _, err := f.cell.Increment(f.mint(), by)
	if err != nil {
		t.Fatal(err)
	}
	f.cell = next
}

// eachMode runs fn once a durability mode.
func eachMode(t *testing.T, fn func(t *testing.T, mode storage.Durability)) {
	for _, mode := range []storage.Durability{storage.Always, storage.One, storage.Interval} {
		t.Run(mode.String(), func(t *testing.T) { fn(t, mode) })
	}
}
