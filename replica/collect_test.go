package replica

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// inspect asks a running replica as a peer does.
func (g *rig) inspect(t rapid.TB, k Key) Inspected {
	t.Helper()
	r := g.ask(KindInspect, AppendInspect(nil, []Ask{{Key: k}}))
	if r.err != "" {
		t.Fatal(r.err)
	}
	found, err := DecodeInspected(r.body, 1)
	if err != nil {
		t.Fatal(err)
	}
	return found[0]
}

// collect asks for the cell of k with this digest to be dropped.
func (g *rig) collect(t rapid.TB, k Key, digest uint64) bool {
	t.Helper()
	r := g.ask(KindCollect, AppendCollect(nil, []Ask{{Key: k, Digest: digest}}))
	if r.err != "" {
		t.Fatal(r.err)
	}
	gone, err := DecodeCollected(r.body, 1)
	if err != nil {
		t.Fatal(err)
	}
	return gone[0]
}

func del(k Key) Update { return Update{Key: k, Change: Change{Kind: Delete}} }

// TestCollect: a cell goes only if it is the one that was agreed on, and has
// been dead for the margin. What was never there is gone.
func TestCollect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := startRig(t, storage.Options{}, Options{Lanes: 2})
		defer g.close()
		expiring := put(keyOf(2), "expiring")
		expiring.Change.Expiry = g.now() + 1000
		if _, err := g.update(put(keyOf(1), "live"), expiring, put(keyOf(3), "x"), del(keyOf(3)), put(keyOf(4), "4"), del(keyOf(4)), incr(keyOf(4), 1)); err != nil {
			t.Fatal(err)
		}
		// Of key 5 increments have survived a delete that had not seen them.
		f := newForeign(7, 0)
		f.incr(t, 1)
		deleted, _, _, err := f.cell.Put(newForeign(8, 0).mint(), version.Write{Tombstone: true, Context: &version.Context{Past: f.cell.Context().Past}})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.apply(KeyedCell{keyOf(5), deleted}); err != nil {
			t.Fatal(err)
		}
		try := func(k int) bool { return g.collect(t, keyOf(k), g.get(keyOf(k)).Digest()) }
		check := func(when string, dead, gone [7]bool) {
			t.Helper()
			for k := range dead {
				if d := g.inspect(t, keyOf(k)); d.Dead != dead[k] || d.Digest != g.get(keyOf(k)).Digest() {
					t.Errorf("%s: key %d is %+v", when, k, d)
				}
				if try(k) != gone[k] || gone[k] && g.get(keyOf(k)) != nil {
					t.Errorf("%s: key %d went: %v", when, k, !gone[k])
				}
			}
		}
		check("at once", [7]bool{0: true, 3: true, 6: true}, [7]bool{0: true, 3: true, 6: true})
		time.Sleep(time.Second)
		check("expired", [7]bool{0: true, 3: true, 6: true}, [7]bool{0: true, 3: true, 6: true})
		before := g.get(keyOf(2)).Digest()
		time.Sleep(ClockMargin)
		if g.collect(t, keyOf(2), before+1) || g.get(keyOf(2)) == nil {
			t.Error("another cell than the one agreed on was dropped")
		}
		check("later", [7]bool{0: true, 2: true, 3: true, 6: true}, [7]bool{0: true, 2: true, 3: true, 6: true})
		if len(g.get(keyOf(5)).Siblings(g.now())) != 1 || g.value(keyOf(4)) != "1" {
			t.Error("the test's counters are not alive")
		}
	})
}

