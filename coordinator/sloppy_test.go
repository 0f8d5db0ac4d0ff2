package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
)

// list is a key's preference list.
func (r *rig) list(name string) *ring.Preference {
	return r.nodes["n1"].View().Ring.Lookup(key(name).Slot)
}

// hintsFor names the nodes that keep a hint for an owner.
func (r *rig) hintsFor(owner string) (keepers []string) {
	for _, name := range r.names {
		for _, h := range r.nodes[name].replica.HintStats() {
			if h.Owner == owner && h.Cells > 0 {
				keepers = append(keepers, name)
			}
		}
	}
	return keepers
}

// Whatever members are down, a blind write succeeds exactly if W others can be
// reached, and then W distinct nodes have it: owners, fallbacks that name the
// owner that they keep it for, or a stand-in. Otherwise nobody has.
func TestLawAlwaysWritable(t *testing.T) {
	checkCluster(t, 6, func(t *rapid.T, r *rig, k func(string) string) {
		up := 0
		for _, name := range r.names {
			down := rapid.Bool().Draw(t, name+" is down")
			r.setDown(name, down)
			if !down {
				up++
			}
		}
		at := rapid.SampledFrom(r.names).Draw(t, "at")
		if r.down[at] {
			r.setDown(at, false)
			up++
		}
		name, need := k("key"), rapid.IntRange(1, 3).Draw(t, "W")
		p := r.list(name)
		before := map[string]int64{}
		for _, n := range r.names {
			for _, h := range r.nodes[n].replica.HintStats() {
				before[n] += h.Cells
			}
		}
		reply, err := r.nodes[at].runW(need, Blind, "SET", name, "v")
		for _, n := range r.names {
			r.setDown(n, false)
		}
		r.calm()
		holders := 0
		for _, n := range r.names {
			node := r.nodes[n]
			if node.keeps(name) != nil {
				holders++
			}
			var hints int64
			for _, h := range node.replica.HintStats() {
				hints += h.Cells
			}
			if hints > before[n]+1 || hints > before[n] && !slices.Contains(p.Fallbacks, n) {
				t.Fatalf("%s covers %d owners", n, hints-before[n])
			}
		}
		switch {
		case up >= need && (err != nil || reply != "OK"):
			t.Fatalf("%s, %v with %d nodes up", reply, err, up)
		case up >= need && holders < min(up, len(p.Owners)):
			t.Fatalf("%d hold it, of %d that are up", holders, up)
		case up < need && (err == nil || !strings.Contains(err.Error(), "nothing was st") || holders > 0):
			t.Fatalf("%s, %v with %d nodes up, %d hold it", reply, err, up, holders)
		}
	})
}

// An owner that is down is covered at once, by the first fallback, which keeps
// the cells for it and nobody else.
func TestDownOwnerIsCovered(t *testing.T) {
	bubble(t, 6, Options{}, func(r *rig) {
		p := r.list("k")
		n := r.nodes[p.Owners[0]]
		r.setDown(p.Owners[1], true)
		op := put("k", "v")
		op.W = 3
		began := time.Now()
		if w := n.write(op); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		if took := time.Since(began); took > 5*time.Millisecond {
			t.Fatalf("took %v", took)
		}
		if got := r.hintsFor(p.Owners[1]); len(got) != 1 || got[0] != p.Fallbacks[0] {
			t.Fatal(got, p)
		}
		if f := r.nodes[p.Fallbacks[0]]; f.holds("k") != nil || text(f.keeps("k")) != "v" {
			t.Fatal("not kept for the owner alone")
		}
		if s := n.Stats(); s.HintsSent != 1 || s.Missed != 0 || s.LateCovered != 0 {
			t.Fatalf("%+v", s)
		}
	})
}

// The next fallback covers for one that fails, still for the first owner.
func TestCoverIsCovered(t *testing.T) {
	bubble(t, 6, Options{}, func(r *rig) {
		p := r.list("k")
		n := r.nodes[p.Owners[0]]
		r.setDown(p.Owners[1], true)
		r.setFate(only(p.Fallbacks[0], replica.KindHint, fate{cut: true}))
		r.setDown(p.Fallbacks[1], true)
		op := put("k", "v")
		op.W = 3
		if w := n.write(op); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		if got := r.hintsFor(p.Owners[1]); !slices.Contains(got, p.Fallbacks[2]) {
			t.Fatal(got, p)
		}
		if s := n.Stats(); s.HintsSent != 2 || s.HintsFailed != 1 {
			t.Fatalf("%+v", s)
		}
	})
}

