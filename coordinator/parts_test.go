package coordinator

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

// The delay before a hedge stays within its bounds, is above what is usual,
// and follows a peer that becomes slow or fast.
func TestEstimate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e estimate
		if e.late() != lateUnknown {
			t.Fatal(e.late())
		}
		for range rapid.IntRange(1, 50).Draw(t, "answers") {
			e.observe(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "took")))
			if l := e.late(); l < minLate || l > maxLate {
				t.Fatal(l)
			}
		}
		usual := time.Duration(rapid.Int64Range(int64(minLate), int64(maxLate/2)).Draw(t, "usual"))
		for range 200 {
			e.observe(usual)
		}
		if l := e.late(); l < usual || l > usual+usual/2+time.Millisecond {
			t.Fatalf("late after %v, usual is %v", l, usual)
		}
	})
}

// Estimates are a bounded number.
func TestLatenessBound(t *testing.T) {
	var l lateness
	for i := range 3 * maxEstimates {
		l.observe(fmt.Sprint(i), 1, time.Millisecond)
	}
	if len(l.peers) > maxEstimates {
		t.Fatal(len(l.peers))
	}
	if l.after("nobody", 1) != lateUnknown || l.mean("nobody", 1) != 0 {
		t.Fatal("an estimate of nobody")
	}
}

// keyset numbers keys as a map does.
func TestKeyset(t *testing.T) {
	var s keyset
	rapid.Check(t, func(t *rapid.T) {
		type id struct {
			group      int32
			key, field string
		}
		n := rapid.IntRange(0, 60).Draw(t, "keys")
		s.reset(n)
		model := map[id]int32{}
		for range n {
			k := id{int32(rapid.IntRange(0, 2).Draw(t, "group")), rapid.StringMatching("[ab]{0,3}").Draw(t, "key"), rapid.StringMatching("[ab]{0,1}").Draw(t, "field")}
			got, isNew := s.add(k.group, replica.Key{Key: []byte(k.key), Field: []byte(k.field)})
			want, known := model[k]
			if !known {
				want = int32(len(model))
				model[k] = want
			}
			if got != want || isNew == known {
				t.Fatalf("%v is %d (%v), want %d", k, got, isNew, want)
			}
		}
	})
}

// The queue of repairs joins what is for the same place, keeps apart what is
// not, copies its keys, and has bounds.
func TestRepairQueue(t *testing.T) {
	var q repairs
	var stats counters
	q.init(&stats)
	a := sampleCell(t, "a", false)
	b, _, _, err := (*version.Cell)(nil).Put(version.Mint{Actor: version.Actor{ID: 2}, Time: 2}, version.Write{Value: []byte("b")})
	if err != nil {
		t.Fatal(err)
	}
	name := []byte("key")
	read := time.Now()
	q.add("n1", replica.Key{Key: name}, a, read)
	q.add("n1", replica.Key{Key: name}, b, read.Add(-time.Second))
	q.add("n1", replica.Key{Key: name}, a, read)
	q.add("n2", replica.Key{Key: name}, a, read)
	name[0] = 'x'
	all := q.take()
	if len(all) != 2 || len(all[0].cell.Cell.Versions) != 2 || !bytes.Equal(all[0].cell.Key.Key, []byte("key")) {
		t.Fatal(all)
	}
	if !all[0].read.Equal(read.Add(-time.Second)) {
		t.Fatal("what was joined is as old as its oldest part")
	}
	for i := range 2 * maxRepairs {
		q.add("n1", replica.Key{Key: fmt.Append(nil, i)}, a, read)
	}
	if got := len(q.take()); got != maxRepairs || stats.repairsDropped.Load() != maxRepairs {
		t.Fatal(got)
	}
	large := sampleCell(t, strings.Repeat("x", maxRepairBytes/2), false)
	for i := range 5 {
		q.add("n1", replica.Key{Key: fmt.Append(nil, i)}, large, read)
	}
	if got := len(q.take()); got != 1 || q.bytes != 0 {
		t.Fatal(got, q.bytes)
	}
}

// The errors' texts are what users get to read.
func TestErrorTexts(t *testing.T) {
	dot := version.Dot{Actor: version.Actor{ID: 0xab, Inc: 1}, Counter: 3}
	for _, c := range []struct {
		err  error
		text string
	}{
		{&NoQuorumError{Op: "write", Need: 2, Got: 1}, "1 of the 2 nodes needed for the write can be reached: nothing was stored, try again"},
		{&NoQuorumError{Op: "check", Need: 2, Got: 1}, "1 of the 2 nodes that have to be read before the write answered: nothing was stored, try again"},
		{&NoQuorumError{Op: "route", Need: 1, Got: 0}, "no node that could run the command can be reached: nothing was started, try again"},
		{&NoQuorumError{Op: "read", Need: 2, Got: 1}, "1 of the 2 nodes needed for the read answered, try again"},
		{&NoQuorumError{Op: "read", Need: 2, Unknown: true}, "no owner of the key answered, and the others keep nothing of it, try again"},
		{&NoQuorumError{Op: "check", Need: 2, Unknown: true}, "no owner of the key answered, and the others keep nothing of it: nothing was stored, try again"},
		{&UncertainError{K: 1, W: 2, Dot: dot}, "stored on 1 of 2 as (00000000000000ab/1,3), and may yet take effect"},
		{&UncertainError{K: 1, W: 2}, "stored on 1 of 2, and may yet take effect"},
		{&UncertainError{W: 2, Lost: true}, "known to be stored on 0 of 2: the owner that ran the command did not answer, so it may be stored on any of them"},
	} {
		if got := c.err.Error(); got != c.text {
			t.Errorf("%q, want %q", got, c.text)
		}
	}
	if errors.Is(ErrNotOwner, ErrLoading) {
		t.Error("two errors are one")
	}
}
