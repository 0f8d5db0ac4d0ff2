package coordinator

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
)

// downAll has nobody reach the nodes.
func (r *rig) downAll(names ...string) {
	for _, name := range names {
		r.setDown(name, true)
	}
}

// Where no owner can be reached the first fallback that can be runs the
// command, on itself if it is the one; its own copy counts, and the others have
// hints.
func TestStandIn(t *testing.T) {
	bubble(t, 6, Options{}, func(r *rig) {
		p := r.list("k")
		first, second := r.nodes[p.Fallbacks[0]], r.nodes[p.Fallbacks[1]]
		r.downAll(p.Owners...)
		for _, n := range []*node{first, second} {
			for _, class := range []Class{Reading, Blind, RMW} {
				if to, err := n.Route(key("k").Slot, class); err != nil || to != n.asked(first.name) {
					t.Fatal(to, err)
				}
			}
		}
		if v, err := second.set("k", "v"); v != "OK" || err != nil {
			t.Fatal(v, err)
		}
		if text(first.holds("k")) != "v" {
			t.Fatal("not among the stand-in's own")
		}
		for i, o := range p.Owners {
			if got := r.hintsFor(o); len(got) != min(i, 1) {
				t.Fatalf("%v keep hints for %s", got, o)
			}
		}
		for _, name := range p.Fallbacks {
			if v, err := r.nodes[name].get("k"); v != "v" || err != nil {
				t.Fatalf("%s reads %s, %v", name, v, err)
			}
		}
		if s := first.Stats(); s.StandIns != 1 || s.Missed != 0 {
			t.Fatalf("%+v", s)
		}
	})
}

// A stand-in changes what its own replica and other fallbacks keep; that there
// is nothing is for owners to say.
func TestStandInReadsFirst(t *testing.T) {
	bubble(t, 6, Options{}, func(r *rig) {
		p := r.list("k")
		writer := r.nodes[p.Owners[0]]
		for _, name := range p.Owners[1:] {
			r.setDown(name, true)
		}
		if v, err := writer.set("k", "7"); v != "OK" || err != nil {
			t.Fatal(v, err)
		}
		// Its owner and both hints' first keeper are gone as well.
		r.downAll(p.Owners[0], p.Fallbacks[0])
		n := r.nodes[p.Fallbacks[2]]
		for _, q := range []int{1, 2} {
			if c, err := n.read("k", q); text(c) != "7" || err != nil {
				t.Fatal(q, text(c), err)
			}
			_, err := n.read("{k}none", q)
			quorumError(t, err, q, 0)
		}
		if v, err := n.incr("k"); v != "8" || err != nil {
			t.Fatal(v, err)
		}
		if v, err := n.incr("{k}none"); err == nil || !strings.Contains(err.Error(), "nothing was stored") {
			t.Fatal(v, err)
		}
		if v, err := n.set("{k}none", "1"); v != "OK" || err != nil { // blind
			t.Fatal(v, err)
		}
		r.nowhere("{k}other")
	})
}

// What a stand-in keeps for owners is replaced by its own blind writes, not
// left as a sibling.
func TestStandInReplacesHints(t *testing.T) {
	bubble(t, 6, Options{}, func(r *rig) {
		p := r.list("k")
		r.setDown(p.Owners[1], true)
		if v, err := r.nodes[p.Owners[0]].set("k", "old"); v != "OK" || err != nil {
			t.Fatal(v, err)
		}
		time.Sleep(time.Second)
		r.downAll(p.Owners...)
		n := r.nodes[p.Fallbacks[0]]
		if text(n.keeps("k")) != "old" || n.holds("k") != nil {
			t.Fatal("no hint to begin with")
		}
		if w := n.write(put("k", "new")); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		if c := n.keeps("k"); text(c) != "new" || len(c.Versions) != 1 {
			t.Fatal(c)
		}
	})
}

// A node that owns nothing of a key writes it only where it reaches no owner,
// or is told to: it then sends the cells to the owners that it reaches.
func TestStandInIsTold(t *testing.T) {
	bubble(t, 6, Options{}, func(r *rig) {
		p := r.list("k")
		n, out := r.nodes[p.Fallbacks[0]], r.nodes[p.Fallbacks[1]]
		if w := n.write(put("k", "v")); w[0].Err != ErrNotOwner {
			t.Fatal(w[0].Err)
		}
		for _, o := range p.Owners {
			r.cut(out.name, o, true)
		}
		r.setDown(p.Owners[2], true)
		if v, err := out.set("k", "v"); v != "OK" || err != nil {
			t.Fatal(v, err)
		}
		time.Sleep(time.Second)
		for _, name := range []string{n.name, p.Owners[0], p.Owners[1]} {
			if text(r.nodes[name].holds("k")) != "v" {
				t.Fatalf("%s does not hold it", name)
			}
		}
		if got := r.hintsFor(p.Owners[2]); len(got) != 0 {
			t.Fatal("the stand-in's own copy is for that owner", got)
		}
		if s := n.Stats(); s.StandIns != 1 || s.HintsSent != 0 {
			t.Fatalf("%+v", s)
		}
		stranger := put("k", "v")
		stranger.StandIn = true
		n.opts.Self = "n9"
		if w := n.write(stranger); w[0].Err != ErrNotOwner {
			t.Fatal("it is no member", w[0].Err)
		}
	})
}

