package replica

import (
	"context"
	"testing"

	"github.com/dynaring/dynaring/storage"
)

// Cleared slots are empty, others are as they were, and no dot of the cleared
// cells is minted again.
func TestClearRange(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	defer g.close()
	const keys = 3 * MaxPage
	var ops []Update
	for i := range keys {
		k := keyOf(i)
		k.Slot = uint16(i % 6)
		ops = append(ops, put(k, "v"))
	}
	if _, err := g.update(ops...); err != nil {
		t.Fatal(err)
	}
	if err := g.ClearRange(context.Background(), 1, 4); err != nil {
		t.Fatal(err)
	}
	for slot, want := range []uint32{keys / 6, 0, 0, 0, 0, keys / 6} {
		page, err := g.Scan(context.Background(), ScanRequest{First: uint16(slot), Last: uint16(slot)})
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Slot(uint16(slot)).Cells; got != want || uint32(len(page.Cells)) != want {
			t.Errorf("slot %d: %d cells by its count, %d found, want %d", slot, got, len(page.Cells), want)
		}
	}
	k := ops[1].Key
	again, err := g.update(put(k, "w"))
	if err != nil {
		t.Fatal(err)
	}
	if again[0].Dot.Counter <= ops[1].Dot.Counter {
		t.Errorf("dot %v was minted before a clear, %v after it", ops[1].Dot, again[0].Dot)
	}
}
