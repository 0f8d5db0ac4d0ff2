package replica

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/storagetest"
	"github.com/dynaring/dynaring/storage/version"
)

// damaged returns a replica over a store in which a bit of each row is not what
// was written, and which has nothing in its cache.
func damaged(t rapid.TB, fs vfs.FS, g *rig, rows ...[]byte) *rig {
	t.Helper()
	g.close()
	for i, row := range rows {
		if err := storagetest.Damage(fs, "data", row, 7+i); err != nil {
			t.Fatal(err)
		}
	}
	return startRig(t, storage.Options{FS: fs}, Options{})
}

func rowOf(k Key) []byte { return storage.AppendRow(nil, k.Slot, k.Key, k.Field) }

// A damaged row is an error to whoever reads or writes it, is told of once, and
// is nobody else's error.
func TestDamagedRowIsNotAbsent(t *testing.T) {
	fs := vfs.NewMem()
	g := startRig(t, storage.Options{FS: fs}, Options{})
	f := newForeign(7, 0)
	f.put(t, "theirs")
	k, other := inSlot(5, 1), inSlot(5, 2)
	if _, err := g.update(put(k, "v"), put(other, "w")); err != nil {
		t.Fatal(err)
	}
	g = damaged(t, fs, g, rowOf(k))
	defer func() { g.close() }()
	ctx := context.Background()
	_, errGet := g.Get(k)
	_, errHeld := g.Held(k)
	_, errScan := g.Scan(ctx, ScanRequest{First: 5, Last: 5})
	_, errCount := g.Count(ctx, CountRequest{Ranges: []SlotRange{{5, 5}}, Now: g.now()})
	ops, err := g.update(put(k, "new"), incr(k, 1), put(other, "new"))
	errApply := g.apply(KeyedCell{k, f.cell})
	_, errDrop := g.drop("", KeyedCell{k, f.cell})
	for what, err := range map[string]error{
		"get": errGet, "held": errHeld, "scan": errScan, "count": errCount, "put": ops[0].Err, "incr": ops[1].Err,
		"apply": errApply, "drop": errDrop,
	} {
		if !errors.Is(err, storage.ErrDamaged) || !strings.Contains(err.Error(), `"k1"`) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err != nil || ops[2].Err != nil || g.value(other) != "new" {
		t.Errorf("its neighbour: %v, %v", err, ops[2].Err)
	}
	if l, err := g.List(ctx, 5, 1<<LeavesPerSlot-1, nil, 0); err != nil || len(l.Items) != 1 {
		t.Errorf("listed %+v, %v", l, err)
	}
	if s := g.DamageStats(); s != (DamageStats{Found: 1, Now: 1}) || !g.DamagedIn(5) || g.DamagedIn(6) {
		t.Errorf("%+v", s)
	}
	if a := g.store.Actor(); a.Inc != 0 {
		t.Errorf("nothing is lost yet, and it goes on as %v", a)
	}
	if _, err := g.Mend(ctx, []Remedy{{Slot: 5, Cells: []KeyedCell{{k, f.cell}}, Read: time.Now()}}); err != nil || g.value(k) != "theirs" {
		t.Errorf("mended: %v", err)
	}
	if s := g.DamageStats(); s != (DamageStats{Found: 1, Mended: 1}) || g.DamagedIn(5) {
		t.Errorf("%+v", s)
	}
	g.checkLeaves()
}

// No dot is used twice, whatever the others hold of what was damaged, and
// whatever was counted comes back as far as they know it.
func TestMendedRowsMintNewDots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewMem()
		g := startRig(t, storage.Options{FS: fs}, Options{})
		defer func() { g.close() }()
		k := inSlot(5, 1)
		used := map[version.Dot]bool{}
		write := func(what string) *version.Cell {
			u := put(k, what)
			if rapid.Bool().Draw(t, what+" counts") {
				u = incr(k, 1)
			}
			if c, err := g.Get(k); err == nil && u.Change.Kind == Incr && c != nil && g.value(k) != "(nil)" {
				u = put(k, what) // not a number
			}
			ops, err := g.update(u)
			if err != nil || ops[0].Err != nil {
				t.Fatal(err, ops[0].Err)
			}
			if u.Change.Kind == Put && used[ops[0].Dot] {
				t.Fatalf("%v is used again", ops[0].Dot)
			}
			used[ops[0].Dot] = true
			return ops[0].Next
		}
		var elsewhere *version.Cell // what has reached another owner
		for i := range rapid.IntRange(1, 4).Draw(t, "writes") {
			c := write(fmt.Sprint("before ", i))
			if rapid.Bool().Draw(t, "sent") {
				elsewhere = version.Merge(elsewhere, c)
			}
		}
		g = damaged(t, fs, g, rowOf(k))
		if _, err := g.Get(k); !isDamaged(err) {
			t.Fatal(err)
		}
		remedy := Remedy{Slot: 5, Read: time.Now(), Lost: []Key{k}}
		if elsewhere != nil {
			remedy.Lost, remedy.Cells = nil, []KeyedCell{{k, elsewhere}}
		}
		if _, err := g.Mend(context.Background(), []Remedy{remedy}); err != nil {
			t.Fatal(err)
		}
		if _, err := g.Get(k); isDamaged(err) != (elsewhere == nil) {
			t.Fatal(err)
		}
		after := write("after")
		if merged := version.Merge(elsewhere, after); merged.Digest() != after.Digest() {
			t.Fatal("what came back was not seen by the write after it")
		}
		g.checkLeaves()
	})
}

