package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// scanned leaves, made anew and apart from the code under test.
func scanLeaves(t rapid.TB, store *storage.Store) map[uint16]leafSums {
	t.Helper()
	all := map[uint16]leafSums{}
	from, to := rowRange(0, storage.Slots-1)
	err := store.Scan(context.Background(), from, to, 0, func(row, value []byte, _ error) (bool, error) {
		slot, _, _, err := storage.ParseRow(row)
		if err != nil {
			return false, err
		}
		cell, err := version.DecodeCell(value)
		if err != nil || cell == nil {
			return true, nil // as good as absent
		}
		s, h := all[slot], xxhash.Sum64(row)
		item := binary.LittleEndian.AppendUint64(nil, h)
		item = binary.LittleEndian.AppendUint64(item, cell.Digest())
		s.hash[h%16] ^= xxhash.Sum64(item) >> 16
		s.cells++
		lasting := 0
		for _, v := range cell.Versions {
			if v.Flags&version.Tombstone == 0 && v.Expiry == 0 {
				lasting++
			}
		}
		if lasting == 0 && len(cell.Versions) > 0 {
			s.mortal++
		}
		all[slot] = s
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// checkLeaves compares what is kept with what the rows say.
func (g *rig) checkLeaves() { g.t.Helper(); g.compareLeaves(true) }

// compareLeaves is checkLeaves, of slots that hold something or should, or all.
func (g *rig) compareLeaves(all bool) {
	g.t.Helper()
	if g.store.Err() != nil {
		return
	}
	want := scanLeaves(g.t, g.store)
	for slot := range g.leaves.slots {
		if _, ok := want[uint16(slot)]; !ok && !all && g.leaves.slots[slot].cells.Load() == 0 {
			continue
		}
		if got := g.leaves.sums(uint16(slot)); got != want[uint16(slot)] {
			g.t.Errorf("slot %d: kept %x, its rows say %x", slot, got, want[uint16(slot)])
			return
		}
	}
}

// remove drops a cell of the replica's own, if there is one.
func (g *rig) remove(k Key) {
	g.t.Helper()
	cell := g.get(k)
	if cell == nil {
		return
	}
	if _, err := g.drop("", KeyedCell{k, cell}); err != nil {
		g.t.Fatal(err)
	}
}

// life is a replica under random work, stopped, crashed and started again with
// other numbers of lanes.
type life struct {
	t  *rapid.T
	g  *rig
	fs *vfs.MemFS
	so storage.Options
}

func lifeKey(i int) Key {
	return Key{Slot: uint16(i % 3), Key: fmt.Appendf(nil, "k%d", i), Field: make([]byte, i%2)}
}

func (l *life) start() {
	l.so.FS = l.fs
	l.g = startRig(l.t, l.so, Options{Lanes: rapid.IntRange(1, 3).Draw(l.t, "lanes")})
	l.g.compareLeaves(false)
}

func (l *life) step() {
	t, g := l.t, l.g
	i := rapid.IntRange(0, 9).Draw(t, "key")
	k := lifeKey(i)
	switch rapid.IntRange(0, 9).Draw(t, "do") {
	case 0, 1:
		l.update(put(k, "v"), put(lifeKey(i+1), "w"))
	case 2:
		l.update(incr(k, 1))
	case 3:
		l.update(Update{Key: k, Change: Change{Kind: Delete}})
	case 4:
		u := put(k, "expires")
		u.Change.Expiry = 1
		l.update(u)
	case 5, 6:
		f := newForeign(7, 0)
		f.cell = g.get(k)
		f.put(t, "theirs")
		cells := []KeyedCell{{k, f.cell}, {lifeKey(i + 1), f.cell}}
		if err := errors.Join(g.apply(cells...), g.hint("n9", false, cells...)); err != nil {
			t.Fatal(err)
		}
	case 7:
		g.remove(k)
	case 8:
		l.checkpoint()
	case 9:
		var work sync.WaitGroup
		work.Go(func() { _ = g.checkpoint() })
		for range 5 {
			l.update(put(k, "beside a checkpoint"), put(lifeKey(i+1), "likewise"))
		}
		work.Wait()
	}
}

func (l *life) update(ops ...Update) {
	if _, err := l.g.update(ops...); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) checkpoint() {
	if err := l.g.checkpoint(); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) stop() {
	clone := l.fs.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: rapid.SampledFrom([]int{0, 30, 100}).Draw(l.t, "percent"), RNG: rand.New(rand.NewPCG(1, 2)),
	})
	l.g.close()
	if rapid.Bool().Draw(l.t, "crash") {
		l.fs = clone
	}
}

// TestLeavesAreWhatTheRowsSay, after any life: of writes, merges and drops,
// with checkpoints at any moment, over clean stops and crashes that lose what
// was not synced, with other numbers of lanes.
func TestLeavesAreWhatTheRowsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &life{t: t, fs: vfs.NewCrashableMem()}
		l.so.Durability = storage.Durability(rapid.IntRange(0, 2).Draw(t, "mode"))
		for range rapid.IntRange(1, 4).Draw(t, "lives") {
			l.start()
			for range rapid.IntRange(0, 12).Draw(t, "steps") {
				l.step()
			}
			l.stop()
		}
		l.start()
		l.g.checkLeaves()
		l.g.close()
	})
}

