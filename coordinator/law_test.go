package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
)

// checkCluster checks a property on one cluster, in virtual time. Every check
// has keys of its own: k names them.
func checkCluster(t *testing.T, n int, test func(t *rapid.T, r *rig, k func(string) string)) {
	bubble(t, n, Options{}, func(r *rig) {
		round := 0
		// Not a *testing.T, whose deadline is of another time.
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			round++
			r.t = rt
			defer func() { r.t = t }()
			for _, name := range r.names {
				r.setDown(name, false)
			}
			r.setFate(nil)
			test(rt, r, func(name string) string { return fmt.Sprint(name, "-", round) })
			r.calm()
		})
	})
}

// roughly lets a draw decide every call's fate: about one in four goes wrong.
func (r *rig) roughly(t *rapid.T) {
	seed := rapid.Uint64().Draw(t, "network")
	r.setFate(func(_, _ string, kind uint8) fate {
		seed = seed*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
		f := fate{delay: time.Duration(1+seed>>33%20) * time.Millisecond}
		switch seed >> 50 % 24 {
		case 0:
			f.loseRequest = true
		case 1:
			f.loseReply = true
		case 2:
			f.cut = true
		case 3:
			f.refuse = peer.ErrOverloaded
		case 4:
			f.refuse = peer.ErrUnreachable
		case 5, 6:
			f.twice = kind != replica.KindExec // what the transport promises
		}
		return f
	})
}

// calm ends all faults and lets what is on its way arrive.
func (r *rig) calm() {
	r.setFate(nil)
	time.Sleep(2 * time.Second)
}

// handOff brings what any node holds of the keys, for others or as a stand-in,
// to their owners, as happens in the background elsewhere.
func (r *rig) handOff(names ...string) {
	r.t.Helper()
	for _, name := range names {
		for _, from := range r.names {
			cell := r.nodes[from].keeps(name)
			if cell == nil {
				continue
			}
			for _, o := range r.list(name).Owners {
				done := make(chan error, 1)
				r.nodes[o].replica.Apply(&replica.ApplyBatch{
					Cells: []replica.KeyedCell{{Key: cloneKey(key(name)), Cell: cell}},
					Done:  func(err error) { done <- err },
				})
				if err := <-done; err != nil {
					r.t.Fatal(err)
				}
			}
		}
	}
}

// converge hands the keys off and reads them at all their owners, which repairs
// them.
func (r *rig) converge(names ...string) {
	r.t.Helper()
	r.handOff(names...)
	for _, name := range names {
		p := r.nodes["n1"].View().Ring.Lookup(key(name).Slot)
		if _, err := r.nodes[p.Owners[0]].read(name, len(p.Owners)); err != nil {
			r.t.Fatal(err)
		}
	}
	time.Sleep(time.Second)
	for _, name := range names {
		p := r.nodes["n1"].View().Ring.Lookup(key(name).Slot)
		for _, o := range p.Owners {
			if r.nodes[o].holds(name).Digest() != r.nodes[p.Owners[0]].holds(name).Digest() {
				r.t.Fatalf("%s is not the same on %s and %s", name, o, p.Owners[0])
			}
		}
	}
}

