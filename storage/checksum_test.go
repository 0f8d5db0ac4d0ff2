package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage/storagetest"
)

// sealedValue is a value as it is stored with row.
func sealedValue(row, value []byte) []byte {
	return binary.LittleEndian.AppendUint64(bytes.Clone(value), checksum(row, value))
}

// What is stored comes back, and no change of one bit of it, or of its row, goes
// unnoticed; nor does anything cut off.
func TestUnsealSeesEveryBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawName(t, "cell")
		r := n.row()
		if rapid.Bool().Draw(t, "hint") {
			r = AppendHintRow(nil, "n2", n.slot, n.key, n.field)
		}
		value := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "value")
		stored := sealedValue(r, value)
		if got, err := unseal(r, stored); err != nil || !bytes.Equal(got, value) {
			t.Fatalf("%x came back as %x, %v", value, got, err)
		}
		damaged := func(row, stored []byte, what string) {
			t.Helper()
			got, err := unseal(row, stored)
			row0 := new(DamagedRowError)
			if !errors.Is(err, ErrDamaged) || !errors.As(err, &row0) || got != nil || !bytes.Equal(row0.Row, row) {
				t.Fatalf("%s: %x, %v", what, got, err)
			}
		}
		for bit := range 8 * len(stored) {
			stored[bit/8] ^= 1 << (bit % 8)
			damaged(r, stored, "a bit of the value")
			stored[bit/8] ^= 1 << (bit % 8)
		}
		damaged(r, stored[:rapid.IntRange(0, len(stored)-1).Draw(t, "cut")], "cut off")
		if other := drawName(t, "other").row(); !bytes.Equal(other, r) {
			damaged(other, stored, "another's")
		}
	})
}

// Rows that are not cells have no checksum, and nothing makes unseal panic.
func FuzzUnseal(f *testing.F) {
	f.Add([]byte("cxx"), []byte("12345678"))
	f.Add([]byte("h"), []byte("1234567"))
	f.Add([]byte("m"), []byte("123"))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, row, stored []byte) {
		value, err := unseal(row, stored)
		switch {
		case !sealed(row):
			if err != nil || !bytes.Equal(value, stored) {
				t.Fatalf("a row without a checksum: %x, %v", value, err)
			}
		case err == nil:
			if !bytes.Equal(sealedValue(row, value), stored) {
				t.Fatalf("%x was never stored with %x", stored, row)
			}
		case err.Error() == "" || !errors.Is(err, ErrDamaged):
			t.Fatal(err)
		}
	})
}

// A damaged row is an error of its own that names the key, and no other row's;
// the store goes on.
func TestDamagedRow(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, small(fs))
	for _, k := range []string{"a", "b", "c"} {
		put(t, s, k, "value of "+k, true)
	}
	closeStore(t, s)
	if err := storagetest.Damage(fs, testDir, row("b"), 3); err != nil {
		t.Fatal(err)
	}
	if err := storagetest.Misplace(fs, testDir, row("a"), row("d")); err != nil {
		t.Fatal(err)
	}
	s = opened(t, small(fs))
	want(t, s, "a", "value of a")
	want(t, s, "c", "value of c")
	for _, k := range []string{"b", "d"} {
		v, err := s.Get(row(k))
		if v != nil || !errors.Is(err, ErrDamaged) || errors.Is(err, ErrFailed) {
			t.Fatalf("%s: %q, %v", k, v, err)
		}
		wantText(t, err, `"`+k+`"`, "slot 1", "other owners")
	}
	var sound, bad []string
	err := s.Scan(t.Context(), RowSlotStart(nil, 0), RowSlotStart(nil, Slots), 0, func(r, value []byte, damaged error) (bool, error) {
		_, key, _, err := ParseRow(r)
		if damaged != nil {
			bad = append(bad, string(key))
		} else {
			sound = append(sound, string(key)+"="+string(value))
		}
		return true, err
	})
	if err != nil || len(sound) != 2 || len(bad) != 2 {
		t.Fatalf("%q, damaged %q, %v", sound, bad, err)
	}
	put(t, s, "b", "new", true)
	want(t, s, "b", "new")
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
}
