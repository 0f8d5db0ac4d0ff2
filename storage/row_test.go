package storage

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type cellName struct {
	slot       uint16
	key, field []byte
}

// drawName draws names that are often equal, prefixes of each other, or full of
// the bytes that the escaping is about.
func drawName(t *rapid.T, label string) cellName {
	part := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 'a', 0xfe, 0xff}), 0, 5)
	return cellName{
		slot:  rapid.SampledFrom([]uint16{0, 1, 255, 256, Slots - 1}).Draw(t, label+" slot"),
		key:   part.Draw(t, label+" key"),
		field: part.Draw(t, label+" field"),
	}
}

func (n cellName) row() []byte { return AppendRow(nil, n.slot, n.key, n.field) }

func (n cellName) compare(m cellName) int {
	if n.slot != m.slot {
		return int(n.slot) - int(m.slot)
	}
	if c := bytes.Compare(n.key, m.key); c != 0 {
		return c
	}
	return bytes.Compare(n.field, m.field)
}

// Rows sort by slot, then key, then field.
func TestRowOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawName(t, "a"), drawName(t, "b")
		if got, want := bytes.Compare(a.row(), b.row()), a.compare(b); got != min(1, max(-1, want)) {
			t.Fatalf("rows of %v and %v compare as %d, want %d", a, b, got, want)
		}
	})
}

// ParseRow undoes AppendRow, whatever stands before the row in its buffer.
func TestRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawName(t, "n")
		row := AppendRow([]byte("before"), n.slot, n.key, n.field)[len("before"):]
		slot, key, field, err := ParseRow(row)
		if err != nil || slot != n.slot || !bytes.Equal(key, n.key) || !bytes.Equal(field, n.field) {
			t.Fatalf("%v came back as %d %q %q, %v", n, slot, key, field, err)
		}
	})
}

// A slot's rows lie between its start and the next slot's, a key's rows behind
// the row of its empty field and before any other key's.
func TestRowRanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawName(t, "a"), drawName(t, "b")
		row := a.row()
		if bytes.Compare(row, RowSlotStart(nil, a.slot)) < 0 || bytes.Compare(row, RowSlotStart(nil, a.slot+1)) >= 0 {
			t.Fatalf("%v is outside its slot", a)
		}
		whole := AppendRow(nil, b.slot, b.key, nil)
		same := a.slot == b.slot && bytes.Equal(a.key, b.key)
		if bytes.HasPrefix(row, whole) != same {
			t.Fatalf("row of %v, prefix of key %v: same key is %v", a, b, same)
		}
	})
}

// Hints sort by owner, then as cells do; an owner's lie in its range, all of
// them in that of no owner, and no cell does.
func TestHintRows(t *testing.T) {
	owners := rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'n', '1'}), 1, 3, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawName(t, "a"), drawName(t, "b")
		forA, forB := owners.Draw(t, "owner a"), owners.Draw(t, "owner b")
		row := AppendHintRow([]byte("before"), forA, a.slot, a.key, a.field)[len("before"):]
		other := AppendHintRow(nil, forB, b.slot, b.key, b.field)
		want := cmp.Or(strings.Compare(forA, forB), min(1, max(-1, a.compare(b))))
		if got := bytes.Compare(row, other); got != want {
			t.Fatalf("hints of %v for %q and %v for %q compare as %d, want %d", a, forA, b, forB, got, want)
		}
		owner, slot, key, field, err := ParseHintRow(row)
		if err != nil || owner != forA || slot != a.slot || !bytes.Equal(key, a.key) || !bytes.Equal(field, a.field) {
			t.Fatalf("%v for %q came back as %d %q %q for %q, %v", a, forA, slot, key, field, owner, err)
		}
		within := func(row []byte, owner string) bool {
			from, to := HintRows(owner)
			return bytes.Compare(row, from) >= 0 && bytes.Compare(row, to) < 0
		}
		if within(row, forB) != (forA == forB) || !within(row, "") || within(a.row(), "") {
			t.Fatalf("hint of %v for %q, rows of %q", a, forA, forB)
		}
	})
}

// What is parsed is left alone by later appends to the parts.
func TestParseRowDoesNotShareCapacity(t *testing.T) {
	row := AppendRow(nil, 7, []byte("key"), []byte("field"))
	before := slices.Clone(row)
	_, key, _, err := ParseRow(row)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(key, "overwritten"...)
	if !bytes.Equal(row, before) {
		t.Fatal("appending to the key changed the row")
	}
}

func TestParseRowAllocatesNothing(t *testing.T) {
	row := AppendRow(nil, 7, []byte("key"), []byte("field"))
	if n := testing.AllocsPerRun(100, func() { _, _, _, _ = ParseRow(row) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// ParseRow and ParseHintRow accept exactly what is written.
func FuzzParseRow(f *testing.F) {
	f.Add(AppendRow(nil, 12182, []byte("foo"), nil))
	f.Add(AppendRow(nil, 0, []byte{0, 0xff, 0, 1}, []byte{0, 1, 0xff}))
	f.Add([]byte{kindCell, 0, 0, 'k', 0})
	f.Add([]byte{kindCell, 0, 0, 0, 2})
	f.Add([]byte{kindMeta})
	f.Add(AppendHintRow(nil, "n1", 12182, []byte("foo"), []byte("f")))
	f.Add([]byte{kindHint, 'n', 0, 1, 0})
	f.Fuzz(func(t *testing.T, row []byte) {
		if owner, slot, key, field, err := ParseHintRow(row); err == nil {
			if again := AppendHintRow(nil, owner, slot, key, field); !bytes.Equal(again, row) {
				t.Fatalf("%x was accepted, but is written as %x", row, again)
			}
		}
		slot, key, field, err := ParseRow(row)
		if err != nil {
			if !errors.Is(err, ErrBadRow) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if again := AppendRow(nil, slot, key, field); !bytes.Equal(again, row) {
			t.Fatalf("%x was accepted, but is written as %x", row, again)
		}
	})
}