// TestLeavesAgree: replicas with the same cells have the same hashes, whatever
// the order in which the cells came and what was there in between; any
// difference shows in the slot, in its leaf and nowhere else.
func TestLeavesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := startRig(t, storage.Options{}, Options{Lanes: 1}), startRig(t, storage.Options{}, Options{Lanes: 2})
		defer a.close()
		defer b.close()
		var cells []KeyedCell
		for i := range rapid.IntRange(1, 8).Draw(t, "writers") {
			f := newForeign(uint64(i+7), 0)
			for range rapid.IntRange(1, 3).Draw(t, "writes") { // two writers to a key
				if f.put(t, "1"); rapid.Bool().Draw(t, "incr") {
					f.incr(t, 1)
				}
				cells = append(cells, KeyedCell{lifeKey(i / 2), f.cell})
			}
		}
		for _, g := range []*rig{a, b} {
			for _, kc := range rapid.Permutation(cells).Draw(t, "order") {
				if err := g.apply(kc); err != nil {
					t.Fatal(err)
				}
			}
		}
		if a.RangeHash(0, 99) != b.RangeHash(0, 99) {
			t.Fatal("replicas of the same cells differ")
		}
		for slot := range uint16(4) {
			if a.SlotHash(slot) != b.SlotHash(slot) || a.Leaves(slot) != b.Leaves(slot) || a.Slot(slot).Cells != b.Slot(slot).Cells {
				t.Fatalf("slot %d differs", slot)
			}
			if (a.SlotHash(slot) == 0) != (a.Slot(slot).Cells == 0) {
				t.Fatalf("slot %d with %d cells has hash %x", slot, a.Slot(slot).Cells, a.SlotHash(slot))
			}
		}
		k := lifeKey(rapid.IntRange(0, 4).Draw(t, "changed"))
		if rapid.Bool().Draw(t, "dropped") && b.get(k) != nil {
			b.remove(k)
		} else if _, err := b.update(put(k, "more")); err != nil {
			t.Fatal(err)
		}
		for slot := range uint16(4) {
			differ := 0
			was, is := a.Leaves(slot), b.Leaves(slot)
			for leaf := range was {
				differ += int(count(was[leaf] != is[leaf]))
			}
			if differ != int(count(slot == k.Slot)) || (a.SlotHash(slot) != b.SlotHash(slot)) != (slot == k.Slot) {
				t.Fatalf("%d leaves of slot %d differ after a change in slot %d", differ, slot, k.Slot)
			}
		}
		if a.RangeHash(0, 3) == b.RangeHash(0, 3) || a.RangeHash(3, 9) != 0 {
			t.Fatal("the hash over the range")
		}
	})
}

// TestLeafHash: what leaves are made of is the same in all versions of the
// program; where it changes, leavesFormat and its meaning on the wire do too.
func TestLeafHash(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	defer g.close()
	f := newForeign(7, 0)
	next, _, _, err := f.cell.Put(version.Mint{Actor: f.actor, Time: version.TimestampAt(1000), Now: 1000}, version.Write{Value: []byte("v")})
	if err != nil {
		t.Fatal(err)
	}
	k := Key{Slot: 12182, Key: []byte("foo")}
	if err := g.apply(KeyedCell{k, next}); err != nil {
		t.Fatal(err)
	}
	leaves := g.Leaves(k.Slot)
	if got := fmt.Sprintf("%x", leaves); got != "[0 0 0 0 0 0 0 1ac621be1312 0 0 0 0 0 0 0 0]" {
		t.Errorf("leaves %s", got)
	}
	if got := fmt.Sprintf("%x %x", g.SlotHash(k.Slot), g.RangeHash(12000, 13000)); got != "33a05208ad01bc63 b3c7b37819eb1796" {
		t.Errorf("hashes %s", got)
	}
}

// TestDropKeepsFloor: a dropped cell is gone, for readers too, and no dot of
// this node's comes again (law 3).
func TestDropKeepsFloor(t *testing.T) {
	fs := vfs.NewMem()
	g := startRig(t, storage.Options{FS: fs}, Options{})
	k := lifeKey(1)
	before, err := g.update(put(k, "1"), put(k, "2"))
	if err != nil {
		t.Fatal(err)
	}
	g.remove(k)
	if g.get(k) != nil || g.Slot(k.Slot).Cells != 0 {
		t.Error("the cell is still there")
	}
	g.close()
	g = startRig(t, storage.Options{FS: fs}, Options{})
	defer g.close()
	after, err := g.update(put(k, "3"))
	if err != nil || after[0].Dot.Counter <= before[1].Dot.Counter {
		t.Errorf("dot %v after %v, %v", after[0].Dot, before[1].Dot, err)
	}
}