// At R+W > N a read sees every write acknowledged before it, once what
// fallbacks took has been handed off, whoever coordinated either, with any one
// node down.
func TestLawReadYourWrites(t *testing.T) {
	checkCluster(t, 4, func(t *rapid.T, r *rig, k func(string) string) {
		r.roughly(t)
		acked, issued := map[string]int{}, map[string]int{}
		for i := 1; i <= rapid.IntRange(1, 12).Draw(t, "writes"); i++ {
			name := k(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"))
			n := r.nodes[rapid.SampledFrom(r.names).Draw(t, "at")]
			reply, err := n.set(name, fmt.Sprint(i))
			if issued[name] = i; err == nil && reply == "OK" {
				acked[name] = i
			}
		}
		r.calm()
		for name := range issued {
			r.handOff(name)
		}
		r.setDown(rapid.SampledFrom(r.names).Draw(t, "down"), true)
		for name := range issued {
			for _, n := range r.nodes {
				if r.down[n.name] {
					continue
				}
				v, err := n.get(name)
				if err != nil {
					t.Fatal(err)
				}
				if seen, _ := strconv.Atoi(v); seen < acked[name] || seen > issued[name] {
					t.Fatalf("%s reads %s=%s; %d was acknowledged", n.name, name, v, acked[name])
				}
			}
		}
	})
}

// Without faults INCR from all nodes at once gives each number once, and none
// is left out.
func TestLawIncrUnique(t *testing.T) {
	checkCluster(t, 4, func(t *rapid.T, r *rig, k func(string) string) {
		each := rapid.IntRange(1, 8).Draw(t, "increments a node")
		var mu sync.Mutex
		var seen []int
		var wg sync.WaitGroup
		for _, n := range r.nodes {
			wg.Go(func() {
				for range each {
					v, err := n.incr(k("k"))
					if err != nil {
						t.Error(n.name, err)
					}
					number, _ := strconv.Atoi(v)
					mu.Lock()
					seen = append(seen, number)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		slices.Sort(seen)
		for i, v := range seen {
			if v != i+1 {
				t.Fatalf("numbers %v", seen)
			}
		}
		r.calm()
		r.converge(k("k"))
	})
}

// Whatever is lost, doubled or cut off: an acknowledged INCR counts once, an
// uncertain one at most once, and one that found no quorum not at all.
func TestLawMintOnce(t *testing.T) {
	checkCluster(t, 4, func(t *rapid.T, r *rig, k func(string) string) {
		r.roughly(t)
		var mu sync.Mutex
		acked, uncertain := 0, 0
		var wg sync.WaitGroup
		for _, n := range r.nodes {
			times := rapid.IntRange(0, 5).Draw(t, "increments")
			wg.Go(func() {
				for range times {
					reply, err := n.incr(k("k"))
					var u *UncertainError
					mu.Lock()
					switch {
					case errors.As(err, &u) || strings.HasPrefix(reply, "UNCERTAIN"):
						uncertain++
					case err == nil:
						acked++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		r.calm()
		r.converge(k("k"))
		v, err := r.nodes["n1"].get(k("k"))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := strconv.Atoi(v); got < acked || got > acked+uncertain {
			t.Fatalf("%s after %d acknowledged and %d uncertain increments", v, acked, uncertain)
		}
	})
}

// After NoQuorum nothing is stored anywhere; after Uncertain at least as many
// nodes as the error says hold the write.
func TestLawVerdicts(t *testing.T) {
	checkCluster(t, 4, func(t *rapid.T, r *rig, k func(string) string) {
		r.roughly(t)
		if rapid.Bool().Draw(t, "one down") {
			r.setDown(rapid.SampledFrom(r.names).Draw(t, "down"), true)
		}
		type verdict struct {
			key string
			w   Write
		}
		var all []verdict
		for i := range rapid.IntRange(1, 8).Draw(t, "writes") {
			name := k(fmt.Sprint("k", i))
			op := put(name, "v")
			if rapid.Bool().Draw(t, "checked") {
				op = incr(name)
			}
			op.W = rapid.IntRange(1, 3).Draw(t, "W")
			n := r.nodes[rapid.SampledFrom(r.names).Draw(t, "at")]
			all = append(all, verdict{name, n.write(op)[0]})
		}
		for _, name := range r.names {
			r.setDown(name, false)
		}
		r.calm()
		for _, v := range all {
			holders := 0
			for _, n := range r.nodes {
				if n.keeps(v.key) != nil {
					holders++
				}
			}
			var q *NoQuorumError
			var u *UncertainError
			switch {
			case errors.As(v.w.Err, &q), v.w.Err == ErrNotOwner:
				if holders != 0 {
					t.Fatalf("%d hold %s after %v", holders, v.key, v.w.Err)
				}
			case errors.As(v.w.Err, &u):
				if u.K >= u.W || u.K > holders || u.Dot != v.w.Update.Dot {
					t.Fatalf("%d hold %s after %v", holders, v.key, u)
				}
			case v.w.Err != nil:
				t.Fatal(v.w.Err)
			case holders < v.w.W:
				t.Fatalf("%d hold %s, acknowledged at W=%d", holders, v.key, v.w.W)
			}
		}
	})
}
