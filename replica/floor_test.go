package replica

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// forgetful returns two successors of c by others with room for one pair in
// their clocks. The second has replaced the first, and forgotten actor.
func forgetful(t *testing.T, c *version.Cell, actor version.Actor) (first, second *version.Cell) {
	a, b := newForeign(7, 1), newForeign(8, 1)
	a.cell = c
	a.put(t, "a")
	b.cell = a.cell
	b.put(t, "b")
	if b.cell.Highest(actor) != 0 {
		t.Fatal("the clock was not cut as the test needs it")
	}
	return a.cell, b.cell
}

// TestFloor lets the clocks of others forget this actor: its counters go on
// where they were all the same, over a clean stop too.
func TestFloor(t *testing.T) {
	fs := vfs.NewMem()
	g := startRig(t, storage.Options{FS: fs}, Options{})
	k := keyOf(1)
	var last version.Dot
	for range 5 {
		ops, err := g.update(put(k, "mine"))
		if err != nil {
			t.Fatal(err)
		}
		last = ops[0].Dot
	}
	first, second := forgetful(t, g.get(k), g.store.Actor())
	if err := g.apply(KeyedCell{k, first}, KeyedCell{k, second}); err != nil {
		t.Fatal(err)
	}
	if c := g.get(k); c.Highest(g.store.Actor()) != 0 {
		t.Fatalf("the cell still shows this actor: %v", c)
	}
	if floor := g.store.Floor(k.Slot); floor < last.Counter {
		t.Fatalf("the floor is %d after dot %v", floor, last)
	}
	g.close()

	g = startRig(t, storage.Options{FS: fs}, Options{})
	defer g.close()
	if g.store.Actor() != last.Actor {
		t.Fatal("a clean stop has changed the actor")
	}
	ops, err := g.update(put(k, "again"), incr(Key{Slot: k.Slot, Key: []byte("other")}, 1))
	if err != nil {
		t.Fatal(err)
	}
	if d := ops[0].Dot; d.Counter <= last.Counter {
		t.Errorf("dot %v after %v", d, last)
	}
	if d := ops[1].Dot; d.Counter <= last.Counter {
		t.Errorf("a count of increments begins at %d in a slot with a floor of %d", d.Counter, last.Counter)
	}
}

// TestFloorWithinGroup: the same in one group, where the store's floor has not
// risen yet when the next dot is minted.
func TestFloorWithinGroup(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	k := keyOf(1)
	before, err := g.update(put(k, "mine"), put(k, "mine"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := forgetful(t, g.get(k), g.store.Actor())
	resume := g.pause(Options{})
	merged := make(chan error, 1)
	g.Apply(&ApplyBatch{Cells: []KeyedCell{{k, first}, {k, second}}, Done: func(err error) { merged <- err }})
	b, wait := waited([]Update{put(k, "again")})
	g.Update(b)
	resume()
	if err := errors.Join(<-merged, wait()); err != nil {
		t.Fatal(err)
	}
	if last, d := before[1].Dot, b.Ops[0].Dot; d.Counter <= last.Counter || g.Stats().Groups != 1 {
		t.Errorf("dot %v after %v, in %d groups", d, last, g.Stats().Groups)
	}
	g.close()
}

// history is a random life of a few keys: written here and by two others whose
// clocks are cut, exchanged, stopped, crashed.
type history struct {
	t       *rapid.T
	g       *rig
	fs      *vfs.MemFS
	so      storage.Options
	o       Options
	others  [2]map[int]*foreign // by key
	minted  map[string]bool     // key and dot
	sank    bool
	crashed bool
}

func (h *history) step() {
	k := rapid.IntRange(0, 1).Draw(h.t, "key")
	f := h.others[rapid.IntRange(0, 1).Draw(h.t, "other")][k]
	key := keyOf(k)
	switch rapid.IntRange(0, 9).Draw(h.t, "do") {
	case 0, 1:
		h.write(k, put(key, "mine"))
	case 2:
		h.write(k, incr(key, 1))
	case 3:
		u := put(key, "with a context")
		x := f.cell.Context()
		u.Change.Context = &x
		h.write(k, u)
	case 4, 5:
		f.put(h.t, "5")
	default: // read, sometimes write, hand over: two others in turn make us forgotten
		f.cell = version.Merge(f.cell, h.g.get(key))
		if rapid.Bool().Draw(h.t, "write") {
			f.put(h.t, "6")
		}
		if f.cell == nil {
			return
		}
		before := h.g.get(key).Highest(h.g.store.Actor())
		if err := h.g.apply(KeyedCell{key, f.cell}); err != nil {
			h.t.Fatal(err)
		}
		h.sank = h.sank || h.g.get(key).Highest(h.g.store.Actor()) < before
	}
}

// write also hands the result to the other nodes, sometimes, before the disk
// has it for certain: the dots that a crash forgets here live on there.
func (h *history) write(k int, u Update) {
	spread := rapid.IntRange(0, 2).Draw(h.t, "spread")
	b, wait := waited([]Update{u})
	applied := b.Applied
	b.Applied = func() {
		applied()
		if u := &b.Ops[0]; u.Err == nil && spread < 2 {
			f := h.others[spread][k]
			f.cell = version.Merge(f.cell, u.Delta)
		}
	}
	h.g.Update(b)
	if err := wait(); err != nil {
		h.t.Fatal(err)
	}
	if b.Ops[0].Err != nil {
		return
	}
	// A put and an increment have names of their own.
	name := fmt.Sprint(k, u.Change.Kind, b.Ops[0].Dot)
	if h.minted[name] {
		h.t.Fatalf("%s was minted twice", name)
	}
	h.minted[name] = true
}

// restart stops the node, cleanly or by a crash that takes what is not synced.
func (h *history) restart(crash bool) {
	if crash {
		h.crashed = true
		clone := h.fs.CrashClone(vfs.CrashCloneCfg{})
		h.g.close()
		h.fs, h.so.FS = clone, clone
	} else {
		h.g.close()
	}
	h.g = startRig(h.t, h.so, h.o)
}

// TestDotsNeverRepeat (law 3), whatever others forget and the disk loses.
func TestDotsNeverRepeat(t *testing.T) {
	sank, crashed := false, false
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewCrashableMem()
		h := &history{t: t, fs: fs, minted: map[string]bool{},
			so: storage.Options{FS: fs, Durability: storage.Durability(rapid.IntRange(0, 2).Draw(t, "mode"))},
			o:  Options{ClockMax: rapid.SampledFrom([]int{1, 2, 10}).Draw(t, "clock-max")},
		}
		for i := range h.others {
			h.others[i] = map[int]*foreign{0: newForeign(uint64(i+7), 1), 1: newForeign(uint64(i+7), 2)}
		}
		h.g = startRig(t, h.so, h.o)
		defer func() { h.g.close() }()
		for range rapid.IntRange(0, 3).Draw(t, "lives") {
			for range rapid.IntRange(1, 20).Draw(t, "steps") {
				h.step()
			}
			h.restart(rapid.Bool().Draw(t, "crash"))
		}
		sank, crashed = sank || h.sank, crashed || h.crashed
	})
	if !sank || !crashed {
		t.Errorf("counters sank: %v, crashed: %v: nothing was tested", sank, crashed)
	}
}
