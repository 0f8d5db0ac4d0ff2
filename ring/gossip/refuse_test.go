package gossip

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dynaring/dynaring/ring"
)

// A joiner that asked for what the cluster is not is told so, and leaves no
// trace. Defaults are not asked for.
func TestMismatch(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1 := b.start(1, b.options(1))
		n1.mustJoin()
		o := b.options(2, 1)
		o.Want.N, o.Want.Partitions = 5, 64
		o.Explicit = Explicit{N: true, Placement: true}
		err := b.start(2, o).fails()
		var mismatch *MismatchError
		if !errors.As(err, &mismatch) || len(mismatch.Fields) != 1 {
			t.Fatalf("got %v", err)
		}
		const text = "the cluster was made with --n 3, this node was asked for --n 5: these are fixed when a cluster is made; start the node with --n 3, or without --n"
		if err.Error() != text {
			t.Errorf("got  %s\nwant %s", err, text)
		}
		o.Explicit = Explicit{N: true, Partitions: true}
		if err := b.start(2, o).fails(); !strings.Contains(err.Error(), "start the node with --n 3 --partitions 256, or without --n --partitions") {
			t.Errorf("got %s", err)
		}
		if n := n1.View().History.Len(); n != 2 {
			t.Errorf("the history has %d events", n)
		}
		o.Explicit = Explicit{}
		n2 := b.start(2, o)
		n2.mustJoin()
		within(t, 5*time.Second, "they agree", func() bool { return agree(n1, n2) })
		n2.stop()

		n2.opts.Explicit.N = true
		if _, err := New(n2.opts); !errors.As(err, &mismatch) {
			t.Errorf("restarted with another n: got %v", err)
		}
		n1.stop()
	})
}

// Two clusters never merge: not when a seed is another's, not when one takes
// over an address that the other knows.
func TestTwoFounders(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1, n2 := b.start(1, b.options(1)), b.start(2, b.options(2))
		n1.mustJoin()
		n2.mustJoin()
		n2.stop()
		n2.opts.Seeds = []string{gossipAddr(1)}
		err := b.start(2, n2.opts).fails()
		var foreign *ForeignError
		if !errors.As(err, &foreign) || !errors.Is(err, ring.ErrForeignCluster) || !strings.Contains(err.Error(), "empty --data-dir") {
			t.Errorf("got %v", err)
		}

		// In a cluster of two, the foreign seed is only reported.
		n2.opts.Seeds = nil
		n2 = b.start(2, n2.opts)
		n3 := b.start(3, b.options(3, 2))
		n3.mustJoin()
		within(t, 5*time.Second, "they agree", func() bool { return agree(n2, n3) })
		stopAll(n2, n3)
		n3.opts.Seeds = []string{gossipAddr(1)}
		n3 = b.start(3, n3.opts)
		time.Sleep(time.Minute)
		if v := n1.View(); len(v.Ring.Members()) != 1 || len(v.Members) != 1 {
			t.Errorf("the first cluster has grown: %v", v.Members)
		}
		if v := n3.View(); len(v.Ring.Members()) != 2 || v.Alive["n1"] || v.Alive["n2"] {
			t.Errorf("the second cluster has changed: %v", v.Alive)
		}

		// n1 moves to where n2 was: n3 tries that address, and is refused.
		n1.stop()
		n1 = b.start(2, n1.opts)
		time.Sleep(time.Minute)
		if v := n1.View(); len(v.Ring.Members()) != 1 || len(v.Alive) != 1 {
			t.Errorf("the first cluster has grown: %v", v.Alive)
		}
		if v := n3.View(); v.Alive["n2"] {
			t.Error("a node of another cluster is taken for n2")
		}
		stopAll(n1, n3)
	})
}

// Nobody takes the name of a node that is alive.
func TestNameTaken(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1, n2, n3 := b.three()
		o := b.options(2, 1)
		o.Self.Actor, o.Self.Addr = 77, host(4)+":7379"
		impostor := b.start(4, o)
		down := 0
		for range 200 {
			time.Sleep(50 * time.Millisecond)
			if !agree(n1, n2, n3) {
				down++
			}
		}
		err := impostor.fails()
		var taken *NameTakenError
		if !errors.As(err, &taken) || taken.Actor != 1002 || taken.Addr != gossipAddr(2) {
			t.Errorf("got %v", err)
		}
		if down > 0 {
			t.Errorf("the other n2 disturbed the cluster at %d of 200 looks", down)
		}
		if n := n1.View().History.Len(); n != 4 {
			t.Errorf("the history has %d events", n)
		}
		stopAll(n1, n2, n3)
	})
}