// An owner that is late is covered while the caller waits; that it answers
// then is no error.
func TestLateOwnerIsCovered(t *testing.T) {
	bubble(t, 6, Options{}, func(r *rig) {
		p := r.list("k")
		n := r.nodes[p.Owners[0]]
		r.setFate(func(_, to string, kind uint8) fate {
			if kind == replica.KindApply && to != n.name {
				return fate{delay: 100 * time.Millisecond}
			}
			return fate{}
		})
		began := time.Now()
		w := n.write(put("k", "v"))
		if w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		if took := time.Since(began); took > lateUnknown+5*time.Millisecond {
			t.Fatalf("took %v", took)
		}
		time.Sleep(time.Second)
		if s := n.Stats(); s.LateCovered != 2 || s.Stragglers < 2 || s.Missed != 0 || s.Uncertain != 0 || s.PassedOver != 0 {
			t.Fatalf("%+v", s)
		}
		if got := r.holders("k", w[0].Update.Dot); got != 5 {
			t.Fatalf("%d hold it", got)
		}
	})
}

// Only those are hurried whom somebody waits for: not the owners of another
// group of the batch, which has its W.
func TestLateIsOnlyWhoIsWaitedFor(t *testing.T) {
	bubble(t, 6, Options{}, func(r *rig) {
		p := r.list("k")
		n := r.nodes[p.Owners[0]]
		r.setFate(only(p.Owners[1], replica.KindApply, fate{delay: 100 * time.Millisecond}))
		one, all := put("k", "v"), put("{k}all", "v")
		one.W, all.W = 1, 3
		for _, w := range n.write(one, all) {
			if w.Err != nil {
				t.Fatal(w.Err)
			}
		}
		time.Sleep(time.Second)
		if s := n.Stats(); s.LateCovered != 1 || s.HintsSent != 1 {
			t.Fatalf("%+v", s)
		}
	})
}

// Where W is reached, nobody is hurried: who then fails, or never answers, is
// covered in the background.
func TestFailureAfterTheAnswerIsCovered(t *testing.T) {
	for what, f := range map[string]fate{
		"silent": {loseRequest: true},
		"lost":   {cut: true, delay: 100 * time.Millisecond},
		"failed": {code: replica.CodeFailed, delay: 100 * time.Millisecond},
	} {
		bubble(t, 6, Options{}, func(r *rig) {
			p := r.list("k")
			n := r.nodes[p.Owners[0]]
			r.setFate(only(p.Owners[2], replica.KindApply, f))
			if w := n.write(put("k", "v")); w[0].Err != nil {
				t.Fatal(what, w[0].Err)
			}
			time.Sleep(100 * time.Millisecond)
			if s := n.Stats(); s.HintsSent != 0 {
				t.Fatalf("%s: %+v", what, s)
			}
			time.Sleep(time.Second)
			if got := r.hintsFor(p.Owners[2]); len(got) != 1 || got[0] != p.Fallbacks[0] {
				t.Fatal(what, got)
			}
		})
	}
}

// A message that came too late is sent once more; twice is a failure.
func TestStaleIsSentAgain(t *testing.T) {
	for times := 1; times <= 2; times++ {
		bubble(t, 6, Options{}, func(r *rig) {
			p := r.list("k")
			n := r.nodes[p.Owners[0]]
			left := times
			r.setFate(func(_, to string, kind uint8) fate {
				if to != p.Owners[1] || kind != replica.KindApply || left == 0 {
					return fate{}
				}
				left--
				return fate{code: replica.CodeStale}
			})
			op := put("k", "v")
			op.W = 3
			if w := n.write(op); w[0].Err != nil {
				t.Fatal(w[0].Err)
			}
			if sent := r.count(replica.KindApply); sent != 3 {
				t.Fatalf("%d messages", sent)
			}
			if held, hints := r.nodes[p.Owners[1]].holds("k"), r.hintsFor(p.Owners[1]); (held != nil) != (times == 1) || len(hints) != times-1 {
				t.Fatal(held, hints)
			}
		})
	}
}

