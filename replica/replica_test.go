package replica

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// appendTo is a read-modify-write: it appends token to the value.
func appendTo(k Key, token string) Update {
	return Update{Key: k, Decide: func(cur *version.Cell, now int64) (Change, error) {
		s, _ := cur.Winner(now)
		return Change{Kind: Put, Value: append(append([]byte(nil), s.Value...), token...)}, nil
	}}
}

// TestOrder: concurrent read-modify-writes of a few keys lose nothing, repeat
// nothing, and keep each client's order, over any number of lanes and whatever
// the cache has room for.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := startRig(t, storage.Options{}, Options{
			Lanes:      rapid.IntRange(1, 3).Draw(t, "lanes"),
			CacheBytes: rapid.SampledFrom([]int64{-1, 32 << 10, 4 << 20}).Draw(t, "cache"),
		})
		defer g.close()
		keys := rapid.IntRange(1, 5).Draw(t, "keys")
		clients := rapid.IntRange(1, 4).Draw(t, "clients")
		batches := rapid.IntRange(1, 8).Draw(t, "batches")
		seed := rapid.Uint64().Draw(t, "seed")
		sent := make([][]string, clients) // by client: "key:n" in order
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(c)))
				var waits []func() error
				for range batches {
					ops := make([]Update, 1+rng.IntN(6))
					for i := range ops {
						k := rng.IntN(keys)
						n := len(sent[c])
						sent[c] = append(sent[c], fmt.Sprint(k))
						ops[i] = appendTo(keyOf(k), fmt.Sprintf("%d:%d;", c, n))
					}
					b, wait := waited(ops)
					g.Update(b)
					waits = append(waits, wait)
				}
				for _, wait := range waits {
					if err := wait(); err != nil {
						t.Errorf("client %d: %v", c, err)
					}
				}
			})
		}
		wg.Wait()
		next := make([]int, clients*keys) // where to look on in sent
		total := 0
		for k := range keys {
			for _, token := range strings.Split(strings.Trim(g.value(keyOf(k)), ";"), ";") {
				if token == "(nil)" {
					continue
				}
				total++
				var c, n int
				if _, err := fmt.Sscanf(token, "%d:%d", &c, &n); err != nil {
					t.Fatal(err)
				}
				at := &next[c*keys+k]
				for *at < n && sent[c][*at] != fmt.Sprint(k) {
					*at++
				}
				if *at != n {
					t.Fatalf("key %d: found operation %d of client %d, its next one is %d", k, n, c, *at)
				}
				*at++
			}
		}
		want := 0
		for _, s := range sent {
			want += len(s)
		}
		if total != want {
			t.Fatalf("%d of %d operations took effect", total, want)
		}
	})
}