// A member that comes back under its name with an empty data directory takes
// its place over, at its address and at another one.
func TestWiped(t *testing.T) {
	for name, at := range map[string]int{"same address": 2, "other address": 9} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				n1, n2, n3 := b.three()
				b.crash(n2, 2)
				o := b.options(2, 1)
				o.Self.Actor = 2002
				wiped := b.start(at, o)
				wiped.mustJoin()
				within(t, 15*time.Second, "they agree", func() bool { return agree(n1, wiped, n3) })
				m, _ := n1.View().Ring.Member("n2")
				if m.Actor != 2002 || len(n1.View().Ring.Members()) != 3 || n3.View().Members["n2"].Actor != 2002 {
					t.Errorf("n2 is %+v", m)
				}
				if len(n3.View().Ring.ComingOf("n2")) == 0 {
					t.Error("n2 does not come again to what it had")
				}
				// The old data directory turns up again: its place is taken.
				err := b.start(5, n2.opts).fails()
				var taken *NameTakenError
				if !errors.As(err, &taken) || taken.Actor != 2002 || !strings.Contains(err.Error(), "empty --data-dir") {
					t.Errorf("the old n2: got %v", err)
				}
				within(t, 15*time.Second, "they agree", func() bool { return agree(n1, wiped, n3) })
				stopAll(n1, wiped, n3)
			})
		})
	}
}

// Two new nodes of one name join at the same time, through different members
// that cannot tell each other: one of them has to go.
func TestTwoJoinersOfOneName(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1, n2, n3 := b.three()
		b.net.Partition([]string{host(1), host(4)}, []string{host(2), host(3), host(5)})
		time.Sleep(5 * time.Second)
		o4, o5 := b.options(4, 1), b.options(4, 2)
		o5.Self.Actor, o5.Self.Addr = 77, host(5)+":7379"
		a := b.start(4, o4)
		a.mustJoin()
		time.Sleep(time.Second)
		c := b.start(5, o5)
		c.mustJoin()
		time.Sleep(30 * time.Second)
		b.net.HealAll()
		err := a.fails()
		var taken *NameTakenError
		if !errors.As(err, &taken) || taken.Actor != 77 {
			t.Errorf("got %v", err)
		}
		within(t, 15*time.Second, "the others agree", func() bool { return agree(n1, n2, n3, c) })
		stopAll(n1, n2, n3, c)
	})
}

func TestRenamed(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1 := b.start(1, b.options(1))
		n1.mustJoin()
		n1.stop()
		n1.opts.Self.Name = "other"
		_, err := New(n1.opts)
		var renamed *RenamedError
		if !errors.As(err, &renamed) || !strings.Contains(err.Error(), "--name n1") {
			t.Errorf("got %v", err)
		}
	})
}

// A copy of a data directory is refused under another name also where its
// history was left out.
func TestSameActorTwice(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1 := b.start(1, b.options(1))
		o := b.options(2, 1)
		o.Self.Actor = 1001
		err := b.start(2, o).fails()
		var renamed *RenamedError
		if !errors.As(err, &renamed) || renamed.Was != "n1" {
			t.Errorf("got %v", err)
		}
		n1.stop()
	})
}

// Joiners wait for a member to answer, for as long as it takes; two joiners
// that only know each other make no cluster.
func TestJoinersWait(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n2, n3 := b.start(2, b.options(2, 3, 1)), b.start(3, b.options(3, 2, 1))
		time.Sleep(5 * time.Minute)
		for _, n := range []*node{n2, n3} {
			if v := n.View(); v.Ring != nil || v.History != nil || len(v.Alive) > 0 {
				t.Errorf("%s sees %+v", n.opts.Self.Name, v)
			}
			if err := n.Add(ring.Event{Kind: 77}); !errors.Is(err, ErrNotJoined) {
				t.Errorf("got %v before the join", err)
			}
			if _, err := n.Merge(nil); !errors.Is(err, ErrNotJoined) {
				t.Errorf("got %v before the join", err)
			}
		}
		n1 := b.start(1, b.options(1, 1)) // told of itself only
		within(t, 10*time.Second, "three agree", func() bool { return n1.View().Ring != nil && agree(n1, n2, n3) })
		stopAll(n1, n2, n3)
	})
}

// A joiner stops at once when told to.
func TestJoinerStops(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.net.Cut(host(1), host(2))
		n1, n2 := b.start(1, b.options(1)), b.start(2, b.options(2, 1))
		time.Sleep(time.Second)
		stopAll(n2, n1)
	})
}
