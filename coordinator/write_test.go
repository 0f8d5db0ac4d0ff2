package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

func put(name, value string) Write {
	return Write{Update: replica.Update{Key: key(name), Change: replica.Change{Kind: replica.Put, Value: []byte(value)}}}
}

func incr(name string) Write {
	return Write{CheckFirst: true, Update: replica.Update{Key: key(name), Change: replica.Change{Kind: replica.Incr, By: 1}}}
}

// write carries out operations at n as one batch.
func (n *node) write(writes ...Write) []Write {
	n.Write(context.Background(), writes)
	return writes
}

// nowhere checks that no node holds anything of a key.
func (r *rig) nowhere(name string) {
	r.t.Helper()
	time.Sleep(2 * time.Second)
	for _, n := range r.nodes {
		if n.keeps(name) != nil {
			r.t.Fatalf("%s holds %s", n.name, name)
		}
	}
}

// holders counts the nodes that hold a version or an increment with the dot, as
// their own or for another.
func (r *rig) holders(name string, dot version.Dot) (count int) {
	for _, n := range r.nodes {
		if c := n.keeps(name); c != nil && c.Highest(dot.Actor) >= dot.Counter {
			count++
		}
	}
	return count
}

// With one of three owners down W=2 is reached; with two nothing is stored.
func TestWriteQuorum(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		r.setDown("n2", true)
		if w := n.write(put("a", "v")); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		three := put("b", "v")
		three.W = 3
		quorumError(t, n.write(three)[0].Err, 3, 2)
		r.setDown("n3", true)
		w := n.write(put("b", "v"), incr("b"))
		quorumError(t, w[0].Err, 2, 1)
		quorumError(t, w[1].Err, 2, 1)
		r.nowhere("b")
		if s := n.Stats(); s.Missed != 1 || s.Writes != 1 {
			t.Fatalf("%+v", s)
		}
	})
}

// A single node works alone, whatever W asks for.
func TestWriteAlone(t *testing.T) {
	bubble(t, 1, Options{R: 3, W: 3}, func(r *rig) {
		n := r.nodes["n1"]
		w := n.write(put("k", "7"), incr("k"))
		if w[0].Err != nil || w[1].Err != nil || w[1].Update.Number != 8 {
			t.Fatal(w)
		}
		if c, err := n.read("k", 3); text(c) != "8" || err != nil {
			t.Fatal(text(c), err)
		}
	})
}

// Where acks do not come, the write is uncertain, and says on how many owners
// it is known to be, of how many, and under which dot.
func TestWriteUncertain(t *testing.T) {
	cases := []struct{ w, lost, k int }{{2, 2, 1}, {3, 1, 2}, {3, 2, 1}}
	for _, c := range cases {
		bubble(t, 3, Options{}, func(r *rig) {
			r.setFate(func(_, to string, kind uint8) fate {
				return fate{loseRequest: to == "n2" || to == "n3" && c.lost == 2}
			})
			op := put("k", "v")
			op.W = c.w
			began := time.Now()
			w := r.nodes["n1"].write(op)
			var u *UncertainError
			if !errors.As(w[0].Err, &u) || u.K != c.k || u.W != c.w || u.Dot != w[0].Update.Dot || u.Dot.IsZero() || u.Lost {
				t.Fatalf("%v of %+v", w[0].Err, c)
			}
			if took := time.Since(began); took > DefaultTimeout {
				t.Fatalf("took %v", took)
			}
			time.Sleep(time.Second)
			if got := r.holders("k", u.Dot); got != c.k {
				t.Fatalf("%d hold it, known of %d", got, c.k)
			}
		})
	}
}

// An owner that refuses leaves the others' acks to decide, without waiting.
func TestWriteFailsFast(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		r.setFate(func(_, to string, _ uint8) fate { return fate{cut: true} })
		began := time.Now()
		var u *UncertainError
		if w := r.nodes["n1"].write(put("k", "v")); !errors.As(w[0].Err, &u) || u.K != 1 {
			t.Fatal(w[0].Err)
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Fatalf("took %v", took)
		}
	})
}

// Owners to come are written to; their acks do not count.
func TestWriteComing(t *testing.T) {
	bubble(t, 4, Options{}, func(r *rig) {
		// n4 joins a settled cluster of three.
		names := []string{"n1", "n2", "n3", "n4"}
		events := foundation(3, names[:3]...)
		for _, name := range names[:3] {
			for _, a := range replay(t, events).ComingOf(name) {
				events = append(events, ready(name, a))
			}
		}
		events = append(events, foundation(3, names...)[4])
		table := replay(t, events)
		name := ""
		for i := 0; name == ""; i++ {
			if p := table.Lookup(key(fmt.Sprint("k", i)).Slot); len(p.Coming) == 1 {
				name = fmt.Sprint("k", i)
			}
		}
		p := table.Lookup(key(name).Slot)
		for _, n := range r.nodes {
			n.setView(View{Ring: table})
		}
		r.setFate(func(_, to string, _ uint8) fate {
			return fate{loseRequest: to != "n4"}
		})
		var u *UncertainError
		if w := r.nodes[p.Owners[0]].write(put(name, "v")); !errors.As(w[0].Err, &u) || u.K != 1 || u.W != 2 {
			t.Fatal(w[0].Err)
		}
		if text(r.nodes["n4"].holds(name)) != "v" {
			t.Fatal("the coming owner does not hold it")
		}
		if w := r.nodes["n4"].write(put(name, "v")); w[0].Err != ErrNotOwner {
			t.Fatal(w[0].Err)
		}
		r.setDown("n4", true)
		r.setFate(nil)
		if w := r.nodes[p.Owners[1]].write(put(name, "v")); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
	})
}

