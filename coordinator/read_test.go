package coordinator

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage/version"
)

// read reads one key at the coordinator itself, passing nothing on.
func (n *node) read(name string, r int) (*version.Cell, error) {
	reads := []Read{{Key: key(name), R: r}}
	n.Read(context.Background(), reads)
	return reads[0].Cell, reads[0].Err
}

// only returns a fate for the calls of one kind to some node.
func only(to string, kind uint8, f fate) func(string, string, uint8) fate {
	return func(_, at string, k uint8) fate {
		if at == to && k == kind {
			return f
		}
		return fate{}
	}
}

// leaveBehind writes a key that never reaches the named nodes.
func (r *rig) leaveBehind(writer, name, value string, stale ...string) {
	r.t.Helper()
	r.setFate(func(_, to string, kind uint8) fate {
		for _, s := range stale {
			if to == s && kind == replica.KindApply {
				return fate{loseRequest: true}
			}
		}
		return fate{}
	})
	writes := []Write{put(name, value)}
	writes[0].W = 1
	r.nodes[writer].Write(context.Background(), writes)
	if writes[0].Err != nil {
		r.t.Fatal(writes[0].Err)
	}
	time.Sleep(time.Second)
	r.setFate(nil)
	r.count(replica.KindRead)
	r.count(replica.KindApply)
}

// quorumError checks that err is a NoQuorumError and what it says.
func quorumError(t *testing.T, err error, need, got int) {
	t.Helper()
	var q *NoQuorumError
	if !errors.As(err, &q) || q.Need != need || q.Got != got {
		t.Fatalf("%v, want no quorum: %d of %d", err, got, need)
	}
}

// A write is answered at W, and every owner has it soon after.
func TestWriteThenRead(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		if _, err := r.nodes["n1"].set("k", "v"); err != nil {
			t.Fatal(err)
		}
		for _, n := range r.nodes {
			if v, err := n.get("k"); v != "v" || err != nil {
				t.Fatalf("%s reads %q, %v", n.name, v, err)
			}
		}
		synctest.Wait()
		for _, n := range r.nodes {
			if text(n.holds("k")) != "v" {
				t.Fatalf("%s does not hold it", n.name)
			}
		}
	})
}

// R-1 owners are asked beside the local replica, at R=1 none; more are asked
// only when one fails, and then at once.
func TestReadAsksR(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		for want := range 3 {
			if _, err := n.read("k", want+1); err != nil {
				t.Fatal(err)
			}
			if got := r.count(replica.KindRead); got != want {
				t.Fatalf("R=%d asked %d others", want+1, got)
			}
		}
		first := n.others(n.View().Ring, n.View().Ring.Lookup(key("k").Slot))[0]
		r.setFate(only(first, replica.KindRead, fate{cut: true}))
		began := time.Now()
		if _, err := n.read("k", 2); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); r.count(replica.KindRead) != 2 || took > 10*time.Millisecond {
			t.Fatalf("took %v", took)
		}
	})
}

// With one of three owners down R=2 is still read; with two it is not.
func TestReadQuorum(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		if _, err := r.nodes["n1"].set("k", "v"); err != nil {
			t.Fatal(err)
		}
		r.setDown("n3", true)
		if c, err := r.nodes["n2"].read("k", 0); text(c) != "v" || err != nil {
			t.Fatal(text(c), err)
		}
		_, err := r.nodes["n2"].read("k", 3)
		quorumError(t, err, 3, 2)
		r.setDown("n1", true)
		_, err = r.nodes["n2"].read("k", 0)
		quorumError(t, err, 2, 1)
		if c, err := r.nodes["n2"].read("k", 1); text(c) != "v" || err != nil {
			t.Fatal(text(c), err)
		}
	})
}

// Owners that say nothing cost no more than the request's bound.
func TestReadBound(t *testing.T) {
	bubble(t, 3, Options{Timeout: 300 * time.Millisecond}, func(r *rig) {
		r.setFate(func(string, string, uint8) fate { return fate{loseRequest: true} })
		began := time.Now()
		_, err := r.nodes["n1"].read("k", 0)
		quorumError(t, err, 2, 1)
		if took := time.Since(began); took != 300*time.Millisecond {
			t.Fatalf("took %v", took)
		}
		began = time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		reads := []Read{{Key: key("k")}}
		r.nodes["n1"].Read(ctx, reads)
		quorumError(t, reads[0].Err, 2, 1)
		if took := time.Since(began); took != 50*time.Millisecond {
			t.Fatalf("took %v", took)
		}
	})
}

// An owner that is late is hedged: a third one answers in its place.
func TestReadHedge(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		for range 50 { // it learns how fast they are
			if _, err := n.read("k", 3); err != nil {
				t.Fatal(err)
			}
		}
		r.count(replica.KindRead)
		first := n.others(n.View().Ring, n.View().Ring.Lookup(key("k").Slot))[0]
		r.setFate(only(first, replica.KindRead, fate{delay: 200 * time.Millisecond}))
		began := time.Now()
		if _, err := n.read("k", 2); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Fatalf("took %v", took)
		}
		if r.count(replica.KindRead) != 2 || n.Stats().Hedges != 1 {
			t.Fatalf("%+v", n.Stats())
		}
		time.Sleep(time.Second)
		for range 100 { // by now the slow one is not asked first any more
			if _, err := n.read("k", 2); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Millisecond)
		}
		if now := n.others(n.View().Ring, n.View().Ring.Lookup(key("k").Slot))[0]; now == first {
			t.Fatalf("%s is still asked first", first)
		}
	})
}

