package antientropy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// startCollect starts nodes that all collect.
func startCollect(t *testing.T, nodes int, test func(t *testing.T, o *owners, by map[string]*Collect)) {
	synctest.Test(t, func(t *testing.T) {
		o := startOwners(t, nodes)
		defer o.close()
		by := map[string]*Collect{}
		for _, m := range o.nodes {
			c := NewCollect(CollectOptions{Self: m.name, Clock: m.clock}, m.Replica, m.peers, o)
			by[m.name] = c
			defer background(c.Run)()
		}
		time.Sleep(collectAfter + time.Second) // all have been up for long enough
		test(t, o, by)
	})
}

// cells returns how many cells there are on all nodes that run.
func (o *owners) cells() (n int) {
	for _, m := range o.nodes {
		for slot := range uint16(storage.Slots) {
			if m.stop != nil {
				n += int(m.Slot(slot).Cells)
			}
		}
	}
	return n
}

// everywhere has all owners of a key hold a cell.
func (o *owners) everywhere(k replica.Key, c *version.Cell) {
	for _, name := range o.View().Ring.Lookup(k.Slot).Owners {
		if m := o.node(name); m.stop != nil {
			m.put(replica.KeyedCell{Key: k, Cell: c})
		}
	}
}

// bury has all owners of n keys hold tombstones.
func (o *owners) bury(n int) {
	w := newMinter(101)
	for i := range n {
		c := w.write(o.t, nil, version.Write{Value: []byte("v")})
		o.everywhere(testKey(i), w.write(o.t, c, version.Write{Tombstone: true}))
	}
}

func collected(by map[string]*Collect) (n uint64) {
	for _, c := range by {
		n += c.Status().Collected
	}
	return n
}

// collects waits until so many cells were collected, for so long at most.
func collects(by map[string]*Collect, cells uint64, within time.Duration) {
	for end := time.Now().Add(within); collected(by) < cells && time.Now().Before(end); {
		time.Sleep(time.Second)
	}
	time.Sleep(time.Second) // for what goes with it
}

// heldUpFor is long enough for several certificates, if nothing held them up.
const heldUpFor = 4 * collectAfter

func heldUp(by map[string]*Collect) (all string) {
	for _, c := range by {
		all += c.Status().HeldUp
	}
	return all
}

// What is dead everywhere goes, from everywhere, and not before the time after
// which nothing older can come. What is alive stays.
func TestDeadCellsAreCollected(t *testing.T) {
	startCollect(t, 4, func(t *testing.T, o *owners, by map[string]*Collect) {
		const keys, alive = 4 * batchCells, 50
		w := newMinter(102)
		for i := range alive {
			o.everywhere(testKey(keys+i), w.write(t, nil, version.Write{Value: []byte("v")}))
		}
		o.bury(keys)
		time.Sleep(collectAfter)
		if collected(by) > 0 || o.cells() != 3*(keys+alive) {
			t.Fatalf("%d cells were collected at once", collected(by))
		}
		waiting := 0
		for _, c := range by {
			waiting += c.Status().Waiting
		}
		if waiting != keys {
			t.Errorf("%d cells wait, want %d", waiting, keys)
		}
		time.Sleep(5 * time.Second)
		if collected(by) != keys || o.cells() != 3*alive {
			t.Errorf("%d of %d dead cells were collected, %d copies of %d cells are left", collected(by), keys, o.cells(), alive)
		}
		if s := heldUp(by); s != "" {
			t.Errorf("held up: %s", s)
		}
	})
}

func expiredCells(by map[string]*Collect) (n uint64) {
	for _, c := range by {
		n += c.Status().Expired
	}
	return n
}

// Expired versions are as dead as deleted ones, a while after they expired: the
// nodes' clocks need not agree.
func TestExpiredCellsAreCollected(t *testing.T) {
	startCollect(t, 3, func(t *testing.T, o *owners, by map[string]*Collect) {
		at := time.Now().Add(20 * time.Second)
		o.everywhere(testKey(1), newMinter(101).write(t, nil, version.Write{Value: []byte("v"), Expiry: at.UnixMilli()}))
		time.Sleep(time.Until(at) + replica.ClockMargin - time.Second)
		if s := by[o.View().Ring.Lookup(testKey(1).Slot).Owners[0]].Status(); s.Waiting > 0 {
			t.Error("it counts as dead as soon as it has expired")
		}
		collects(by, 1, collectAfter+time.Minute)
		if collected(by) != 1 || o.cells() > 0 {
			t.Errorf("%d cells were collected, %d are left", collected(by), o.cells())
		}
		if n := expiredCells(by); n != 1 {
			t.Errorf("%d of one cell had expired", n)
		}
		o.bury(5)
		collects(by, 6, collectAfter+time.Minute)
		if collected(by) != 6 || expiredCells(by) != 1 {
			t.Errorf("of %d cells that are gone %d had expired, want 6 and 1", collected(by), expiredCells(by))
		}
	})
}