// A coming owner stands in last, and its own copy counts; no other coming
// owner's does.
func TestStandInComing(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		table := replay(t, foundation(3, r.names...))
		p := table.Lookup(key("k").Slot)
		if len(p.Owners) != 1 || len(p.Coming) != 2 {
			t.Fatal(p)
		}
		for _, n := range r.nodes {
			n.setView(View{Ring: table})
		}
		r.setDown(p.Owners[0], true)
		first := r.nodes[p.Coming[0]]
		if to, err := r.nodes[p.Coming[1]].Route(key("k").Slot, Blind); to != first.name || err != nil {
			t.Fatal(to, err)
		}
		if w := first.write(put("k", "v")); w[0].Err != nil { // the list is one owner wide
			t.Fatal(w[0].Err)
		}
		if r.setDown(p.Coming[1], true); first.write(put("k", "w"))[0].Err != nil {
			t.Fatal("a coming owner is counted on")
		}
	})
}

// An owner that comes again after it lost its data still counts in W: a
// fallback makes up for it, with a hint for it.
func TestComingAgainIsMadeUpFor(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		p := r.list("k")
		events := append(settledEvents(t, 3, r.names...), ring.Event{Kind: ring.Join, Name: p.Owners[1], Actor: 999, Weight: 1})
		table := replay(t, events)
		if q := table.Lookup(key("k").Slot); len(q.Owners) != 2 || q.Width != 3 || len(q.Coming) != 1 {
			t.Fatal(q)
		}
		for _, n := range r.nodes {
			n.setView(View{Ring: table})
		}
		op := put("k", "v")
		op.W = 3
		if w := r.nodes[p.Owners[0]].write(op); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		if got := r.hintsFor(p.Owners[1]); !slices.Equal(got, p.Fallbacks[:1]) {
			t.Fatal(got)
		}
	})
}

// Fewer owners than R, and the first fallbacks answer for what they keep; who
// answered an owner's read is repaired, a fallback is left alone.
func TestSloppyRead(t *testing.T) {
	bubble(t, 6, Options{}, func(r *rig) {
		p := r.list("k")
		n := r.nodes[p.Owners[0]]
		r.downAll(p.Owners[1], p.Owners[2])
		if v, err := n.set("k", "v"); v != "OK" || err != nil {
			t.Fatal(v, err)
		}
		time.Sleep(time.Second)
		r.count(replica.KindRead)
		if c, err := n.read("k", 2); text(c) != "v" || err != nil || r.count(replica.KindRead) != 1 {
			t.Fatal(text(c), err)
		}
		// An owner has answered: it is known that there is nothing.
		if c, err := n.read("{k}none", 3); c != nil || err != nil {
			t.Fatal(c, err)
		}
		// What only fallbacks hold is brought to the owners that answer.
		r.setDown(p.Owners[0], true)
		r.setDown(p.Owners[1], false)
		if c, err := r.nodes[p.Owners[1]].read("k", 3); text(c) != "v" || err != nil {
			t.Fatal(text(c), err)
		}
		time.Sleep(time.Second)
		if text(r.nodes[p.Owners[1]].holds("k")) != "v" {
			t.Fatal("the owner that read it is not repaired")
		}
		r.downAll(p.Fallbacks...)
		if v, err := r.nodes[p.Owners[1]].runW(1, Blind, "SET", "{k}alone", "v"); v != "OK" || err != nil {
			t.Fatal(v, err)
		}
		time.Sleep(time.Second)
		for _, f := range p.Fallbacks {
			r.setDown(f, false)
		}
		if c, err := r.nodes[p.Owners[1]].read("{k}alone", 3); text(c) != "v" || err != nil {
			t.Fatal(text(c), err)
		}
		time.Sleep(time.Second)
		for _, f := range p.Fallbacks {
			if r.nodes[f].holds("k") != nil || r.nodes[f].holds("{k}alone") != nil {
				t.Fatalf("%s was repaired: it owns nothing of the key", f)
			}
		}
	})
}

// Owners that can be called and do not answer are given up for fallbacks in
// time; those that are merely late are not.
func TestSilentOwnersAreGivenUp(t *testing.T) {
	bubble(t, 6, Options{}, func(r *rig) {
		p := r.list("k")
		n := r.nodes[p.Owners[0]]
		r.downAll(p.Owners[1], p.Owners[2])
		if v, err := n.set("k", "v"); v != "OK" || err != nil {
			t.Fatal(v, err)
		}
		r.setDown(p.Owners[1], false)
		r.setDown(p.Owners[2], false)
		for _, silent := range []bool{true, false} {
			r.setFate(func(_, to string, kind uint8) fate {
				if !slices.Contains(p.Owners, to) {
					return fate{}
				}
				return fate{loseReply: silent, delay: 100 * time.Millisecond}
			})
			began := time.Now()
			if c, err := n.read("k", 2); text(c) != "v" || err != nil {
				t.Fatal(text(c), err)
			}
			if took := time.Since(began); took < 200*time.Millisecond || took > DefaultTimeout*6/10 {
				t.Fatalf("silent %v: took %v", silent, took)
			}
		}
	})
}

// A repair that has waited for longer than what it carries may live is not
// made.
func TestOldRepairsAreDropped(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		cell := sampleCell(t, "v", false)
		n.repairs.add("n2", key("old"), cell, time.Now().Add(-replica.OpLifetime))
		n.repairs.add("n2", key("new"), cell, time.Now())
		time.Sleep(time.Second)
		if r.nodes["n2"].holds("old") != nil || r.nodes["n2"].holds("new") == nil {
			t.Fatal("old data was sent, or new data was not")
		}
		if s := n.Stats(); s.RepairsDone != 1 || s.RepairsDropped != 1 {
			t.Fatalf("%+v", s)
		}
		err := n.catchUp(t.Context(), []replica.KeyedCell{{Key: key("old"), Cell: cell}}, time.Now().Add(-replica.OpLifetime), time.Now().Add(time.Second))
		var q *NoQuorumError
		if !errors.As(err, &q) || n.holds("old") != nil {
			t.Fatal(err)
		}
	})
}
