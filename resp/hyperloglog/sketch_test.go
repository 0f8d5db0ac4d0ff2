package hyperloglog

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// regs reads a sketch's registers.
func regs(t rapid.TB, s *Sketch) (r Registers) {
	t.Helper()
	if err := r.Merge(s); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSparseAndDenseAgree: whatever is raised in whatever order, both forms
// hold the same registers.
func TestSparseAndDenseAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sparse, dense := New(), New()
		if err := dense.makeDense(); err != nil {
			t.Fatal(err)
		}
		var want Registers
		for range rapid.IntRange(0, 200).Draw(t, "n") {
			index := rapid.OneOf(rapid.IntRange(0, registers-1), rapid.IntRange(100, 110)).Draw(t, "index")
			rank := uint8(rapid.OneOf(rapid.IntRange(1, 4), rapid.IntRange(1, rankBits+1)).Draw(t, "rank"))
			raises := rank > want[index]
			want[index] = max(want[index], rank)
			for _, s := range []*Sketch{sparse, dense} {
				if changed, err := s.raise(index, rank); err != nil || changed != raises {
					t.Fatalf("raised: %v, %v; want %v", changed, err, raises)
				}
			}
		}
		if regs(t, sparse) != want || regs(t, dense) != want {
			t.Fatal("registers differ")
		}
		if again, err := Parse(sparse.Bytes()); err != nil || regs(t, again) != want {
			t.Fatalf("parsed anew: %v", err)
		}
	})
}

func draw(t *rapid.T, name string) *Sketch {
	s := New()
	for _, e := range rapid.SliceOfN(rapid.IntRange(0, 300), 0, 100).Draw(t, name) {
		if _, err := s.Add(fmt.Append(nil, e)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestMergeIsASemilattice, and counts what either has seen.
func TestMergeIsASemilattice(t *testing.T) {
	merged := func(t *rapid.T, s ...*Sketch) Registers {
		out := New()
		for _, x := range s {
			if _, err := out.Merge(x); err != nil {
				t.Fatal(err)
			}
		}
		return regs(t, out)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := draw(t, "a"), draw(t, "b"), draw(t, "c")
		if merged(t, a, b) != merged(t, b, a) || merged(t, a, b, c) != merged(t, b, c, a) || merged(t, a, a) != regs(t, a) {
			t.Fatal("not a semilattice")
		}
		ab := merged(t, a, b)
		for i, r := range regs(t, a) {
			if ab[i] < r {
				t.Fatal("a register sank")
			}
		}
		if changed, err := a.Merge(a); changed || err != nil {
			t.Fatalf("merging with itself: %v, %v", changed, err)
		}
	})
}

// TestCountIsClose: the standard error is 0.81 %.
func TestCountIsClose(t *testing.T) {
	s := New()
	for i := 1; i <= 300_000; i++ {
		if _, err := s.Add(fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		if i&(i-1) == 0 || i == 300_000 {
			n, err := s.Count()
			if err != nil || math.Abs(float64(n)-float64(i)) > max(1, 0.04*float64(i)) {
				t.Errorf("%d elements are counted as %d, %v", i, n, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	s := New()
	for i := range 1000 {
		s.Add(fmt.Append(nil, i))
	}
	f.Add(New().Bytes())
	f.Add(s.Bytes())
	f.Add(append(bytes.Clone(New().Bytes()[:headerSize]), 0x80, 0x40))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrNotSketch) {
				t.Fatal(err)
			}
			return
		}
		for i := range 50 {
			if _, err := s.Add([]byte{byte(i)}); err != nil && !errors.Is(err, ErrCorrupted) {
				t.Fatal(err)
			}
		}
		if _, err := s.Count(); err != nil && !errors.Is(err, ErrCorrupted) {
			t.Fatal(err)
		}
		if _, err := New().Merge(s); err != nil && !errors.Is(err, ErrCorrupted) {
			t.Fatal(err)
		}
	})
}
