package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage/version"
)

// health against a model: a node is passed over from its failure on until it is
// well again, probed about every probeEvery; this node only for that long.
func TestHealth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h health
		h.init()
		now := time.Now()
		failed := map[string]bool{}
		probed := map[string]time.Time{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			node := fmt.Sprint("n", rapid.IntRange(1, 3).Draw(t, "node"))
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				if news := h.fail(node, now); news == failed[node] {
					t.Fatalf("%s failed, news: %v", node, news)
				}
				if !failed[node] {
					failed[node], probed[node] = true, now
				}
			case 1:
				h.well(node)
				delete(failed, node)
			default:
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(probeEvery)).Draw(t, "later")))
				nodes, next := h.due(now)
				for _, n := range nodes {
					if !failed[n] || now.Sub(probed[n]) < probeEvery {
						t.Fatalf("%s is probed after %v", n, now.Sub(probed[n]))
					}
					probed[n] = now
				}
				if next.IsZero() != (len(failed) == 0) || next.Sub(now) > probeEvery {
					t.Fatalf("next after %v, %v failed", next.Sub(now), failed)
				}
				for n := range failed {
					if now.Sub(probed[n]) >= probeEvery {
						t.Fatalf("%s was not probed for %v", n, now.Sub(probed[n]))
					}
				}
			}
			for i := range 4 {
				if n := fmt.Sprint("n", i); h.passed(n) != failed[n] {
					t.Fatalf("%s: passed over %v", n, h.passed(n))
				}
			}
			if h.count() != len(failed) {
				t.Fatal(h.count(), failed)
			}
		}
	})
}

// What says that a node cannot store, and what does not.
func TestCannotStore(t *testing.T) {
	code := func(c peer.Code) error { return &peer.RemoteError{Code: c} }
	for _, c := range []struct {
		err  error
		took time.Duration
		want bool
	}{
		{peer.ErrTimeout, fairWait, true},
		{peer.ErrTimeout, fairWait - 1, false}, // it was not given the time
		{peer.ErrLost, time.Second, false},
		{code(replica.CodeFailed), 0, true},
		{code(replica.CodeRefused), 0, true},
		{code(replica.CodeOverloaded), 0, false},
		{code(replica.CodeStale), 0, false},
		{code(replica.CodeHintsFull), 0, false},
		{code(replica.CodeClosed), 0, false},
		{code(CodeLoading), 0, false},
	} {
		if got := cannotStore(c.err, c.took); got != c.want {
			t.Errorf("%v after %v: %v", c.err, c.took, got)
		}
	}
}

// A node whose disk hangs, and which can be called, is passed over after the
// first timeout: nothing waits for it any more, though it is still sent what it
// is to have, and it is used again when its disk answers.
func TestHangingDiskIsPassedOver(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		p := r.list("k")
		sick, n := p.Owners[0], r.nodes[p.Owners[1]]
		r.setSync(sick, 3*time.Second)
		all := put("k", "v")
		all.W = 3
		if w := n.write(all); w[0].Err != nil { // covered for being late
			t.Fatal(w[0].Err)
		}
		time.Sleep(DefaultTimeout)
		if s := n.Stats(); !n.Passed(sick) || s.PassedOver != 1 {
			t.Fatalf("%+v", s)
		}
		r.count(replica.KindApply)
		began := time.Now()
		if w := n.write(all); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		if took := time.Since(began); took > 5*time.Millisecond || r.count(replica.KindApply) != 2 {
			t.Fatalf("took %v", took)
		}
		if to, err := n.Route(key("k").Slot, RMW); to != "" || err != nil {
			t.Fatal("a node that cannot store orders changes", to, err)
		}
		if v, err := n.incr("{k}n"); v != "1" || err != nil {
			t.Fatal(v, err)
		}
		time.Sleep(time.Second)
		if !n.Passed(sick) {
			t.Fatal("its disk still hangs")
		}
		r.setSync(sick, 0)
		time.Sleep(5 * time.Second)
		if n.Passed(sick) || n.Stats().PassedOver != 0 {
			t.Fatal("it is still passed over")
		}
		if text(r.nodes[sick].holds("k")) != "v" {
			t.Fatal("it was not sent what it is to have")
		}
		if to, err := n.Route(key("k").Slot, RMW); to != sick || err != nil {
			t.Fatal("it is not used again", to, err)
		}
	})
}

// A node that is passed over and goes down is asked for its disk when it is
// back, and not used before.
func TestPassedOverStaysSoWhileDown(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		p := r.list("k")
		sick, n := p.Owners[0], r.nodes[p.Owners[1]]
		r.setSync(sick, 3*time.Second)
		if w := n.write(put("k", "v")); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		time.Sleep(DefaultTimeout)
		r.setDown(sick, true)
		time.Sleep(5 * probeEvery)
		r.setDown(sick, false)
		if !n.Passed(sick) {
			t.Fatal("it is used, though its disk hangs")
		}
		r.setSync(sick, 0)
		time.Sleep(5 * time.Second)
		if n.Passed(sick) {
			t.Fatal("it is still passed over")
		}
	})
}

