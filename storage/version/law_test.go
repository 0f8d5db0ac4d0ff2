package version

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// world is a set of replicas of one cell that write and exchange in a random
// order, beside a naive model that remembers every write and what it had seen.
type world struct {
	replicas []*Cell
	model    map[Dot]map[Dot]bool // dot → every dot in its past
	clock    *Clock
	now      int64
}

func actorOf(i int) Actor { return Actor{ID: uint64(i + 1)} }

func (w *world) mint(i int) Mint {
	return Mint{Actor: actorOf(i), Time: w.clock.Now(), Now: w.now}
}

func (w *world) seen(x Context) map[Dot]bool {
	out := map[Dot]bool{}
	for d := range w.model {
		if x.Past.Contains(d) {
			out[d] = true
		}
	}
	return out
}

func newWorld(t *rapid.T) *world {
	w := &world{
		replicas: make([]*Cell, rapid.IntRange(1, 4).Draw(t, "replicas")),
		model:    map[Dot]map[Dot]bool{},
		clock:    NewClock(nil),
		now:      1_000_000,
	}
	for range rapid.IntRange(0, 40).Draw(t, "steps") {
		w.step(t)
	}
	return w
}

func (w *world) step(t *rapid.T) {
	i := rapid.IntRange(0, len(w.replicas)-1).Draw(t, "at")
	switch rapid.IntRange(0, 4).Draw(t, "do") {
	case 0, 1:
		j := rapid.IntRange(0, len(w.replicas)-1).Draw(t, "from")
		w.replicas[i] = Merge(w.replicas[i], w.replicas[j])
	case 2:
		w.put(t, i, Write{Value: []byte{byte(len(w.model))}})
	case 3:
		j := rapid.IntRange(0, len(w.replicas)-1).Draw(t, "context of")
		x := w.replicas[j].Context()
		w.put(t, i, Write{Value: []byte{byte(len(w.model))}, Context: &x})
	case 4:
		w.put(t, i, Write{Tombstone: true})
	}
}

func (w *world) put(t *rapid.T, i int, wr Write) {
	x := w.replicas[i].Context()
	if wr.Context != nil {
		x = *wr.Context
	}
	next, delta, dot, err := w.replicas[i].Put(w.mint(i), wr)
	if err != nil {
		t.Fatal(err)
	}
	if _, used := w.model[dot]; used {
		t.Fatalf("dot %v was minted twice", dot)
	}
	if got := Merge(w.replicas[i], delta); !bytes.Equal(got.Bytes(), next.Bytes()) {
		t.Fatalf("the delta does not carry the write")
	}
	w.model[dot] = w.seen(x)
	w.replicas[i] = next
}

// Law 1: merge is commutative, associative and idempotent, to the byte.
func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		pick := func(name string) *Cell {
			return w.replicas[rapid.IntRange(0, len(w.replicas)-1).Draw(t, name)]
		}
		a, b, c := pick("a"), pick("b"), pick("c")
		equal := func(law string, x, y *Cell) {
			if !bytes.Equal(x.Bytes(), y.Bytes()) {
				t.Fatalf("%s: %v != %v", law, x, y)
			}
		}
		equal("commutative", Merge(a, b), Merge(b, a))
		equal("associative", Merge(Merge(a, b), c), Merge(a, Merge(b, c)))
		equal("idempotent", Merge(a, a), a)
		equal("absorbing", Merge(Merge(a, b), b), Merge(a, b))
	})
}

// Laws 1 and 4: after everything has met, exactly the writes that no other
// write had seen are left.
func TestMergeKeepsWhatNobodyReplaced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		var all *Cell
		for _, c := range w.replicas {
			all = Merge(all, c)
		}
		want := map[Dot]bool{}
		for d := range w.model {
			want[d] = true
		}
		for _, past := range w.model {
			for d := range past {
				delete(want, d)
			}
		}
		if all == nil {
			if len(want) > 0 {
				t.Fatalf("lost %v", want)
			}
			return
		}
		for i := range all.Versions {
			if !want[all.Versions[i].Dot] {
				t.Fatalf("%v was replaced and is still there", all.Versions[i].Dot)
			}
			delete(want, all.Versions[i].Dot)
		}
		if len(want) > 0 {
			t.Fatalf("lost %v", want)
		}
	})
}

// A reader of one replica that holds (a,3) but not (a,2) cannot erase (a,2).
func TestContextIsExact(t *testing.T) {
	m := Mint{Actor: actorOf(0), Time: 1}
	empty := Context{}
	c1, _, _, _ := (*Cell)(nil).Put(m, Write{Value: []byte("1"), Context: &empty})
	_, two, _, _ := c1.Put(m, Write{Value: []byte("2"), Context: &empty})
	c2 := Merge(c1, two)
	_, three, _, _ := c2.Put(m, Write{Value: []byte("3"), Context: &empty})
	lagging := Merge(c1, three)
	x := lagging.Context()
	_, four, _, _ := lagging.Put(Mint{Actor: actorOf(1), Time: 2}, Write{Value: []byte("4"), Context: &x})
	got := Merge(Merge(c2, three), four).Siblings(0)
	if len(got) != 2 || string(got[0].Value) != "2" || string(got[1].Value) != "4" {
		t.Fatalf("siblings %v", got)
	}
}

func TestCodecRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, c := range newWorld(t).replicas {
			got, err := DecodeCell(c.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if got.Digest() != c.Digest() || DigestOf(c.Bytes()) != c.Digest() {
				t.Fatal("digest differs after a round trip")
			}
			if got == nil {
				continue
			}
			if again := NewCell(got.Versions, got.Totals); !bytes.Equal(again.Bytes(), c.Bytes()) {
				t.Fatal("encoding differs after a round trip")
			}
			key := []byte("k")
			x := c.Context()
			y, err := ParseContext(x.Token(key), key)
			if err != nil || y.Token(key) != x.Token(key) {
				t.Fatalf("context differs after a round trip: %v", err)
			}
			if _, err := ParseContext(x.Token(key), []byte("other")); err == nil {
				t.Fatal("a token of another key was taken")
			}
		}
	})
}

// Pasts against a plain set of dots.
func TestPastIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (Past, map[Dot]bool) {
			var p Past
			set := map[Dot]bool{}
			for range rapid.IntRange(0, 20).Draw(t, name) {
				d := Dot{actorOf(rapid.IntRange(0, 2).Draw(t, "actor")), uint64(rapid.IntRange(1, 9).Draw(t, "n"))}
				p, set[d] = p.With(d, 1), true
			}
			return p, set
		}
		p, a := draw("p")
		q, b := draw("q")
		u := p.Union(q)
		for i := range 3 {
			for n := uint64(1); n < 11; n++ {
				d := Dot{actorOf(i), n}
				if p.Contains(d) != a[d] || u.Contains(d) != (a[d] || b[d]) {
					t.Fatalf("%v: %v in p, %v in the union", d, p.Contains(d), u.Contains(d))
				}
			}
		}
	})
}

// Law 3: what a cell shows of an actor sinks by a cut only, and the floor that
// the replica keeps then prevents a repeated dot.
func TestDotsNeverRepeatUnderCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const actors = 5
		cells := make([]*Cell, actors)
		floors := make([]uint64, actors)
		minted := map[Dot]bool{}
		clock := NewClock(nil)
		set := func(i int, next *Cell) {
			before := cells[i].Highest(actorOf(i))
			if next.Highest(actorOf(i)) < before {
				floors[i] = max(floors[i], before)
			}
			cells[i] = next
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, actors-1).Draw(t, "at")
			if rapid.Bool().Draw(t, "merge") {
				set(i, Merge(cells[i], cells[rapid.IntRange(0, actors-1).Draw(t, "from")]))
				continue
			}
			m := Mint{Actor: actorOf(i), Floor: floors[i], Time: clock.Now(), ClockMax: 2}
			next, _, dot, err := cells[i].Put(m, Write{Value: []byte("x")})
			if err != nil || minted[dot] {
				t.Fatalf("%v minted again (%v)", dot, err)
			}
			if len(next.Versions[0].Clock()) > 2+actors {
				t.Fatalf("clock of %d pairs", len(next.Versions[0].Clock()))
			}
			minted[dot] = true
			set(i, next)
		}
	})
}

// Law 9: increments from anywhere add up, and repeated exchange counts nothing
// twice.
func TestIncrementsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const nodes = 3
		base, _, _, _ := (*Cell)(nil).Put(Mint{Actor: actorOf(0), Time: 1}, Write{Value: []byte("100")})
		cells := []*Cell{base, base, base}
		want := int64(100)
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			i, j := rapid.IntRange(0, nodes-1).Draw(t, "i"), rapid.IntRange(0, nodes-1).Draw(t, "j")
			if rapid.Bool().Draw(t, "merge") {
				cells[i] = Merge(cells[i], cells[j])
				continue
			}
			by := rapid.Int64Range(-5, 5).Draw(t, "by")
			next, delta, _, err := cells[i].Increment(Mint{Actor: actorOf(i), Time: 2}, by)
			if err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "send the delta") {
				cells[j] = Merge(Merge(cells[j], delta), delta)
			}
			cells[i] = Merge(cells[i], next)
			want += by
		}
		all := Merge(Merge(cells[0], cells[1]), cells[2])
		if s, _ := all.Winner(0); string(s.Value) != strconv.FormatInt(want, 10) {
			t.Fatalf("%s, want %d", s.Value, want)
		}
	})
}

func TestDecodeNeverPanics(t *testing.T) {
	c, _, _, _ := (*Cell)(nil).Increment(Mint{Actor: actorOf(1), Time: 2}, 1)
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := bytes.Clone(c.Bytes())
		b[r.IntN(len(b))] ^= byte(1 << r.IntN(8))
		if got, err := DecodeCell(b[:r.IntN(len(b)+1)]); err == nil && got != nil {
			got.Winner(0)
		}
	}
}