// TestInspectHints: what is kept for others shows, and also that it has come or
// gone lately; a replica that has just begun knows nothing of that.
func TestInspectHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		g := startRig(t, storage.Options{FS: fs}, Options{Lanes: 2})
		k, other := keyOf(1), Key{Slot: keyOf(1).Slot, Key: []byte("neighbour")}
		expect := func(when string, k Key, hinted, recent bool) {
			t.Helper()
			if d := g.inspect(t, k); d.Hinted != hinted || d.Recent != recent {
				t.Errorf("%s: %+v", when, d)
			}
		}
		expect("at the start", k, false, true)
		time.Sleep(settleTime)
		expect("after a while", k, false, false)
		f := newForeign(7, 0)
		f.put(t, "v")
		if err := g.hint("n2", false, KeyedCell{k, f.cell}); err != nil {
			t.Fatal(err)
		}
		expect("hinted", k, true, true)
		expect("the slot", other, false, true)
		expect("another slot", keyOf(2), false, false)
		time.Sleep(settleTime)
		expect("hinted long ago", k, true, false)
		g.close()
		g = startRig(t, storage.Options{FS: fs}, Options{Lanes: 2})
		expect("restarted", k, true, true)
		time.Sleep(settleTime)
		expect("restarted a while ago", k, true, false)
		if n, err := g.drop("n2", KeyedCell{k, f.cell}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		expect("delivered", k, false, true)
		time.Sleep(settleTime)
		expect("delivered long ago", k, false, false)
		g.close()
	})
}

// TestRecentWithinGroup: a hint that comes or goes shows to what follows in the
// same group, and also from when the disk has taken it, however late that is.
func TestRecentWithinGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := startRig(t, storage.Options{}, Options{})
		k := keyOf(1)
		f := newForeign(7, 0)
		f.put(t, "v")
		behind := func(what string, queue func(done func(error))) {
			t.Helper()
			resume := g.pause(Options{})
			time.Sleep(settleTime)
			ended := make(chan error, 2)
			end := func(err error) { ended <- err }
			queue(end)
			b := &InspectBatch{Asks: []Ask{{Key: k}}, Done: end}
			g.Inspect(b)
			resume()
			if err := errors.Join(<-ended, <-ended); err != nil || !b.Found[0].Recent || g.Stats().Groups != 1 {
				t.Errorf("%s: %v, %+v in %d groups", what, err, b.Found[0], g.Stats().Groups)
			}
		}
		cells := []KeyedCell{{k, f.cell}}
		behind("a hint", func(done func(error)) { g.Apply(&ApplyBatch{Cells: cells, For: "n2", Done: done}) })
		behind("a drop", func(done func(error)) { g.Drop(&DropBatch{Cells: cells, For: "n2", Done: done}) })

		resume := g.pause(Options{})
		group := group{r: g.Replica, index: map[uint64]int32{}, floors: map[uint16]uint64{}}
		group.begin()
		o := g.hints.owner("n2")
		if err := group.merge(o, g.cache.key(o.appendRow(nil, &k)), &cells[0]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(settleTime) // the disk takes its time
		group.shut(true)
		if !g.hints.recent(k.Slot, g.Uptime()) {
			t.Error("stored just now, but not recently")
		}
		resume()
		g.close()
	})
}

// TestInspectWaits: the answer is behind all that was queued before, in the same
// group too.
func TestInspectWaits(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	k := keyOf(1)
	f := newForeign(7, 0)
	f.put(t, "v")
	resume := g.pause(Options{})
	ended := make(chan error, 3)
	end := func(err error) { ended <- err }
	first, last := &InspectBatch{Asks: []Ask{{Key: k}}, Done: end}, &InspectBatch{Asks: []Ask{{Key: k}}, Done: end}
	collect := &CollectBatch{Asks: []Ask{{Key: k}}, Done: end}
	g.Inspect(first)
	g.Apply(&ApplyBatch{Cells: []KeyedCell{{k, f.cell}}})
	g.Apply(&ApplyBatch{Cells: []KeyedCell{{k, f.cell}}, For: "n2"})
	g.Collect(collect)
	g.Inspect(last)
	resume()
	if err := errors.Join(<-ended, <-ended, <-ended); err != nil {
		t.Fatal(err)
	}
	if d := first.Found[0]; d.Digest != 0 || !d.Dead || d.Hinted {
		t.Errorf("before: %+v", d)
	}
	if d := last.Found[0]; d.Digest != f.cell.Digest() || d.Dead || !d.Hinted {
		t.Errorf("after: %+v", d)
	}
	if collect.Collected[0] || g.Stats().Groups != 1 {
		t.Errorf("collected: %v, groups: %d", collect.Collected, g.Stats().Groups)
	}
	g.close()
}

