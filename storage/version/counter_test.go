package version

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

var (
	n1 = Mint{Actor: actorOf(0), Time: TimestampAt(100), Now: 100}
	n2 = Mint{Actor: actorOf(1), Time: TimestampAt(200), Now: 200}
)

func must(t *testing.T) func(next, delta *Cell, dot Dot, err error) *Cell {
	return func(next, _ *Cell, _ Dot, err error) *Cell {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
}

func incr(t *testing.T, c *Cell, m Mint, by, want int64) *Cell {
	t.Helper()
	next, _, n, err := c.Increment(m, by)
	if err != nil || n != want {
		t.Fatalf("INCR answered %d, %v; want %d", n, err, want)
	}
	return next
}

func wantWinner(t *testing.T, c *Cell, now int64, want string) {
	t.Helper()
	s, ok := c.Winner(now)
	got := string(s.Value)
	if !ok {
		got = "(absent)"
	}
	if got != want {
		t.Fatalf("at %d a read answers %s, want %s", now, got, want)
	}
}

func TestIncrementConcurrentWithSet(t *testing.T) {
	base := must(t)((*Cell)(nil).Put(n1, Write{Value: []byte("5")}))
	set := must(t)(base.Put(n2, Write{Value: []byte("100")}))
	wantWinner(t, Merge(incr(t, base, n1, 1, 6), set), 200, "101")
}

func TestIncrementConcurrentWithDeleteSurvivesAlone(t *testing.T) {
	base := must(t)((*Cell)(nil).Put(n1, Write{Value: []byte("5")}))
	del := must(t)(base.Put(n2, Write{Tombstone: true}))
	both := Merge(incr(t, base, n1, 3, 8), del)
	wantWinner(t, both, 200, "3")
	if got := both.Siblings(200); len(got) != 1 || string(got[0].Value) != "3" {
		t.Fatalf("siblings %v", got)
	}
	wantWinner(t, must(t)(both.Put(n1, Write{Tombstone: true})), 200, "(absent)")
}

// The rate limiter: INCR, EXPIRE, INCR …, gone, and from 1 again.
func TestIncrementsExpireWithTheirBase(t *testing.T) {
	c := incr(t, nil, n1, 1, 1)
	c = must(t)(c.Put(n1, Write{Value: []byte("1"), Expiry: 1000}))
	other := incr(t, c, n2, 1, 2)
	c = Merge(incr(t, c, n1, 1, 2), other)
	wantWinner(t, c, 999, "3")
	wantWinner(t, c, 1000, "(absent)")
	late := n1
	late.Now = 1001
	again := incr(t, c, late, 1, 1)
	wantWinner(t, Merge(again, other), 1001, "1")
}

// Law 8: dropping an expired version's bytes changes neither digest nor merge.
func TestDroppedValue(t *testing.T) {
	c := must(t)((*Cell)(nil).Put(n1, Write{Value: []byte("v"), Expiry: 1000}))
	dropped := c.Stripped()
	if dropped.Digest() != c.Digest() {
		t.Fatal("the digest covers the value")
	}
	for _, m := range []*Cell{Merge(c, dropped), Merge(dropped, c)} {
		if !bytes.Equal(m.Bytes(), c.Bytes()) {
			t.Fatal("merge lost the value")
		}
	}
}

func TestIncrementErrorsChangeNothing(t *testing.T) {
	for value, want := range map[string]error{
		"x": ErrNotInteger, "": ErrNotInteger, "01": ErrNotInteger, "+1": ErrNotInteger, " 1": ErrNotInteger,
		"-0": ErrNotInteger, "9223372036854775808": ErrNotInteger, "9223372036854775807": ErrOverflow,
	} {
		c := must(t)((*Cell)(nil).Put(n1, Write{Value: []byte(value)}))
		if next, _, _, err := c.Increment(n1, 1); !errors.Is(err, want) || next != nil {
			t.Errorf("%q: %v, want %v", value, err, want)
		}
	}
	c := must(t)((*Cell)(nil).Put(n1, Write{Value: []byte("-9223372036854775808")}))
	if _, _, _, err := c.Increment(n1, math.MinInt64); !errors.Is(err, ErrOverflow) {
		t.Error(err)
	}
}

// Law 3: at or below a floor no counter and no count starts again.
func TestFloor(t *testing.T) {
	m := n1
	m.Floor = 7
	c, _, dot, _ := (*Cell)(nil).Put(m, Write{Value: []byte("1")})
	if dot.Counter != 8 {
		t.Fatalf("counter %d", dot.Counter)
	}
	if c = incr(t, c, m, 1, 2); c.Totals[0].Count != 8 {
		t.Fatalf("count %d", c.Totals[0].Count)
	}
}

// Law 3: a reader who saw a counter before it was deleted and collected, and
// writes with what it saw then, takes nothing off what was counted since.
func TestContextFromBeforeCollection(t *testing.T) {
	old := incr(t, incr(t, nil, n1, 20, 20), n1, 30, 50)
	seen := old.Context()
	m := n1
	m.Floor = old.Highest(n1.Actor)
	for _, early := range []bool{true, false} { // before or after the first new increment
		var c *Cell
		write := func() { c = must(t)(c.Put(n2, Write{Value: []byte("7"), Context: &seen})) }
		if early {
			write()
		}
		c, _, _, err := c.Increment(m, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !early {
			c = must(t)(c.Put(n2, Write{Value: []byte("7"), Context: &seen}))
		}
		if from := c.Totals[0].From; from != m.Floor {
			t.Errorf("early %v: the sum began behind %d, want %d", early, from, m.Floor)
		}
		wantWinner(t, c, 200, "8")
		again, err := DecodeCell(c.Bytes())
		if err != nil || !bytes.Equal(NewCell(again.Versions, again.Totals).Bytes(), c.Bytes()) {
			t.Errorf("early %v: it does not survive its encoding: %v", early, err)
		}
		c = incr(t, c, m, 2, 10)
		wantWinner(t, c, 200, "10")
	}
}

func TestTooManySiblings(t *testing.T) {
	var c *Cell
	m := n1
	m.MaxSiblings = 2
	empty := &Context{}
	for range 2 {
		c = must(t)(c.Put(m, Write{Value: []byte("v"), Context: empty}))
	}
	if _, _, _, err := c.Put(m, Write{Value: []byte("v"), Context: empty}); !errors.Is(err, ErrTooManySiblings) {
		t.Fatal(err)
	}
	must(t)(c.Put(m, Write{Value: []byte("merged")}))
}