// A member that is away holds everything up, and is named, whether or not it
// owns any of it. When it is back, it takes the time that it takes.
func TestCollectionWaitsForEveryMember(t *testing.T) {
	startCollect(t, 4, func(t *testing.T, o *owners, by map[string]*Collect) {
		o.node("n4").halt()
		time.Sleep(time.Second)
		since := time.Now()
		o.bury(100)
		time.Sleep(heldUpFor)
		if collected(by) > 0 {
			t.Fatalf("%d cells were collected without n4", collected(by))
		}
		why := by["n1"].Status().HeldUp
		if !strings.Contains(why, "n4 cannot be reached (since ") || !strings.Contains(why, since.UTC().Format("T15:04")) {
			t.Errorf("held up by %q", why)
		}
		o.node("n4").start()
		by["n4"] = NewCollect(CollectOptions{Self: "n4", Clock: o.node("n4").clock}, o.node("n4").Replica, o.node("n4").peers, o)
		defer background(by["n4"].Run)()
		time.Sleep(collectAfter - time.Second)
		if collected(by) > 0 {
			t.Error("cells were collected before n4 could tell what it had lately")
		}
		collects(by, 100, 3*time.Minute)
		if collected(by) != 100 || o.cells() > 0 || heldUp(by) != "" {
			t.Errorf("%d cells were collected, %d are left, held up: %q", collected(by), o.cells(), heldUp(by))
		}
	})
}

// A hint of the cell, at anybody and for anybody, holds it up, and so does a
// copy of it where it does not belong. Other cells go.
func TestCollectionWaitsForHints(t *testing.T) {
	startCollect(t, 4, func(t *testing.T, o *owners, by map[string]*Collect) {
		k := o.keysOf(1, func(p *preference) bool { return slices.Contains(p.fallbacks, "n4") })[0]
		w := newMinter(101)
		old := w.write(t, nil, version.Write{Value: []byte("v")})
		cell := replica.KeyedCell{Key: k, Cell: w.write(t, old, version.Write{Tombstone: true})}
		o.everywhere(k, cell.Cell)
		hint := []replica.KeyedCell{{Key: k, Cell: old}}
		n4 := o.node("n4")
		n4.keep("n1", hint...)
		time.Sleep(heldUpFor)
		if collected(by) > 0 {
			t.Fatal("the tombstone is gone, and a hint is there that it is newer than")
		}
		if err := dropCells(t.Context(), n4, "n1", hint); err != nil {
			t.Fatal(err)
		}
		n4.put(cell)
		time.Sleep(heldUpFor)
		if collected(by) > 0 {
			t.Fatal("the tombstone is gone, and is where it does not belong")
		}
		if err := dropCells(t.Context(), n4, "", []replica.KeyedCell{cell}); err != nil {
			t.Fatal(err)
		}
		collects(by, 1, findAgainMax+2*collectAfter+10*time.Second)
		if collected(by) != 1 || o.cells() > 0 {
			t.Errorf("%d cells were collected, %d are left", collected(by), o.cells())
		}
	})
}

// If the ring changes, everything begins anew, with the new member asked too.
func TestCollectionBeginsAnewWithANewRing(t *testing.T) {
	startCollect(t, 3, func(t *testing.T, o *owners, by map[string]*Collect) {
		o.bury(50)
		time.Sleep(collectAfter - time.Second)
		o.join()
		o.allReady() // it has announced itself, and does not run
		time.Sleep(time.Minute)
		if collected(by) > 0 {
			t.Fatalf("%d cells were collected by an old ring", collected(by))
		}
		if why := heldUp(by); !strings.Contains(why, "n4 cannot be reached") {
			t.Errorf("held up: %q", why)
		}
	})
}

// Many dead cells in one slot are more than one certificate's, and more than
// one page's.
func TestCollectionOfOneFullSlot(t *testing.T) {
	startCollect(t, 3, func(t *testing.T, o *owners, by map[string]*Collect) {
		const keys = 3 * batchCells
		w := newMinter(101)
		for i := range keys {
			k := replica.Key{Key: fmt.Appendf(nil, "{tag}:%d", i)}
			k.Slot = ring.Slot(k.Key)
			write := version.Write{Tombstone: true}
			if i%3 == 0 {
				write = version.Write{Value: []byte("alive")}
			}
			o.everywhere(k, w.write(t, nil, write))
		}
		time.Sleep(collectAfter + 5*time.Second)
		if collected(by) != keys/3*2 || o.cells() != keys {
			t.Errorf("%d cells were collected, want %d; %d copies are left, want %d", collected(by), keys/3*2, o.cells(), keys)
		}
	})
}

// While the cluster's clock stands still, because a wall clock was set back,
// the age of a message cannot be told: nothing is certified a second time.
func TestCollectionWaitsForTheClock(t *testing.T) {
	c := newCollection()
	cells := []candidate{{Key: testKey(1), Digest: 7}}
	c.add(cells, moment{up: time.Minute, clock: 1000})
	late := time.Minute + collectAfter
	for _, at := range []struct {
		moment
		ok, stuck bool
	}{
		{moment{late - 1, 1000 + collectAfter.Milliseconds()}, false, false},
		{moment{late, 999 + collectAfter.Milliseconds()}, false, true},
		{moment{late, 1000 + collectAfter.Milliseconds()}, true, false},
	} {
		if _, ok, stuck := c.due(at.moment); ok != at.ok || stuck != at.stuck {
			t.Errorf("at %v: due %v, stuck %v", at.moment, ok, stuck)
		}
	}
}