// TestDroppedFloor: counters go on above those of cells that went, over stops,
// without a new incarnation: only increments need one.
func TestDroppedFloor(t *testing.T) {
	fs := vfs.NewMem()
	g := startRig(t, storage.Options{FS: fs}, Options{})
	k := keyOf(1)
	ops, err := g.update(put(k, "1"), put(k, "2"), del(k))
	if err != nil {
		t.Fatal(err)
	}
	actor := g.store.Actor()
	if !g.collect(t, k, ops[2].Next.Digest()) || g.get(k) != nil {
		t.Fatal("not collected")
	}
	again, err := g.update(put(k, "4"))
	if err != nil || again[0].Dot != (version.Dot{Actor: actor, Counter: 4}) {
		t.Errorf("dot %v, %v", again[0].Dot, err)
	}
	if n, err := g.drop("", KeyedCell{k, again[0].Next}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	g.close()
	g = startRig(t, storage.Options{FS: fs}, Options{})
	defer g.close()
	again, err = g.update(put(k, "5"))
	if err != nil || again[0].Dot != (version.Dot{Actor: actor, Counter: 5}) {
		t.Errorf("after a restart: dot %v, %v", again[0].Dot, err)
	}
}

// TestHintsRaiseNoFloor: a cell that is kept for another node and forgets this
// one's counters says nothing about this replica's.
func TestHintsRaiseNoFloor(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	defer g.close()
	k := keyOf(1)
	ops, err := g.update(put(k, "1"), put(k, "2"))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.hint("n2", false, KeyedCell{k, ops[1].Next}); err != nil {
		t.Fatal(err)
	}
	if n, err := g.drop("n2", KeyedCell{k, ops[1].Next}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if floor := g.store.Floor(k.Slot); floor != 0 {
		t.Errorf("a floor of %d", floor)
	}
}

// TestDroppedCellsNeverRepeat (law 3): whatever is dropped, collected and lost in
// crashes, no dot and no count of increments is minted twice, and another node
// that has been sent everything adds up to every increment ever acknowledged.
func TestDroppedCellsNeverRepeat(t *testing.T) {
	dropped, raised := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewCrashableMem()
		so := storage.Options{FS: fs, Durability: storage.Durability(rapid.IntRange(0, 2).Draw(t, "mode"))}
		o := Options{Lanes: rapid.IntRange(1, 2).Draw(t, "lanes")}
		g := startRig(t, so, o)
		defer func() { g.close() }()
		var others [2]*version.Cell // all that was ever written, elsewhere
		var sums [2]int64
		minted := map[string]bool{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			i := rapid.IntRange(0, 1).Draw(t, "key")
			k := Key{Slot: 5, Key: fmt.Append(nil, i)} // in one slot, with one floor
			switch rapid.IntRange(0, 9).Draw(t, "do") {
			case 0, 1, 2, 3:
				u := incr(k, rapid.Int64Range(1, 9).Draw(t, "by"))
				ops, err := g.update(u)
				if err = errors.Join(err, ops[0].Err); err != nil {
					t.Fatal(err)
				}
				sums[i] += u.Change.By
				others[i] = version.Merge(others[i], ops[0].Delta)
				name := fmt.Sprint(i, ops[0].Dot)
				if minted[name] {
					t.Fatalf("count %v of key %d again", ops[0].Dot, i)
				}
				minted[name] = true
			case 4, 5, 6:
				c := g.get(k)
				if c == nil {
					continue
				}
				before := g.store.Actor()
				if n, err := g.drop("", KeyedCell{k, c}); n != 1 || err != nil {
					t.Fatalf("%d dropped, %v", n, err)
				}
				dropped++
				if g.store.Actor() != before {
					raised++
				}
			case 7:
				if err := g.apply(KeyedCell{k, others[i]}); others[i] != nil && err != nil {
					t.Fatal(err)
				}
			case 8:
				g.close()
				g = startRig(t, so, o)
			case 9:
				clone := fs.CrashClone(vfs.CrashCloneCfg{})
				g.close()
				fs, so.FS = clone, clone
				g = startRig(t, so, o)
			}
		}
		for i, c := range others {
			if s, ok := c.Winner(g.now()); ok && string(s.Value) != fmt.Sprint(sums[i]) {
				t.Fatalf("key %d is %s elsewhere, want %d: %v", i, s.Value, sums[i], c)
			}
		}
	})
	if dropped == 0 || raised == 0 {
		t.Errorf("%d cells dropped, %d times with increments: nothing was tested", dropped, raised)
	}
}