// TestOutcomes: every operation is told its own state of the cell, also where
// several of one batch meet in it; and their deltas, in any order and repeated,
// carry to another replica exactly what the last Next holds.
func TestOutcomes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := startRig(t, storage.Options{}, Options{Lanes: rapid.IntRange(1, 2).Draw(t, "lanes")})
		defer g.close()
		model, remote := map[int]int64{}, map[int]*version.Cell{}
		for range rapid.IntRange(1, 5).Draw(t, "batches") {
			var ops []Update
			var keys []int
			for range rapid.IntRange(1, 8).Draw(t, "ops") {
				k := rapid.IntRange(0, 2).Draw(t, "key")
				keys = append(keys, k)
				if rapid.Bool().Draw(t, "put") {
					ops = append(ops, put(keyOf(k), strconv.Itoa(rapid.IntRange(0, 99).Draw(t, "value"))))
				} else {
					ops = append(ops, incr(keyOf(k), rapid.Int64Range(-9, 9).Draw(t, "by")))
				}
			}
			ops, err := g.update(ops...)
			if err != nil {
				t.Fatal(err)
			}
			last := map[int]*version.Cell{}
			for i := range ops {
				u, k := &ops[i], keys[i]
				if u.Err != nil || u.Dot.IsZero() || u.Dot.Actor != g.store.Actor() {
					t.Fatalf("operation %d: dot %v, error %v", i, u.Dot, u.Err)
				}
				if u.Change.Kind == Put {
					model[k], _ = strconv.ParseInt(string(u.Change.Value), 10, 64)
				} else if model[k] += u.Change.By; u.Number != model[k] {
					t.Fatalf("operation %d answers %d, want %d", i, u.Number, model[k])
				}
				s, ok := u.Next.Winner(g.now())
				if !ok || string(s.Value) != fmt.Sprint(model[k]) {
					t.Fatalf("operation %d leaves %q, want %d", i, s.Value, model[k])
				}
				last[k] = u.Next
			}
			for _, i := range rapid.Permutation(append(indexes(len(ops)), indexes(len(ops))...)).Draw(t, "order") {
				remote[keys[i]] = version.Merge(remote[keys[i]], ops[i].Delta)
			}
			for k, next := range last {
				if g.get(keyOf(k)) != next {
					t.Fatalf("key %d is not what the last operation left", k)
				}
				if remote[k].Digest() != next.Digest() {
					t.Fatalf("key %d: the deltas give %v, want %v", k, remote[k], next)
				}
			}
		}
	})
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// TestNeighbours: an operation that fails stores nothing and leaves those
// beside it alone.
func TestNeighbours(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{Lanes: 2, MaxSiblings: 2})
	defer g.close()
	refusal := errors.New("no")
	none := &version.Context{}
	sibling := func(value string) Update {
		u := put(keyOf(1), value)
		u.Change.Context = none
		return u
	}
	ops, err := g.update(
		put(keyOf(0), "text"),
		incr(keyOf(0), 1),
		Update{Key: keyOf(0), Decide: func(*version.Cell, int64) (Change, error) { return Change{}, refusal }},
		Update{Key: keyOf(0), Change: Change{Kind: 99}},
		sibling("a"), sibling("b"), sibling("c"),
		Update{Key: keyOf(0), Change: Change{Kind: None}},
		put(keyOf(0), "after"),
		Update{Key: keyOf(2), Change: Change{Kind: Delete}},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []error{nil, version.ErrNotInteger, refusal, ErrBadChange, nil, nil, version.ErrTooManySiblings, nil, nil, nil}
	for i, u := range ops {
		if !errors.Is(u.Err, want[i]) {
			t.Errorf("operation %d: %v, want %v", i, u.Err, want[i])
		}
		wrote := want[i] == nil && u.Change.Kind != None
		if (u.Delta != nil) != wrote || u.Dot.IsZero() == wrote || want[i] != nil && u.Next != nil {
			t.Errorf("operation %d: delta %v, dot %v, next %v", i, u.Delta, u.Dot, u.Next)
		}
	}
	if ops[7].Next != ops[0].Next {
		t.Error("an operation without a change left another cell")
	}
	if got := g.value(keyOf(0)); got != "after" {
		t.Errorf("key 0 is %q", got)
	}
	if n := len(g.get(keyOf(1)).Siblings(g.now())); n != 2 {
		t.Errorf("key 1 has %d siblings", n)
	}
	if c := g.get(keyOf(2)); c == nil || g.value(keyOf(2)) != "(nil)" {
		t.Errorf("key 2 is not a tombstone: %v", c)
	}
}