// A cell that nobody holds stays an error to readers until it is written anew,
// and holds up nothing else.
func TestLostCell(t *testing.T) {
	fs := vfs.NewMem()
	g := startRig(t, storage.Options{FS: fs}, Options{})
	k, other := inSlot(5, 1), inSlot(5, 2)
	if _, err := g.update(put(k, "v"), put(other, "w")); err != nil {
		t.Fatal(err)
	}
	g = damaged(t, fs, g, rowOf(k))
	defer func() { g.close() }()
	ctx := context.Background()
	if s := g.scrub(5); s.RowsDamaged != 1 || s.RowsMended != 0 {
		t.Fatalf("%+v", s)
	}
	if n, err := g.Mend(ctx, []Remedy{{Slot: 5, Lost: []Key{k}, Read: time.Now()}}); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := g.Get(k); !isDamaged(err) {
		t.Errorf("read: %v", err)
	}
	page, err := g.Scan(ctx, ScanRequest{First: 5, Last: 5})
	n, errCount := g.Count(ctx, CountRequest{Ranges: []SlotRange{{5, 5}}, Now: g.now()})
	if err != nil || errCount != nil || len(page.Cells) != 1 || n[0].Live != 1 {
		t.Errorf("%d cells, %v; %d keys, %v", len(page.Cells), err, n, errCount)
	}
	if s := g.DamageStats(); s != (DamageStats{Found: 1, Lost: 1}) || g.DamagedIn(5) {
		t.Errorf("%+v", s)
	}
	g.checkLeaves()
	ops, err := g.update(put(k, "new"))
	if err != nil || ops[0].Err != nil || g.value(k) != "new" || ops[0].Dot.Actor.Inc == 0 {
		t.Errorf("written anew: %+v, %v", ops[0], err)
	}
	if s := g.DamageStats(); s != (DamageStats{Found: 1}) {
		t.Errorf("%+v", s)
	}
	g.checkLeaves()
	g = damaged(t, fs, g, rowOf(k))
	if ops, err := g.update(put(k, "again")); err != nil || !isDamaged(ops[0].Err) {
		t.Errorf("once lost is not lost for ever: %+v, %v", ops[0], err)
	}
	g.scrub(5)
}

// What was read too long ago is not put back: it may have been dropped since.
func TestMendIsStale(t *testing.T) {
	fs := vfs.NewMem()
	g := startRig(t, storage.Options{FS: fs}, Options{})
	k := inSlot(5, 1)
	ops, err := g.update(put(k, "v"))
	if err != nil {
		t.Fatal(err)
	}
	g = damaged(t, fs, g, rowOf(k))
	defer g.close()
	old := Remedy{Slot: 5, Cells: []KeyedCell{{k, ops[0].Next}}, Read: time.Now().Add(-2 * OpLifetime)}
	if n, err := g.Mend(context.Background(), []Remedy{old}); n != 0 || !errors.Is(err, ErrStale) {
		t.Errorf("%d mended, %v", n, err)
	}
	if _, err := g.Get(k); !isDamaged(err) {
		t.Errorf("read: %v", err)
	}
	g.scrub(5) // which takes it out of its leaf
}

// A damaged hint goes, its owner is marked, and all other hints are as they were,
// whether a start finds it or who reads it.
func TestDamagedHintIsGivenUp(t *testing.T) {
	for _, found := range []string{"start", "read", "page", "write"} {
		t.Run(found, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := vfs.NewMem()
				g := startRig(t, storage.Options{FS: fs}, Options{CacheBytes: -1})
				defer func() { g.close() }()
				f := newForeign(7, 0)
				f.put(t, "v")
				k := keyOf(1)
				if err := g.hint("n2", false, KeyedCell{k, f.cell}, KeyedCell{keyOf(2), f.cell}); err != nil {
					t.Fatal(err)
				}
				row := storage.AppendHintRow(nil, "n2", k.Slot, k.Key, nil)
				if found == "start" {
					g = damaged(t, fs, g, row)
				} else {
					b := g.store.NewBatch()
					b.Set(row, []byte(strings.Repeat("x", len(f.cell.Bytes()))))
					if err := settle(g.store.Apply(b, false)); err != nil {
						t.Fatal(err)
					}
				}
				switch found {
				case "read":
					if c, err := g.Held(k); c != nil || err != nil {
						t.Errorf("held: %v, %v", c, err)
					}
				case "page":
					if page, err := g.Hints(t.Context(), "n2", nil, 0); err != nil || len(page.Cells) != 1 {
						t.Errorf("%d hints, %v", len(page.Cells), err)
					}
				case "write":
					if err := g.hint("n2", false, KeyedCell{k, f.cell}); !isDamaged(err) {
						t.Errorf("hinted: %v", err)
					}
				}
				synctest.Wait()
				s := g.HintStats()
				want := int64(len(f.cell.Bytes()) + len(storage.AppendHintRow(nil, "n2", keyOf(2).Slot, keyOf(2).Key, nil)))
				if len(s) != 1 || s[0].Cells != 1 || s[0].Bytes != want || !s[0].Full || len(g.kept(t, "n2", 0)) != 1 {
					t.Errorf("%+v", s)
				}
				if d := g.DamageStats(); d != (DamageStats{Found: 1, Hints: 1}) {
					t.Errorf("%+v", d)
				}
				if err := g.hint("n2", false, KeyedCell{k, f.cell}); err != nil || g.HintStats()[0].Cells != 2 {
					t.Errorf("hinted again: %v", err)
				}
			})
		})
	}
}
