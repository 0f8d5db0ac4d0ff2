package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// wipe deletes what a sweep shows, as FLUSHALL does.
func (n *node) wipe(cells []replica.KeyedCell) error {
	for _, kc := range cells {
		name := string(kc.Key.Key)
		reply, err := n.run(Blind, "WIPE", name, kc.Cell.Context().Token(kc.Key.Key))
		if err != nil || reply != "OK" {
			return fmt.Errorf("%s: %s %w", name, reply, err)
		}
	}
	return nil
}

// What was acknowledged before a sweep is gone for every reader when what it
// shows has been deleted, also with a node down, and so it stays when that is
// back and all hints are delivered.
func TestLawSweptIsGone(t *testing.T) {
	checkCluster(t, 6, func(t *rapid.T, r *rig, k func(string) string) {
		var names []string
		for i := range rapid.IntRange(1, 4).Draw(t, "keys") {
			name := k(fmt.Sprint("key", i))
			for range rapid.IntRange(1, 3).Draw(t, "writes") {
				down := rapid.SliceOfNDistinct(rapid.SampledFrom(r.names), 0, 3, rapid.ID).Draw(t, "down")
				for _, n := range down {
					r.setDown(n, true)
				}
				r.roughly(t)
				at := rapid.SampledFrom(r.names).Draw(t, "at")
				if !slices.Contains(down, at) {
					if rapid.Bool().Draw(t, "counter") {
						_, _ = r.nodes[at].incr(name)
					} else {
						_, _ = r.nodes[at].set(name, "v")
					}
				}
				r.calm()
				for _, n := range down {
					r.setDown(n, false)
				}
			}
			names = append(names, name)
		}
		down := rapid.SampledFrom(append([]string{""}, r.names...)).Draw(t, "down at the sweep")
		r.setDown(down, true)
		by := rapid.SampledFrom(slices.DeleteFunc(slices.Clone(r.names), func(n string) bool { return n == down })).Draw(t, "by")
		if err := r.nodes[by].Sweep(context.Background(), nil, r.nodes[by].wipe); err != nil {
			t.Fatal(err)
		}
		check := func(when string) {
			t.Helper()
			for _, name := range names {
				for _, n := range r.names {
					if got, err := r.nodes[n].get(name); n != down && (err != nil || got != "(none)") {
						t.Fatalf("%s: GET %s at %s: %s, %v", when, name, n, got, err)
					}
				}
			}
		}
		check("at once")
		r.setDown(down, false)
		down = ""
		check("with all nodes up")
		r.handOff(names...)
		check("after handoff")
		for _, name := range names {
			if c, err := r.nodes[by].read(name, 3); err != nil || len(c.Siblings(time.Now().UnixMilli())) > 0 {
				t.Fatal(name, c, err)
			}
		}
	})
}

