package storage

import (
	"bytes"
	"errors"
	"slices"
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

// ParseRow accepts exactly what AppendRow writes.
func FuzzParseRow(f *testing.F) {
	f.Add(AppendRow(nil, 12182, []byte("foo"), nil))
	f.Add(AppendRow(nil, 0, []byte{0, 0xff, 0, 1}, []byte{0, 1, 0xff}))
	f.Add([]byte{kindCell, 0, 0, 'k', 0})
	f.Add([]byte{kindCell, 0, 0, 0, 2})
	f.Add([]byte{kindMeta})
	f.Fuzz(func(t *testing.T, row []byte) {
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
