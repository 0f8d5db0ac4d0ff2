package storage

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// Rows of leaves and of journals come back as they were written, sort with
// what they name, and lie in their ranges, where nothing else does.
func TestLeavesRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.Uint16Range(0, Slots-1)
		a, b := slots.Draw(t, "a"), slots.Draw(t, "b")
		row, other := AppendLeavesRow(nil, a), AppendLeavesRow(nil, b)
		if got, mark, err := ParseLeavesRow(row); got != a || mark || err != nil {
			t.Fatalf("slot %d came back as %d, %v, %v", a, got, mark, err)
		}
		if got := bytes.Compare(row, other); got != min(1, max(-1, int(a)-int(b))) {
			t.Fatalf("rows of slots %d and %d compare as %d", a, b, got)
		}
		if bytes.Compare(AppendLeavesMark(nil), row) >= 0 {
			t.Fatal("the mark is not first")
		}
		lane, seq := rapid.Uint16().Draw(t, "lane"), rapid.Uint64().Draw(t, "seq")
		entry := AppendJournalRow(nil, lane, seq)
		if l, s, err := ParseJournalRow(entry); l != lane || s != seq || err != nil {
			t.Fatalf("lane %d, %d came back as %d, %d, %v", lane, seq, l, s, err)
		}
		if later := rapid.Uint64().Draw(t, "later"); later > seq && bytes.Compare(entry, AppendJournalRow(nil, lane, later)) >= 0 {
			t.Fatalf("%d does not sort before %d", seq, later)
		}
		for _, r := range [][]byte{row, entry, drawName(t, "cell").row()} {
			from, to := LeavesRows()
			in := bytes.Compare(from, r) <= 0 && bytes.Compare(r, to) < 0
			if _, _, err := ParseLeavesRow(r); in != (err == nil) {
				t.Fatalf("%x among the leaves: %v, %v", r, in, err)
			}
			from, to = JournalRows()
			in = bytes.Compare(from, r) <= 0 && bytes.Compare(r, to) < 0
			if _, _, err := ParseJournalRow(r); in != (err == nil) {
				t.Fatalf("%x in a journal: %v, %v", r, in, err)
			}
			if _, _, _, err := ParseRow(r); IsCellRow(r) != (err == nil) {
				t.Fatalf("%x as a cell's: %v, %v", r, IsCellRow(r), err)
			}
		}
	})
}

// The parsers accept exactly what is written.
func FuzzParseLeavesRow(f *testing.F) {
	f.Add(AppendLeavesMark(nil))
	f.Add(AppendLeavesRow(nil, 12182))
	f.Add(AppendJournalRow(nil, 1, 1<<40))
	f.Fuzz(func(t *testing.T, row []byte) {
		if slot, mark, err := ParseLeavesRow(row); err == nil {
			again := AppendLeavesRow(nil, slot)
			if mark {
				again = AppendLeavesMark(nil)
			}
			if !bytes.Equal(row, again) || slot >= Slots {
				t.Fatalf("%x was accepted, but is written as %x", row, again)
			}
		}
		if lane, seq, err := ParseJournalRow(row); err == nil && !bytes.Equal(row, AppendJournalRow(nil, lane, seq)) {
			t.Fatalf("%x was accepted", row)
		}
	})
}

// A range is removed whole, and nothing beside it.
func TestDeleteRange(t *testing.T) {
	s := opened(t, small(vfs.NewMem()))
	b := s.NewBatch()
	for seq := range uint64(10) {
		for lane := range uint16(3) {
			b.Set(AppendJournalRow(nil, lane, seq), []byte{1})
		}
	}
	b.DeleteRange(AppendJournalRow(nil, 1, 0), AppendJournalRow(nil, 1, 7))
	c, err := s.Apply(b, false)
	if err == nil {
		err = c.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	from, to := JournalRows()
	found := map[uint16]int{}
	err = s.Scan(t.Context(), from, to, 0, func(row, _ []byte, _ error) (bool, error) {
		lane, seq, err := ParseJournalRow(row)
		if found[lane]++; lane == 1 && seq < 7 {
			t.Errorf("row %d was not removed", seq)
		}
		return true, err
	})
	if err != nil || found[0] != 10 || found[1] != 3 || found[2] != 10 {
		t.Fatalf("left: %v, %v", found, err)
	}
}

// A snapshot shows what was there when it was taken, and Close waits for it.
func TestSnapshot(t *testing.T) {
	s := open(t, small(vfs.NewMem()))
	put(t, s, "before", "1", false)
	n, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "after", "2", false)
	rows := 0
	err = n.Scan(t.Context(), RowSlotStart(nil, 0), RowSlotStart(nil, Slots), 0, func(row, value []byte, _ error) (bool, error) {
		if rows++; string(value) != "1" {
			t.Errorf("it shows %q", value)
		}
		return true, nil
	})
	if err != nil || rows != 1 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	for !s.gate.isShut() {
		runtime.Gosched()
	}
	err = n.Scan(t.Context(), RowSlotStart(nil, 0), RowSlotStart(nil, Slots), 0, func([]byte, []byte, error) (bool, error) { return true, nil })
	if !errors.Is(err, ErrClosed) {
		t.Errorf("a scan while the store closes: %v", err)
	}
	select {
	case err := <-closed:
		t.Fatalf("the store closed under a snapshot: %v", err)
	default:
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if _, err := s.Snapshot(); !errors.Is(err, ErrClosed) {
		t.Fatalf("a snapshot of a closed store: %v", err)
	}
}