// Where a coordinator's own disk has to sync before it answers, others stop
// passing commands on to it once one has taken too long, and it uses others for
// those of its own clients.
func TestSlowCoordinatorIsPassedOver(t *testing.T) {
	bubbleOne(t, 5, func(r *rig) {
		p := r.list("k")
		sick, n := r.nodes[p.Owners[0]], r.nodes[p.Fallbacks[0]]
		r.setSync(sick.name, 3*time.Second)
		if reply, err := n.incr("k"); err != nil || !strings.HasPrefix(reply, "UNCERTAIN") {
			t.Fatalf("a coordinator whose disk hangs answers %q, %v", reply, err)
		}
		if !n.Passed(sick.name) || !sick.Passed(sick.name) {
			t.Fatal("it is not passed over", n.Passed(sick.name), sick.Passed(sick.name))
		}
		if to, err := sick.Route(key("k").Slot, RMW); to == "" || err != nil {
			t.Fatal("it goes on by itself", to, err)
		}
		for range 10 {
			began := time.Now()
			if reply, err := n.incr("k"); err != nil || strings.HasPrefix(reply, "UNCERTAIN") || time.Since(began) > fairWait {
				t.Fatal(time.Since(began), reply, err)
			}
			time.Sleep(probeEvery)
		}
		r.setSync(sick.name, 0)
		time.Sleep(5 * time.Second)
		if to, err := n.Route(key("k").Slot, RMW); to != sick.name || err != nil {
			t.Fatal("it is not used again", to, err)
		}
	})
}

// Where the disk of a key's first owner is full, nothing is stored there and
// the next owner orders its changes, whoever is asked.
func TestFullDiskIsRoutedOver(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		out, p := r.outsider("k")
		first, second := r.nodes[p.Owners[0]], r.nodes[p.Owners[1]]
		r.setFull(first.name, true)
		if v, err := out.incr("k"); v != "1" || err != nil {
			t.Fatal(v, err)
		}
		if s := out.Stats(); s.Rerouted != 1 || !out.Passed(first.name) {
			t.Fatalf("%+v", s)
		}
		if v, err := out.incr("k"); v != "2" || err != nil || out.Stats().Rerouted != 1 {
			t.Fatal(v, err, out.Stats().Rerouted)
		}
		if v, err := first.incr("k"); v != "3" || err != nil || !first.Passed(first.name) {
			t.Fatal(v, err)
		}
		if v, err := first.set("{k}blind", "v"); v != "OK" || err != nil {
			t.Fatal(v, err)
		}
		if first.holds("k") != nil || second.holds("k").Versions[0].Dot.Actor != second.store.Actor() {
			t.Fatal("not the second owner")
		}
		if got := r.hintsFor(first.name); len(got) == 0 {
			t.Fatal("nobody keeps it for the first owner")
		}
		r.setFull(first.name, false)
		if to, err := out.Route(key("k").Slot, RMW); to != first.name || err != nil {
			t.Fatal(to, err)
		}
		if to, err := first.Route(key("k").Slot, RMW); to != "" || err != nil {
			t.Fatal(to, err)
		}
		time.Sleep(time.Second)
	})
}

// A node that is passed over still does where there is nobody else.
func TestPassedOverIsBetterThanNobody(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		p := r.list("k")
		n := r.nodes[p.Owners[1]]
		for _, name := range r.names {
			n.passOver(n.asked(name), errors.New("it is said to be full"))
		}
		if to, err := n.Route(key("k").Slot, RMW); to != p.Owners[0] || err != nil {
			t.Fatal(to, err)
		}
		if w := n.write(put("k", "v")); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		r.setDown(p.Owners[0], true)
		r.setDown(p.Owners[2], true)
		if to, err := n.Route(key("k").Slot, RMW); to != "" || err != nil {
			t.Fatal(to, err)
		}
	})
}

// A node whose own replica does not get to what it is given has others run
// commands until it does.
func TestOwnHangIsRoutedOver(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		p := r.list("k")
		n := r.nodes[p.Owners[0]]
		hold := make(chan struct{})
		stuck := put("k", "v")
		stuck.Update.Decide = func(*version.Cell, int64) (replica.Change, error) {
			<-hold
			return stuck.Update.Change, nil
		}
		go func() {
			time.Sleep(2 * DefaultTimeout)
			close(hold)
		}()
		done := make(chan error, 1)
		go func() { done <- n.write(stuck)[0].Err }()
		time.Sleep(DefaultTimeout + time.Millisecond)
		for _, class := range []Class{Reading, Blind, RMW} {
			if to, err := n.Route(key("k").Slot, class); to == "" || err != nil {
				t.Fatal(class, err)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		time.Sleep(probeEvery)
		if to, err := n.Route(key("k").Slot, Blind); to != "" || err != nil {
			t.Fatal(to, err)
		}
	})
}
