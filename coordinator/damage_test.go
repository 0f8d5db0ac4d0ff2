package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// uncached is bubble with replicas that read every cell from their stores.
func uncached(t *testing.T, n int, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) { withRig(t, n, Options{}, &rig{noCache: true}, test) })
}

// damage makes a node's row of a key one that is no cell's.
func (n *node) damage(name string) {
	n.rig.t.Helper()
	k := key(name)
	b := n.store.NewBatch()
	b.Set(storage.AppendRow(nil, k.Slot, k.Key, nil), []byte("damaged"))
	c, err := n.store.Apply(b, false)
	if err == nil {
		err = c.Wait()
	}
	if err != nil {
		n.rig.t.Fatal(err)
	}
}

// mend puts a cell in the place of a damaged row.
func (n *node) mend(name string, cell *version.Cell) {
	n.rig.t.Helper()
	k := key(name)
	if _, err := n.replica.Mend(context.Background(), []replica.Remedy{{
		Slot: k.Slot, Cells: []replica.KeyedCell{{Key: k, Cell: cell}}, Read: time.Now(),
	}}); err != nil {
		n.rig.t.Fatal(err)
	}
}

// A damaged row is read around, whoever reads it and whoever has it, alone and
// among others; with too few other owners there is no answer, and never "absent".
func TestReadAroundDamage(t *testing.T) {
	for _, damaged := range []string{"n1", "n2", "n3"} {
		uncached(t, 3, func(r *rig) {
			reader := r.nodes["n1"]
			keys := []string{"k", "l", "m"}
			for _, k := range keys {
				if w := reader.write(put(k, "value of "+k)); w[0].Err != nil {
					t.Fatal(w[0].Err)
				}
			}
			time.Sleep(time.Second)
			r.nodes[damaged].damage("k")
			for _, need := range []int{1, 2} {
				var reads []Read
				for _, k := range keys {
					reads = append(reads, Read{Key: key(k), R: need})
				}
				reader.Read(context.Background(), reads)
				for i, k := range keys {
					if got := text(reads[i].Cell); got != "value of "+k || reads[i].Err != nil {
						t.Errorf("%s is damaged, R %d: %s is %q, %v", damaged, need, k, got, reads[i].Err)
					}
				}
			}
			var q *NoQuorumError
			if c, err := reader.read("k", 3); c != nil || !errors.As(err, &q) || q.Got != 2 {
				t.Errorf("%s is damaged, R 3: %v, %v", damaged, c, err)
			}
			if c, err := reader.read("l", 3); text(c) != "value of l" || err != nil {
				t.Errorf("%s is damaged, its neighbour: %v, %v", damaged, c, err)
			}
			if p := reader.Stats().PassedOver; p != 0 {
				t.Errorf("%d nodes are passed over", p)
			}
		})
	}
}

// Of a batch whose rows are partly damaged here, only these need a further owner.
func TestDamageIsNotItsNeighbours(t *testing.T) {
	uncached(t, 3, func(r *rig) {
		n := r.nodes["n1"]
		var reads []Read
		for i := range 6 {
			k := fmt.Sprint("k", i)
			if w := n.write(put(k, k)); w[0].Err != nil {
				t.Fatal(w[0].Err)
			}
			reads = append(reads, Read{Key: key(k)})
		}
		time.Sleep(time.Second)
		n.damage("k1")
		n.damage("k4")
		r.setDown("n3", true)
		n.Read(context.Background(), reads)
		for i := range reads {
			var q *NoQuorumError
			if i == 1 || i == 4 {
				if !errors.As(reads[i].Err, &q) || reads[i].Cell != nil {
					t.Errorf("k%d: %v, %v", i, reads[i].Cell, reads[i].Err)
				}
			} else if reads[i].Err != nil || text(reads[i].Cell) != fmt.Sprint("k", i) {
				t.Errorf("k%d: %v, %v", i, reads[i].Cell, reads[i].Err)
			}
		}
	})
}

// A write to a damaged row is another owner's, from whichever node it comes, and
// mints nothing here; the damaged copy counts for nothing.
func TestWriteAroundDamage(t *testing.T) {
	uncached(t, 5, func(r *rig) {
		out, p := r.outsider("k")
		first := r.nodes[p.Owners[0]]
		for range 3 {
			if _, err := first.incr("k"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		first.damage("k")
		for i, n := range []*node{out, first, r.nodes[p.Owners[1]], out} {
			if got, err := n.incr("k"); err != nil || got != fmt.Sprint(4+i) {
				t.Fatalf("INCR at %s: %s, %v", n.name, got, err)
			}
		}
		if got, err := first.get("k"); err != nil || got != "7" {
			t.Fatalf("GET: %s, %v", got, err)
		}
		if _, err := first.set("k", "new"); err != nil {
			t.Fatal(err)
		}
		if w := first.write(put("k", "here")); !errors.Is(w[0].Err, storage.ErrDamaged) || !NotStarted(w[0].Err) {
			t.Fatalf("it is written here: %v", w[0].Err)
		}
		time.Sleep(time.Second)
		if first.Stats().PassedOver+out.Stats().PassedOver != 0 || out.Passed(first.name) {
			t.Error("a node with a damaged row is passed over for all others")
		}
		c := r.nodes[p.Owners[1]].holds("k")
		if text(c) != "new" || len(c.Versions) != 1 {
			t.Fatalf("%v", text(c))
		}
		was := first.store.Actor()
		first.mend("k", c)
		if got, err := first.set("k", "mended"); err != nil || got != "OK" {
			t.Fatal(got, err)
		}
		if now := first.store.Actor(); now == was || !slices.ContainsFunc(first.holds("k").Versions, func(v version.Version) bool { return v.Dot.Actor == now }) {
			t.Errorf("%v goes on as %v: %v", was, now, first.holds("k").Versions)
		}
	})
}

// With no other owner to go to, the client is told, and nothing is stored.
func TestDamagedAndAlone(t *testing.T) {
	uncached(t, 1, func(r *rig) {
		n := r.nodes["n1"]
		if w := n.write(put("k", "v")); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		n.damage("k")
		if _, err := n.set("k", "w"); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("SET: %v", err)
		}
		var q *NoQuorumError
		if _, err := n.get("k"); !errors.As(err, &q) {
			t.Errorf("GET: %v", err)
		}
	})
}
