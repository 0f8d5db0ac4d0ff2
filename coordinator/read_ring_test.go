package coordinator

import (
	"testing"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
)

// A node that owns nothing of the key reads R owners, and decides by them.
func TestReadNotOwner(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		p := r.nodes["n1"].View().Ring.Lookup(key("k").Slot)
		if len(p.Fallbacks) != 2 {
			t.Fatal(p)
		}
		if _, err := r.nodes["n1"].set("k", "v"); err != nil {
			t.Fatal(err)
		}
		out := r.nodes[p.Fallbacks[0]]
		for _, need := range []int{1, 2, 3} {
			if c, err := out.read("k", need); text(c) != "v" || err != nil {
				t.Fatal(text(c), err)
			}
			if got := r.count(replica.KindRead); got != need {
				t.Fatalf("R=%d asked %d", need, got)
			}
		}
		if out.holds("k") != nil {
			t.Fatal("it keeps what it does not own")
		}
		r.setDown(p.Owners[0], true)
		r.setDown(p.Owners[1], true)
		r.setDown(p.Fallbacks[1], true)
		_, err := out.read("k", 3) // its own replica stands in, and one owner answers
		quorumError(t, err, 3, 2)
	})
}

// A local replica that is coming is not asked, nor counted: it has nothing to
// say yet, and what it does not hold is no answer.
func TestReadComing(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		names := []string{"n1", "n2", "n3"}
		table := replay(t, foundation(3, names...))
		p := table.Lookup(key("k").Slot)
		if len(p.Owners) != 1 || len(p.Coming) != 2 {
			t.Fatal(p)
		}
		for _, n := range r.nodes {
			n.setView(View{Ring: table})
		}
		if _, err := r.nodes[p.Owners[0]].set("k", "v"); err != nil {
			t.Fatal(err)
		}
		r.count(replica.KindRead)
		coming := r.nodes[p.Coming[0]]
		if c, err := coming.read("k", 3); text(c) != "v" || err != nil {
			t.Fatal(text(c), err)
		}
		if got := r.count(replica.KindRead); got != 1 {
			t.Fatalf("%d were asked", got)
		}
		r.setDown(p.Owners[0], true)
		if c, err := coming.read("k", 1); text(c) != "v" || err != nil { // it stands in
			t.Fatal(text(c), err)
		}
		_, err := coming.read("{k}none", 1)
		quorumError(t, err, 1, 0)
	})
}

// An owner that has lost its data since, and is coming again, does not answer
// one who does not know it yet: its "absent" must not outvote what is there.
func TestReadWiped(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		p := r.nodes["n1"].View().Ring.Lookup(key("k").Slot)
		asker, wiped, holder := r.nodes[p.Owners[0]], r.nodes[p.Owners[1]], r.nodes[p.Owners[2]]
		r.leaveBehind(holder.name, "k", "v", asker.name, wiped.name)
		events := settledEvents(t, 3, r.names...)
		events = append(events, ring.Event{Kind: ring.Join, Name: wiped.name, Actor: 999, Weight: 1})
		wiped.setView(View{Ring: replay(t, events)})
		if role := wiped.View().Ring.Lookup(key("k").Slot).Role(wiped.name); role != ring.Coming {
			t.Fatal(role)
		}
		if c, err := asker.read("k", 2); text(c) != "v" || err != nil {
			t.Fatal(text(c), err)
		}
		r.count(replica.KindRead)
		if c, err := asker.read("k", 3); text(c) != "v" || err != nil || r.count(replica.KindRead) != 3 {
			t.Fatal("no fallback was asked in its place", text(c), err)
		}
		for _, f := range p.Fallbacks {
			r.setDown(f, true)
		}
		if _, err := asker.read("k", 3); err == nil {
			t.Fatal("three nodes answered")
		}
		// Whoever is asked without values, or as a stand-in, still answers.
		body := replica.AppendStandInRead(nil, []replica.Ask{{Key: key("k")}})
		if wiped.refuse(replica.KindRead, body, answer(func(peer.Reply) {})) {
			t.Fatal("a stand-in is refused")
		}
		for _, stripped := range []bool{true, false} {
			body := replica.AppendRead(nil, []replica.Ask{{Key: key("k")}}, stripped)
			if refused := wiped.refuse(replica.KindRead, body, answer(func(peer.Reply) {})); refused == stripped {
				t.Fatal(stripped)
			}
		}
		wiped.setView(View{})
		if _, err := asker.read("k", 3); err == nil {
			t.Fatal("a node without a ring answered")
		}
	})
}
