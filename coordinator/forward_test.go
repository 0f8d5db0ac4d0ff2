package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// outsider returns a node that owns nothing of the key, and the key's owners.
func (r *rig) outsider(name string) (*node, *ring.Preference) {
	p := r.nodes["n1"].View().Ring.Lookup(key(name).Slot)
	return r.nodes[p.Fallbacks[0]], p
}

// Any node takes any command for any key.
func TestForward(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		for i, name := range r.names {
			k := fmt.Sprint("k", i)
			if _, err := r.nodes[name].set(k, "1"); err != nil {
				t.Fatal(err)
			}
			for _, n := range r.nodes {
				if _, err := n.incr(k); err != nil {
					t.Fatal(err)
				}
			}
			for _, n := range r.nodes {
				if v, err := n.get(k); v != "6" || err != nil {
					t.Fatalf("%s reads %s, %v", n.name, v, err)
				}
			}
		}
	})
}

// What was certainly not started is tried on the next owner: a
// read-modify-write on the first that can be reached.
func TestForwardNextOwner(t *testing.T) {
	refusals := map[string]fate{
		"unreachable": {refuse: peer.ErrUnreachable},
		"overloaded":  {refuse: peer.ErrOverloaded},
	}
	for what, f := range refusals {
		bubble(t, 5, Options{}, func(r *rig) {
			out, p := r.outsider("k")
			r.setFate(only(p.Owners[0], replica.KindExec, f))
			if _, err := out.incr("k"); err != nil {
				t.Fatal(what, err)
			}
			if c := r.nodes[p.Owners[1]].holds("k"); c == nil || c.Versions[0].Dot.Actor != r.nodes[p.Owners[1]].store.Actor() {
				t.Fatal(what, c)
			}
			if s := out.Stats(); s.Rerouted != 1 {
				t.Fatalf("%+v", s)
			}
		})
	}
}

// The next in line may be this node.
func TestForwardHere(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		p := r.nodes["n1"].View().Ring.Lookup(key("k").Slot)
		second := r.nodes[p.Owners[1]]
		r.setFate(only(p.Owners[0], replica.KindExec, fate{refuse: peer.ErrOverloaded}))
		if v, err := second.incr("k"); v != "1" || err != nil {
			t.Fatal(v, err)
		}
		if c := second.holds("k"); c.Versions[0].Dot.Actor != second.store.Actor() {
			t.Fatal(c)
		}
	})
}

// A node that is no present owner, by its own ring, starts nothing, and says
// so.
func TestForwardNotOwner(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		out, p := r.outsider("k")
		x := &Exec{Commands: []Command{{Slot: key("k").Slot, Class: Blind, Args: [][]byte{[]byte("SET"), []byte("k"), []byte("v")}}}}
		out.Forward(context.Background(), p.Fallbacks[1], x)
		if cmd := x.Commands[0]; cmd.Err != nil || string(cmd.Reply) != "OK" {
			t.Fatal(cmd.Err, string(cmd.Reply))
		}
		if s := out.Stats(); s.Rerouted != 1 {
			t.Fatalf("%+v", s)
		}
	})
}

// A write that may have been started is not tried again.
func TestForwardLost(t *testing.T) {
	for what, f := range map[string]fate{"silent": {loseReply: true}, "cut": {cut: true}, "lost": {loseRequest: true}} {
		bubble(t, 5, Options{}, func(r *rig) {
			out, p := r.outsider("k")
			r.setFate(only(p.Owners[0], replica.KindExec, f))
			began := time.Now()
			_, err := out.incr("k")
			var u *UncertainError
			if !errors.As(err, &u) || !u.Lost || u.W != 2 || u.K != 0 {
				t.Fatal(what, err)
			}
			if took := time.Since(began); took > DefaultTimeout || what == "cut" && took > 100*time.Millisecond {
				t.Fatal(what, took)
			}
			time.Sleep(time.Second)
			want := "1"
			if f.loseRequest {
				want = "(none)"
			}
			if v, err := out.get("k"); v != want || err != nil {
				t.Fatal(what, v, err)
			}
		})
	}
}

// A read whose answer is lost, or late, is asked of another owner.
func TestForwardRead(t *testing.T) {
	for what, f := range map[string]fate{
		"cut": {cut: true}, "silent": {loseReply: true}, "slow": {delay: 400 * time.Millisecond},
	} {
		bubble(t, 5, Options{}, func(r *rig) {
			out, p := r.outsider("k")
			if _, err := out.set("k", "v"); err != nil {
				t.Fatal(err)
			}
			first, err := out.Route(key("k").Slot, Reading)
			if err != nil || !strings.Contains(strings.Join(p.Owners, " "), first) {
				t.Fatal(first, err)
			}
			r.setFate(only(first, replica.KindExec, f))
			began := time.Now()
			if v, err := out.get("k"); v != "v" || err != nil {
				t.Fatal(what, v, err)
			}
			if took := time.Since(began); took > 2*lateUnknown+20*time.Millisecond {
				t.Fatal(what, took)
			}
		})
	}
}

// Where nobody can be reached, nothing was started.
func TestForwardNobody(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		out, _ := r.outsider("k")
		out.opts.Self, out.peers = "n9", link{r, "n9"} // no member yet: it stands in for nobody
		for _, name := range r.names {
			r.setDown(name, true)
		}
		for _, class := range []Class{Reading, Blind, RMW} {
			_, err := out.Route(key("k").Slot, class)
			quorumError(t, err, 1, 0)
		}
		for _, name := range r.names {
			r.setDown(name, false)
		}
		r.setFate(func(_, _ string, kind uint8) fate { return fate{refuse: peer.ErrOverloaded} })
		_, err := out.set("k", "v")
		quorumError(t, err, 1, 0)
		r.nowhere("k")
	})
}