// What a write's age does not allow any more is not sent to anybody.
func TestOldCellsAreNotSent(t *testing.T) {
	bubble(t, 6, Options{Timeout: 10 * time.Second}, func(r *rig) {
		p := r.list("k")
		n := r.nodes[p.Owners[0]]
		r.setFate(func(_, to string, _ uint8) fate { return fate{loseRequest: to == p.Owners[2]} })
		if w := n.write(put("k", "v")); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		time.Sleep(20 * time.Second)
		if s := n.Stats(); s.HintsSent != 0 || s.Missed != 1 {
			t.Fatalf("%+v", s)
		}
	})
}

// A fallback whose hints for the owner are at their bound is left for the next
// one; where the write cannot do without, it stores them all the same.
func TestFullHints(t *testing.T) {
	bubbleLimited(t, 5, Options{}, 1, func(r *rig) {
		p := r.list("k")
		n := r.nodes[p.Owners[0]]
		r.setDown(p.Owners[1], true)
		for i, want := range [][]string{{p.Fallbacks[0]}, p.Fallbacks[:2], p.Fallbacks[:2]} {
			if w := n.write(put(fmt.Sprint("{k}", i), "v")); w[0].Err != nil {
				t.Fatal(i, w[0].Err)
			}
			time.Sleep(time.Second)
			got := r.hintsFor(p.Owners[1])
			slices.Sort(got)
			if want = slices.Clone(want); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				t.Fatal(i, got, want)
			}
		}
		if s := n.Stats(); s.Missed != 1 {
			t.Fatalf("%+v", s)
		}
		r.setDown(p.Owners[2], true)
		for i := range 2 * len(p.Fallbacks) {
			op := put(fmt.Sprint("{k}must", i), "v")
			op.W = 3
			if w := n.write(op); w[0].Err != nil {
				t.Fatal(i, w[0].Err)
			}
		}
	})
}

// Where it turns out only later that the quorum needs a fallback that was full,
// it is asked again.
func TestFullHintsAreStoredAfterAll(t *testing.T) {
	bubbleLimited(t, 4, Options{}, 1, func(r *rig) {
		p := r.list("k")
		n := r.nodes[p.Owners[0]]
		r.setDown(p.Owners[1], true)
		if w := n.write(put("{k}fills", "v")); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		r.setFate(only(p.Owners[2], replica.KindApply, fate{cut: true, delay: 10 * time.Millisecond}))
		if w := n.write(put("k", "v")); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		if text(r.nodes[p.Fallbacks[0]].keeps("k")) != "v" {
			t.Fatal("not kept")
		}
	})
}

// Keys whose lists go on differently are covered each by its own next node.
func TestCoversFollowTheList(t *testing.T) {
	bubble(t, 6, Options{}, func(r *rig) {
		table := r.nodes["n1"].View().Ring
		first := map[int]string{} // by set of owners: a key
		for i := 0; ; i++ {
			name := fmt.Sprint("k", i)
			p := table.Lookup(key(name).Slot)
			other, ok := first[p.Set]
			if !ok {
				first[p.Set] = name
				continue
			}
			q := table.Lookup(key(other).Slot)
			if q.Fallbacks[0] == p.Fallbacks[0] {
				continue
			}
			r.setDown(p.Owners[1], true)
			n := r.nodes[p.Owners[0]]
			for _, w := range n.write(put(other, "v"), put(name, "v")) {
				if w.Err != nil {
					t.Fatal(w.Err)
				}
			}
			time.Sleep(time.Second)
			if r.nodes[q.Fallbacks[0]].keeps(other) == nil || r.nodes[p.Fallbacks[0]].keeps(name) == nil {
				t.Fatal("covered by others than the next")
			}
			return
		}
	})
}

// The own copy is covered as well where this node's disk is late to sync it.
func TestOwnCopyIsCovered(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		p := r.list("k")
		n := r.nodes[p.Owners[0]]
		r.setSync(n.name, 300*time.Millisecond)
		op := put("k", "v")
		op.W = 3
		began := time.Now()
		if w := n.write(op); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		if took := time.Since(began); took > lateUnknown+5*time.Millisecond {
			t.Fatalf("took %v", took)
		}
		if got := r.hintsFor(n.name); !slices.Equal(got, p.Fallbacks[:1]) {
			t.Fatal(got)
		}
	})
}