// TestCountsOnce: increments here, and another node's arriving late, twice and
// out of order, are each counted once.
func TestCountsOnce(t *testing.T) {
	for _, lanes := range []int{1, 2} {
		g := startRig(t, storage.Options{}, Options{Lanes: lanes, CacheBytes: 16 << 10})
		const keys, clients, each, others = 6, 4, 60, 40
		var seen [keys]struct {
			sync.Mutex
			dots map[version.Dot]bool
		}
		var wg sync.WaitGroup
		for k := range keys {
			if _, err := g.update(put(keyOf(k), "0")); err != nil {
				t.Fatal(err)
			}
			seen[k].dots = map[version.Dot]bool{}
			f := newForeign(77, 0)
			f.cell = g.get(keyOf(k))
			var cells []KeyedCell
			for range others {
				f.incr(t, 1000)
				cells = append(cells, KeyedCell{keyOf(k), f.cell})
			}
			wg.Go(func() {
				for range 3 {
					for _, i := range rand.Perm(len(cells)) {
						if err := g.apply(cells[i]); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		for range clients {
			wg.Go(func() {
				for n := range each {
					var ops []Update
					for k := range keys {
						ops = append(ops, incr(keyOf((k+n)%keys), 1))
					}
					ops, err := g.update(ops...)
					if err != nil {
						t.Error(err)
					}
					for i := range ops {
						s := &seen[(i+n)%keys]
						s.Lock()
						if s.dots[ops[i].Dot] {
							t.Errorf("dot %v was minted twice", ops[i].Dot)
						}
						s.dots[ops[i].Dot] = true
						s.Unlock()
					}
				}
			})
		}
		wg.Wait()
		for k := range keys {
			if got := g.value(keyOf(k)); got != fmt.Sprint(clients*each+others*1000) {
				t.Errorf("%d lanes: key %d counts %s", lanes, k, got)
			}
		}
		g.close()
	}
}

// TestCoherence reads while lanes write and the cache is far too small: a
// reader never sees a key go back.
func TestCoherence(t *testing.T) {
	g := startRig(t, storage.Options{Durability: storage.Interval}, Options{Lanes: 2, CacheBytes: 64 << 10})
	defer g.close()
	const keys, rounds = 200, 150
	var readers, writers sync.WaitGroup
	stop := make(chan struct{})
	for rd := range 3 {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(rd), 3))
			var high [keys]uint64
			for {
				select {
				case <-stop:
					return
				default:
				}
				k := rng.IntN(keys)
				n := g.get(keyOf(k)).Highest(g.store.Actor())
				if n < high[k] {
					t.Errorf("key %d went back from %d to %d", k, high[k], n)
				}
				high[k] = n
			}
		})
	}
	for w := range 3 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 4))
			for range rounds {
				ops := make([]Update, 8)
				for i := range ops {
					ops[i] = put(keyOf(rng.IntN(keys)), "v")
				}
				if _, err := g.update(ops...); err != nil {
					t.Error(err)
				}
				for i := range ops {
					if got := g.get(ops[i].Key); !covers(got, ops[i].Next) {
						t.Error("a write is not visible to its writer")
					}
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if s := g.Stats(); s.CacheEvictions == 0 || s.CacheHits == 0 || s.Updates != 3*rounds*8 {
		t.Errorf("tested little: %+v", s)
	}
}

// TestApplyWritesOnlyNews: what is equal to or dominated by the local cell
// costs no write.
func TestApplyWritesOnlyNews(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	defer g.close()
	f := newForeign(5, 0)
	f.put(t, "one")
	one := f.cell
	f.put(t, "two")
	k := keyOf(1)
	for i, step := range []struct {
		cell   *version.Cell
		writes uint64
	}{{one, 1}, {one, 1}, {f.cell, 2}, {one, 2}, {f.cell, 2}} {
		if err := g.apply(KeyedCell{k, step.cell}); err != nil {
			t.Fatal(err)
		}
		if n := g.Stats().Writes; n != step.writes {
			t.Errorf("step %d: %d cells written, want %d", i, n, step.writes)
		}
	}
	row, err := g.store.Get(storage.AppendRow(nil, k.Slot, k.Key, k.Field))
	if err != nil || string(row) != string(f.cell.Bytes()) {
		t.Errorf("the row is not the cell as it was received: %x %v", row, err)
	}
}

// TestBackPressure: Update blocks when a lane's queue is full, and goes on when
// the lane works; nothing queued before Run is lost.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := startRig(t, storage.Options{Durability: storage.Interval}, Options{Lanes: 1})
		resume := g.pause(Options{Lanes: 1})
		const batch, batches = 512, maxQueueOps/512 + 3
		var pushed, ended int
		go func() {
			for range batches {
				ops := make([]Update, batch)
				for i := range ops {
					ops[i] = incr(keyOf(i%7), 1)
				}
				g.Update(&UpdateBatch{Ops: ops, Durable: func(err error) {
					if err != nil {
						t.Error(err)
					}
					ended++
				}})
				pushed++
			}
		}()
		synctest.Wait()
		if pushed != maxQueueOps/batch || ended != 0 || g.Stats().QueueOps != maxQueueOps {
			t.Errorf("%d batches pushed, %d ended, %d operations queued", pushed, ended, g.Stats().QueueOps)
		}
		resume()
		synctest.Wait()
		if pushed != batches || ended != batches {
			t.Errorf("%d batches pushed, %d ended of %d", pushed, ended, batches)
		}
		g.close()
	})
}