// A read whose owners are silent is no quorum, in time.
func TestForwardBound(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		out, _ := r.outsider("k")
		r.setFate(func(_, _ string, kind uint8) fate { return fate{loseRequest: true} })
		began := time.Now()
		_, err := out.get("k")
		quorumError(t, err, 2, 0)
		if took := time.Since(began); took > DefaultTimeout {
			t.Fatal(took)
		}
	})
}

// What another node's coordinator says of its quorum arrives as it said it,
// before the one who passed the command on gives up.
func TestForwardVerdict(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		out, _ := r.outsider("k")
		r.setFate(func(_, _ string, kind uint8) fate {
			return fate{loseRequest: kind == replica.KindApply || kind == replica.KindHint}
		})
		v, err := out.set("k", "v")
		if err != nil || !strings.Contains(v, "stored on 1 of 2 as (") {
			t.Fatal(v, err)
		}
	})
}

// A batch goes to its owner as one frame; answers too large for one come in
// several.
func TestForwardBatch(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		out, p := r.outsider("k")
		value := strings.Repeat("x", maxReplies*2/5)
		if _, err := r.nodes[p.Owners[0]].set("k", value); err != nil {
			t.Fatal(err)
		}
		x := &Exec{}
		for _, args := range [][]string{{"SET", "{k}s", value}, {"GET", "k"}, {"GET", "k"}, {"GET", "k"}, {"GET", "k"}, {"INCR", "{k}n"}} {
			class := map[string]Class{"SET": Blind, "GET": Reading, "INCR": RMW}[args[0]]
			cmd := Command{Slot: key("k").Slot, Class: class}
			for _, a := range args {
				cmd.Args = append(cmd.Args, []byte(a))
			}
			x.Commands = append(x.Commands, cmd)
		}
		out.Forward(context.Background(), p.Owners[0], x)
		for i, want := range []string{"OK", value, value, value, value, "1"} {
			if cmd := x.Commands[i]; cmd.Err != nil || string(cmd.Reply) != want {
				t.Fatal(i, cmd.Err, len(cmd.Reply))
			}
		}
		// The first value fills a frame: the rest goes in a second one. Four
		// reads come back by twos.
		if got := r.count(replica.KindExec); got != 3 {
			t.Fatalf("%d frames", got)
		}
	})
}

// Commands that a node cannot run yet were not started there.
func TestForwardLoading(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		out, p := r.outsider("k")
		r.nodes[p.Owners[0]].SetExecutor(nil)
		if v, err := out.incr("k"); v != "1" || err != nil {
			t.Fatal(v, err)
		}
		r.nodes[p.Owners[1]].setView(View{}) // it does not know the ring
		if v, err := out.incr("k"); v != "2" || err != nil {
			t.Fatal(v, err)
		}
	})
}

// Commands beyond what may wait are refused, as not started.
func TestServeBound(t *testing.T) {
	bubble(t, 1, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		hold := make(chan struct{})
		n.SetExecutor(func(_ context.Context, x *Exec) {
			<-hold
			x.Commands[0].Reply = []byte("done")
		})
		x := &Exec{Commands: []Command{{Args: [][]byte{[]byte("PING")}}}}
		body := appendExec(nil, x, []int32{0}, time.Second)
		answers := make(chan peer.Reply, 2*maxServed)
		const sent = maxServed + 2*execWorkers
		for range sent {
			n.serveExec(body, stamp(), answer(func(r peer.Reply) { answers <- r }))
		}
		time.Sleep(10 * time.Millisecond)
		refused := len(answers)
		for range refused {
			if a := <-answers; !notStarted(a.Err) {
				t.Fatal(a.Err)
			}
		}
		if refused < execWorkers/2 || refused > 2*execWorkers {
			t.Fatalf("%d of %d refused", refused, sent)
		}
		close(hold)
		for range sent - refused {
			if a := <-answers; a.Err != nil {
				t.Fatal(a.Err)
			}
		}
	})
}

// A frame that cannot be read is refused.
func TestServeMalformed(t *testing.T) {
	bubble(t, 1, Options{}, func(r *rig) {
		r.nodes["n1"].serveExec([]byte{1, 2}, stamp(), answer(func(a peer.Reply) {
			if !notStarted(a.Err) {
				t.Error(a.Err)
			}
		}))
	})
}

// Commands that a frozen process finds when it goes on are not started: they
// would take the place of what was written meanwhile.
func TestServeStale(t *testing.T) {
	bubble(t, 1, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		ran := 0
		n.SetExecutor(func(_ context.Context, x *Exec) {
			ran++
			x.Commands[0].Reply = []byte("done")
		})
		body := appendExec(nil, &Exec{Commands: []Command{{Args: [][]byte{[]byte("PING")}}}}, []int32{0}, time.Second)
		for _, age := range []time.Duration{replica.MaxMessageAge, replica.MaxMessageAge + time.Millisecond} {
			sent := version.TimestampAt(time.Now().Add(-age).UnixMilli())
			answers := make(chan peer.Reply, 1)
			n.serveExec(body, sent, answer(func(r peer.Reply) { answers <- r }))
			if a := <-answers; (age > replica.MaxMessageAge) != (a.Err != nil && notStarted(a.Err)) {
				t.Errorf("%v old: %v", age, a.Err)
			}
		}
		if ran != 1 {
			t.Errorf("run %d times, want once", ran)
		}
	})
}