// A batch is one request to each other owner. Operations on one key keep
// their order; one that is refused does not touch its neighbours; one that
// changes nothing is answered without anybody else.
func TestWriteBatch(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		asIs := Write{Update: replica.Update{Key: key("a"), Decide: func(c *version.Cell, _ int64) (replica.Change, error) {
			if text(c) != "2" {
				return replica.Change{}, fmt.Errorf("sees %s", text(c))
			}
			return replica.Change{}, nil
		}}}
		all := put("c", "v")
		all.W = 3
		w := n.write(put("a", "1"), put("b", "text"), put("a", "2"), asIs, incr("b"), put("b", "9"), incr("b"), all)
		for i := range w {
			if want := i == 4; (w[i].Err != nil) != want || want && !errors.Is(w[i].Err, version.ErrNotInteger) {
				t.Fatalf("operation %d: %v", i, w[i].Err)
			}
		}
		if w[6].Update.Number != 10 {
			t.Fatal(w[6].Update.Number)
		}
		// Two groups, by W; the keys to check go in one read.
		if apply, read := r.count(replica.KindApply), r.count(replica.KindRead); apply != 4 || read != 1 {
			t.Fatalf("%d applies, %d reads", apply, read)
		}
		if w := n.write(asIs); w[0].Err != nil || r.count(replica.KindApply) != 0 {
			t.Fatal(w[0].Err)
		}
		time.Sleep(time.Second)
		for _, o := range r.nodes {
			if text(o.holds("a")) != "2" || text(o.holds("b")) != "10" || text(o.holds("c")) != "v" {
				t.Fatalf("%s holds a=%s b=%s", o.name, text(o.holds("a")), text(o.holds("b")))
			}
			if o.holds("a").Digest() != n.holds("a").Digest() || o.holds("b").Digest() != n.holds("b").Digest() {
				t.Fatalf("%s differs", o.name)
			}
		}
	})
}

// More than a frame should hold goes in several; only all of them are an ack.
func TestWriteLarge(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		value := string(bytes.Repeat([]byte("x"), softFrame*2/3))
		var batch []Write
		for i := range 4 {
			batch = append(batch, put(fmt.Sprint("k", i), value))
		}
		for _, w := range r.nodes["n1"].write(batch...) {
			if w.Err != nil {
				t.Fatal(w.Err)
			}
		}
		if got := r.count(replica.KindApply); got != 4 {
			t.Fatalf("%d frames", got)
		}
		n := 0
		r.setFate(func(_, _ string, kind uint8) fate {
			n++
			return fate{loseRequest: n%2 == 0} // the second frame to both
		})
		for i, w := range r.nodes["n1"].write(batch...) {
			var u *UncertainError
			if !errors.As(w.Err, &u) || u.K != 1 {
				t.Fatal(i, w.Err)
			}
		}
	})
}

// A read-modify-write sees what R owners hold, and brings its own replica up
// to date first.
func TestCheckFirst(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		r.leaveBehind("n1", "k", "41", "n2", "n3")
		r.setDown("n3", true)
		w := r.nodes["n2"].write(incr("k"), incr("k"))
		if w[0].Err != nil || w[0].Update.Number != 42 || w[1].Update.Number != 43 {
			t.Fatal(w[0].Err, w[0].Update.Number, w[1].Update.Number)
		}
		if read := r.count(replica.KindRead); read != 1 {
			t.Fatalf("%d reads", read)
		}
		time.Sleep(time.Second)
		if text(r.nodes["n1"].holds("k")) != "43" || len(r.nodes["n1"].holds("k").Versions) != 1 {
			t.Fatal("n1 has", text(r.nodes["n1"].holds("k")))
		}
	})
}

// If R owners cannot be read first, nothing is stored; a blind write of the
// same batch is not affected.
func TestCheckFirstNoQuorum(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		r.setFate(func(_, _ string, kind uint8) fate { return fate{loseRequest: kind == replica.KindRead} })
		op := incr("k")
		w := r.nodes["n1"].write(op, incr("k"), put("j", "v"))
		quorumError(t, w[0].Err, 2, 1)
		quorumError(t, w[1].Err, 2, 1)
		if text(r.nodes["n1"].holds("j")) != "v" {
			t.Fatal("the other write is gone")
		}
		r.nowhere("k")
	})
}

// Only a present owner mints.
func TestWriteNotOwner(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		p := r.nodes["n1"].View().Ring.Lookup(key("k").Slot)
		if w := r.nodes[p.Fallbacks[0]].write(put("k", "v"), incr("k")); w[0].Err != ErrNotOwner || w[1].Err != ErrNotOwner {
			t.Fatal(w[0].Err, w[1].Err)
		}
		r.nowhere("k")
	})
}

// What the local replica refuses is refused, and sent to nobody.
func TestWriteRefused(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		ctx, cancel := context.WithCancel(context.Background())
		closed := replica.New(replica.Options{Store: n.store})
		cancel()
		if err := closed.Run(ctx); err != nil {
			t.Fatal(err)
		}
		n.Coordinator.replica = closed
		if w := n.write(put("k", "v")); !errors.Is(w[0].Err, replica.ErrClosed) {
			t.Fatal(w[0].Err)
		}
		r.nowhere("k")
	})
}

// An ack after the answer is still heard.
func TestWriteStragglers(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		r.setFate(only("n2", replica.KindApply, fate{delay: 100 * time.Millisecond}))
		if w := n.write(put("k", "v")); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		synctest.Wait()
		if s := n.Stats(); s.Stragglers != 0 || s.Missed != 0 {
			t.Fatalf("%+v", s)
		}
		time.Sleep(time.Second)
		if s := n.Stats(); s.Stragglers != 1 || s.Missed != 0 {
			t.Fatalf("%+v", s)
		}
	})
}
