package replica

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/storage"
)

// TestHintLimit: beyond the bound hints are refused whole and the owner is
// marked, over a stop too, until it has been compared; what must be kept is.
func TestHintLimit(t *testing.T) {
	fs, o := vfs.NewMem(), Options{HintLimit: 2000, Lanes: 2}
	g := startRig(t, storage.Options{FS: fs}, o)
	f := newForeign(7, 0)
	f.put(t, string(make([]byte, 900)))
	full := func(owner string) bool {
		for _, s := range g.HintStats() {
			if s.Owner == owner {
				return s.Full
			}
		}
		return false
	}
	stored := 0
	var err error
	for ; err == nil; stored++ {
		err = g.hint("n2", false, KeyedCell{keyOf(stored), f.cell})
	}
	if stored--; !errors.Is(err, ErrHintsFull) || stored != 3 || !full("n2") {
		t.Fatalf("%d hints of 900 bytes are below 2000; then %v, marked: %v", stored, err, full("n2"))
	}
	if r := g.ask(KindHint, AppendHint(nil, "n2", false, []KeyedCell{{keyOf(7), f.cell}, {keyOf(8), f.cell}})); r.code != CodeHintsFull {
		t.Errorf("a peer is told %d %q", r.code, r.err)
	}
	if g.PendingHints(keyOf(7))+g.PendingHints(keyOf(8)) > 0 {
		t.Error("a refused hint is there")
	}
	if r := g.ask(KindHint, AppendHint(nil, "n2", true, []KeyedCell{{keyOf(9), f.cell}})); r.err != "" || g.PendingHints(keyOf(9)) != 1 {
		t.Errorf("a hint that must be kept: %d %q", r.code, r.err)
	}
	if err := g.hint("n3", false, KeyedCell{keyOf(7), f.cell}); err != nil || full("n3") {
		t.Errorf("another owner's hint: %v", err)
	}
	g.close()
	g = startRig(t, storage.Options{FS: fs}, o)
	if !full("n2") || full("n3") {
		t.Errorf("after a restart, marked: %v %v", full("n2"), full("n3"))
	}
	if err := g.hint("n2", false, KeyedCell{keyOf(7), f.cell}); !errors.Is(err, ErrHintsFull) {
		t.Errorf("after a restart: %v", err)
	}
	if n, err := g.drop("n2", g.kept(t, "n2", 0)...); n != 4 || err != nil {
		t.Fatalf("%d dropped, %v", n, err)
	}
	if err := g.hint("n2", false, KeyedCell{keyOf(7), f.cell}); err != nil || !full("n2") {
		t.Errorf("with room again: %v, marked: %v", err, full("n2"))
	}
	g.ClearFull("n2")
	if full("n2") {
		t.Error("still marked")
	}
	g.close()
	g = startRig(t, storage.Options{FS: fs}, o)
	if full("n2") {
		t.Error("marked again after a restart")
	}
	g.close()
}

// TestDamagedHint: what cannot be read does not stand in the way of the rest,
// but its owner has to be compared.
func TestDamagedHint(t *testing.T) {
	fs := vfs.NewMem()
	g := startRig(t, storage.Options{FS: fs}, Options{})
	f := newForeign(7, 0)
	f.put(t, "v")
	if err := g.hint("n2", false, KeyedCell{keyOf(1), f.cell}, KeyedCell{keyOf(2), f.cell}); err != nil {
		t.Fatal(err)
	}
	k := keyOf(1)
	b := g.store.NewBatch()
	b.Set(storage.AppendHintRow(nil, "n2", k.Slot, k.Key, nil), []byte("damaged"))
	if c, err := g.store.Apply(b, false); err != nil || c.Wait() != nil {
		t.Fatal(err)
	}
	g.close()
	for range 2 { // the second finds nothing amiss, but the mark
		g = startRig(t, storage.Options{FS: fs}, Options{})
		s := g.HintStats()
		if len(s) != 1 || s[0].Cells != 1 || !s[0].Full || len(g.kept(t, "n2", 0)) != 1 {
			t.Errorf("%+v", s)
		}
		g.close()
	}
}

// TestTooManyOwners: names that a peer makes up do not fill the memory.
func TestTooManyOwners(t *testing.T) {
	var h hints
	h.init(0)
	for i := range maxHintOwners {
		if h.owner(fmt.Sprint(i)) == nil {
			t.Fatalf("owner %d is refused", i)
		}
	}
	if h.owner("more") != nil || h.owner("0") == nil {
		t.Error("no bound, or an owner is forgotten")
	}
	if !slices.IsSortedFunc(h.all(), func(a, b *hintOwner) int { return cmp.Compare(a.name, b.name) }) {
		t.Error("not sorted")
	}
}