// The answer is the merge, and every replica that was asked gets it.
func TestReadRepair(t *testing.T) {
	for _, reader := range []string{"n1", "n3"} {
		bubble(t, 3, Options{}, func(r *rig) {
			r.leaveBehind("n1", "k", "v", "n2", "n3")
			if c, err := r.nodes[reader].read("k", 3); text(c) != "v" || err != nil {
				t.Fatal(text(c), err)
			}
			time.Sleep(time.Second)
			for _, n := range r.nodes {
				if got := text(n.holds("k")); got != "v" {
					t.Fatalf("%s holds %s after %s has read", n.name, got, reader)
				}
			}
			if n := r.nodes[reader]; n.Stats().RepairsDone != 2 {
				t.Fatalf("%+v", n.Stats())
			}
		})
	}
}

// Siblings on two replicas come together in one answer.
func TestReadSiblings(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		r.leaveBehind("n1", "k", "a", "n2", "n3")
		r.leaveBehind("n2", "k", "b", "n1", "n3")
		c, err := r.nodes["n3"].read("k", 3)
		if err != nil || len(c.Versions) != 2 || text(c) != "b" {
			t.Fatal(c, err)
		}
	})
}

// Repairs that wait when the coordinator is told to stop are made before it
// has stopped; one that fails leaves no trace but a count.
func TestRepairDrain(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		for i := range 40 {
			r.leaveBehind("n1", fmt.Sprint("k", i), "v", "n2", "n3")
		}
		n := r.nodes["n3"]
		r.setFate(only("n2", replica.KindApply, fate{cut: true, delay: 100 * time.Millisecond}))
		for i := range 40 {
			if c, err := n.read(fmt.Sprint("k", i), 3); text(c) != "v" || err != nil {
				t.Fatal(text(c), err)
			}
		}
		if s := n.Stats(); s.RepairsQueued != 80 || s.RepairsDone+s.RepairsFailed > 40 {
			t.Fatalf("%+v", s)
		}
		n.stop()
		<-n.stopped
		s := n.Stats()
		if s.RepairsDone+s.RepairsFailed != s.RepairsQueued || s.RepairsDone == 0 || s.RepairsFailed == 0 {
			t.Fatalf("%+v", s)
		}
	})
}

// A batch is one request to each owner asked, whatever its keys; where an
// answer has no room, what is left is asked for again.
func TestReadBatch(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		const n = 3*maxAnswered + 1
		reads := make([]Read, n)
		for i := range reads {
			name := fmt.Sprint("k", i)
			if i%4 != 0 {
				r.leaveBehind("n1", name, name, "n3")
			}
			reads[i].Key = key(name)
		}
		r.setDown("n2", true)
		r.nodes["n3"].Read(context.Background(), reads)
		for i := range reads {
			want := fmt.Sprint("k", i)
			if i%4 == 0 {
				want = "(none)"
			}
			if got := text(reads[i].Cell); got != want || reads[i].Err != nil {
				t.Fatalf("%s: %s, %v", want, got, reads[i].Err)
			}
		}
		if got := r.count(replica.KindRead); got != 3 {
			t.Fatalf("%d requests", got)
		}
		time.Sleep(time.Second)
		r.nodes["n3"].Read(context.Background(), reads)
		if got := r.count(replica.KindRead); got != 1 {
			t.Fatalf("%d requests after the repair", got)
		}
	})
}

// Whoever knows no ring says so.
func TestLoading(t *testing.T) {
	bubble(t, 1, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		n.setView(View{})
		if _, err := n.read("k", 1); err != ErrLoading {
			t.Fatal(err)
		}
		writes := []Write{put("k", "v")}
		if n.Write(context.Background(), writes); writes[0].Err != ErrLoading {
			t.Fatal(writes[0].Err)
		}
		if _, err := n.Route(1, Reading); err != ErrLoading {
			t.Fatal(err)
		}
		if _, err := n.Count(context.Background()); err != ErrLoading {
			t.Fatal(err)
		}
		if _, err := n.ScanPage(context.Background(), Position{}, 0, 10); err != ErrLoading {
			t.Fatal(err)
		}
	})
}

// An answer that cannot be read is a failed one, and nothing worse.
func TestReadMalformed(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		n.peers = garbler{n.peers}
		_, err := n.read("k", 2)
		quorumError(t, err, 2, 1)
	})
}

// garbler makes every reply unreadable.
type garbler struct{ Peers }

func (g garbler) Call(to string, class peer.Class, kind uint8, body []byte, deadline time.Time, done func(peer.Reply)) {
	g.Peers.Call(to, class, kind, body, deadline, func(r peer.Reply) {
		if r.Err == nil {
			r.Body = []byte{1, 2, 3, 99}
		}
		done(r)
	})
}