// A copy that a single node keeps is met: an owner's, a hint, a stand-in's; and
// so is one that another owner's delete has not reached, and one that expired
// just now.
func TestSweepMeetsEveryCopy(t *testing.T) {
	bubble(t, 6, Options{}, func(r *rig) {
		p := r.list("k")
		owners, fallbacks := p.Owners, p.Fallbacks
		cell := func(name string) []replica.KeyedCell {
			return []replica.KeyedCell{{Key: key(name), Cell: sampleCell(t, "v", false)}}
		}
		place := func(at, owner string, cells []replica.KeyedCell) {
			done := make(chan error, 1)
			r.nodes[at].replica.Apply(&replica.ApplyBatch{Cells: cells, For: owner, Done: func(err error) { done <- err }})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		place(owners[2], "", cell("{k}one owner"))
		place(fallbacks[0], owners[1], cell("{k}hint"))
		place(fallbacks[1], "", cell("{k}stray"))
		place(owners[0], "", cell("{k}deleted"))
		gone, _, _, err := cell("")[0].Cell.Put(version.Mint{Actor: version.Actor{ID: 2}, Time: 2}, version.Write{Tombstone: true})
		if err != nil {
			t.Fatal(err)
		}
		place(owners[1], "", []replica.KeyedCell{{Key: key("{k}deleted"), Cell: gone}})
		old := put("{k}expired", "v")
		old.Update.Change.Expiry = time.Now().Add(time.Second).UnixMilli()
		long := put("{k}long expired", "v")
		long.Update.Change.Expiry = old.Update.Change.Expiry
		r.nodes[owners[0]].write(long)
		time.Sleep(replica.ClockMargin)
		old.Update.Change.Expiry = time.Now().Add(time.Second).UnixMilli()
		r.nodes[owners[0]].write(old)
		time.Sleep(2 * time.Second)

		slot := key("k").Slot
		for _, n := range r.nodes {
			for _, in := range [][]ring.Range{nil, {{Lo: slot, Hi: slot}}} {
				var got []string
				err := n.Sweep(context.Background(), in, func(cells []replica.KeyedCell) error {
					for _, kc := range cells {
						got = append(got, string(kc.Key.Key))
					}
					return nil
				})
				slices.Sort(got)
				want := []string{"{k}deleted", "{k}expired", "{k}hint", "{k}one owner", "{k}stray"}
				if err != nil || !slices.Equal(got, want) {
					t.Fatalf("%s finds %q, %v", n.name, got, err)
				}
			}
			err := n.Sweep(context.Background(), []ring.Range{{Lo: slot + 1, Hi: slot + 9}}, func([]replica.KeyedCell) error {
				return errors.New("there is something")
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A sweep goes on where it failed, gives up where there is no progress, and
// does not begin where a slot has no quorum. It may take longer than a request.
func TestSweepFailures(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		for i := range 100 {
			if _, err := n.set(fmt.Sprint("k", i), "v"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		calls, seen := 0, map[string]bool{}
		began := time.Now()
		err := n.Sweep(context.Background(), nil, func(cells []replica.KeyedCell) error {
			time.Sleep(DefaultTimeout)
			if calls++; calls%3 != 0 {
				return errors.New("not now")
			}
			for _, kc := range cells {
				seen[string(kc.Key.Key)] = true
			}
			return nil
		})
		if err != nil || len(seen) != 100 || time.Since(began) < DefaultTimeout {
			t.Fatal(err, len(seen))
		}
		never := errors.New("never")
		if err := n.Sweep(context.Background(), nil, func([]replica.KeyedCell) error { return never }); !errors.Is(err, never) {
			t.Fatal(err)
		}
		r.setDown("n2", true)
		if err := n.Sweep(context.Background(), nil, n.wipe); err != nil {
			t.Fatal(err)
		}
		r.setDown("n3", true)
		err = n.Sweep(context.Background(), nil, func([]replica.KeyedCell) error {
			t.Error("it has begun")
			return nil
		})
		quorumError(t, err, 2, 1)
		ctx, stop := context.WithCancel(context.Background())
		stop()
		r.setDown("n3", false)
		calls = 0
		if err := n.Sweep(ctx, nil, func([]replica.KeyedCell) error { calls++; return never }); calls > 2 {
			t.Fatal(calls, err)
		}
	})
}

func TestHalves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in []ring.Range
		for lo := 0; lo < ring.Slots; {
			hi := min(lo+rapid.IntRange(0, 9000).Draw(t, "length"), ring.Slots-1)
			in = append(in, ring.Range{Lo: uint16(lo), Hi: uint16(hi)})
			lo = hi + 2 + rapid.IntRange(0, 3000).Draw(t, "gap")
		}
		parts := halves(in)
		var length [2]int
		next := uint16(0)
		for i, part := range parts {
			for _, r := range part {
				if r.Lo > r.Hi || r.Lo < next && next > 0 {
					t.Fatal(in, parts)
				}
				next = r.Hi
				length[i] += r.Len()
			}
		}
		want := 0
		for _, r := range in {
			want += r.Len()
		}
		if length[0]+length[1] != want || length[1]-length[0] > 1 || length[0] > length[1] {
			t.Fatal(length, want)
		}
	})
}
