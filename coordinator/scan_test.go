package coordinator

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// scatter writes keys, some deleted, each missing at one of its owners or at
// none, and returns which are alive.
func (r *rig) scatter(n int) map[string]bool {
	r.t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	alive := map[string]bool{}
	for i := range n {
		name := fmt.Sprint("key", i)
		p := r.nodes["n1"].View().Ring.Lookup(key(name).Slot)
		op := put(name, "v")
		if rnd.IntN(4) == 0 {
			op.Update.Change = replica.Change{Kind: replica.Delete}
		}
		missing, at := "", p.Owners[0]
		if rnd.IntN(3) > 0 {
			missing = p.Owners[rnd.IntN(len(p.Owners))]
		}
		if at == missing {
			at = p.Owners[1]
		}
		r.setFate(only(missing, replica.KindApply, fate{loseRequest: true}))
		if w := r.nodes[at].write(op); w[0].Err != nil {
			r.t.Fatal(w[0].Err)
		}
		alive[name] = op.Update.Change.Kind == replica.Put
	}
	r.setFate(nil)
	time.Sleep(2 * time.Second)
	return alive
}

// scanAll goes through the keyspace, page by page, in order.
func (n *node) scanAll(t *testing.T, limit int) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	var last []byte
	for at := (Position{}); ; {
		page, err := n.ScanPage(context.Background(), at, ring.Slots-1, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range page.Keys {
			row := storage.AppendRow(nil, k.Slot, k.Key, k.Field)
			if bytes.Compare(row, last) <= 0 {
				t.Fatalf("%q after %q", row, last)
			}
			found[string(k.Key)], last = true, row
		}
		if page.Done {
			return found
		}
		at = page.Next
	}
}

// A scan from any node, in pages of any size, with any one node down, finds
// every key that R of its owners hold, once, and none that is not alive.
func TestScan(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		alive := r.scatter(150)
		for i, down := range append([]string{""}, r.names...) {
			r.setDown(down, true)
			for _, n := range r.nodes {
				if n.name == down {
					continue
				}
				found := n.scanAll(t, []int{1, 7, 1000}[i%3])
				for name, lives := range alive {
					if found[name] != lives {
						t.Fatalf("%s, with %q down: %s found %v, alive %v", n.name, down, name, found[name], lives)
					}
				}
			}
			r.setDown(down, false)
		}
		r.setDown("n1", true)
		r.setDown("n2", true)
		_, err := r.nodes["n3"].ScanPage(context.Background(), Position{}, ring.Slots-1, 10)
		if err == nil {
			// The first stretch may have other owners.
			for at := (Position{}); err == nil; {
				var page KeyPage
				if page, err = r.nodes["n3"].ScanPage(context.Background(), at, ring.Slots-1, 10); page.Done {
					t.Fatal("scanned without two of five nodes")
				}
				at = page.Next
			}
		}
		quorumError(t, err, 2, 1)
	})
}

// A place in a slot is found from any node, also that of a deleted key and one
// that a single owner holds.
func TestSeek(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		p := r.list("k")
		r.leaveBehind(p.Owners[0], "{k}behind", "v", p.Owners[1], p.Owners[2])
		names := []string{"{k}behind"}
		for i := range 30 {
			name := fmt.Sprint("{k}", i)
			op := put(name, "v")
			if i%3 == 0 {
				op.Update.Change = replica.Change{Kind: replica.Delete}
			}
			r.nodes[p.Owners[i%3]].write(op)
			names = append(names, name)
		}
		for i, name := range names {
			want := storage.AppendRow(nil, key(name).Slot, []byte(name), nil)
			looked := 0
			got, err := r.nodes[r.names[i%5]].Seek(context.Background(), key("k").Slot, func(row []byte) bool {
				looked++
				return bytes.Equal(row, want)
			})
			if err != nil || !bytes.Equal(got, want) || looked > len(names) {
				t.Fatal(name, got, err, looked)
			}
		}
		for _, slot := range []uint16{key("k").Slot, key("k").Slot + 1} {
			got, err := r.nodes["n1"].Seek(context.Background(), slot, func(row []byte) bool { return false })
			if err != nil || got != nil {
				t.Fatal(got, err)
			}
		}
		r.setDown(p.Owners[0], true)
		r.setDown(p.Owners[1], true)
		_, err := r.nodes[p.Owners[2]].Seek(context.Background(), key("k").Slot, func([]byte) bool { return false })
		quorumError(t, err, 2, 1)
	})
}

// An owner that fails or says nothing is replaced by another.
func TestScanSlow(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		alive := r.scatter(20)
		for _, f := range []fate{{loseReply: true}, {cut: true}, {delay: 300 * time.Millisecond}} {
			r.setFate(only("n2", replica.KindScan, f))
			found := r.nodes["n1"].scanAll(t, 100)
			for name, lives := range alive {
				if found[name] != lives {
					t.Fatal(name, found[name], lives)
				}
			}
		}
		r.setFate(func(_, _ string, kind uint8) fate { return fate{loseRequest: kind == replica.KindScan} })
		_, err := r.nodes["n1"].ScanPage(context.Background(), Position{}, ring.Slots-1, 10)
		quorumError(t, err, 2, 1)
	})
}

// Each slot is counted once, wherever it is asked.
func TestCount(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		for i := range 100 {
			if _, err := r.nodes["n1"].set(fmt.Sprint("k", i), "v"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		count := func(n *node) uint64 {
			got, err := n.Count(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return got.Live
		}
		for _, n := range r.nodes {
			if got := count(n); got != 100 {
				t.Fatalf("%s counts %d", n.name, got)
			}
		}
		expiry := time.Now().Add(time.Hour).UnixMilli()
		ops := []Write{{Update: replica.Update{Key: key("k1"), Change: replica.Change{
			Kind: replica.Put, Value: []byte("v"), Expiry: expiry,
		}}}}
		if r.nodes["n2"].Write(context.Background(), ops); ops[0].Err != nil {
			t.Fatal(ops[0].Err)
		}
		time.Sleep(time.Second)
		for _, n := range r.nodes {
			left := expiry - time.Now().UnixMilli()
			k, err := n.Count(context.Background())
			if err != nil || k != (replica.KeyCount{Live: 100, Expiring: 1, TTL: uint64(left)}) {
				t.Fatalf("%s counts %+v, %v", n.name, k, err)
			}
		}
		// A node that fails is replaced, one that is down not asked.
		r.setFate(only("n3", replica.KindCount, fate{cut: true}))
		if got := count(r.nodes["n1"]); got != 100 {
			t.Fatalf("%d without the answer of n3", got)
		}
		r.setFate(nil)
		r.setDown("n2", true)
		if got := count(r.nodes["n1"]); got != 100 {
			t.Fatalf("%d with n2 down", got)
		}
		r.setFate(func(_, _ string, _ uint8) fate { return fate{refuse: peer.ErrOverloaded} })
		_, err := r.nodes["n1"].Count(context.Background())
		quorumError(t, err, 2, 0)
	})
}

// What has been acknowledged is counted, though an owner may not have it yet.
func TestCountMissesNothing(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		n1, n2 := r.nodes["n1"], r.nodes["n2"]
		count := func(want replica.KeyCount) {
			t.Helper()
			for _, n := range r.nodes {
				got, err := n.Count(context.Background())
				got.TTL = 0 // it runs
				if err != nil || got != want {
					t.Fatalf("%s counts %+v, %v, want %+v", n.name, got, err, want)
				}
			}
		}
		for i := range 100 {
			if _, err := n1.set(fmt.Sprint("k", i), "v"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		count(replica.KeyCount{Live: 100})
		r.setFate(func(_, to string, kind uint8) fate {
			return fate{loseRequest: to == "n1" && kind == replica.KindApply}
		})
		ops := []Write{put("new", "v"), put("k1", "v"), put("k2", "v")}
		ops[1].Update.Change.Expiry = time.Now().Add(time.Hour).UnixMilli()
		ops[2].Update.Change = replica.Change{Kind: replica.Delete}
		if n2.Write(context.Background(), ops); ops[0].Err != nil || ops[1].Err != nil || ops[2].Err != nil {
			t.Fatal(ops)
		}
		count(replica.KeyCount{Live: 100, Expiring: 1})
	})
}

// With fewer than R owners in reach nobody knows how many keys there are.
func TestCountNeedsR(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		r.setDown("n2", true)
		if _, err := r.nodes["n1"].Count(context.Background()); err != nil {
			t.Fatal(err)
		}
		r.setDown("n3", true)
		_, err := r.nodes["n1"].Count(context.Background())
		quorumError(t, err, 2, 1)
	})
}

// mergePages loses nothing: going on from its next row, page after page, gives
// each live key of the union of the replicas once, in order.
func TestEachRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replicas := make([][]replica.KeyedCell, rapid.IntRange(1, 3).Draw(t, "replicas"))
		want := map[string]bool{}
		for i := range rapid.IntRange(0, 20).Draw(t, "keys") {
			name := fmt.Sprintf("k%02d", i)
			dead := rapid.Bool().Draw(t, "deleted")
			cell := sampleCell(t, name, dead)
			held := rapid.IntRange(1, 1<<len(replicas)-1).Draw(t, "held by")
			for j := range replicas {
				if held>>j&1 == 1 {
					replicas[j] = append(replicas[j], replica.KeyedCell{Key: replica.Key{Slot: uint16(i / 3), Key: []byte(name)}, Cell: cell})
				}
			}
			if !dead {
				want[name] = true
			}
		}
		var got []string
		var after []byte
		for {
			var pages []replica.Page
			for _, cells := range replicas {
				pages = append(pages, pageOf(cells, after, rapid.IntRange(1, 4).Draw(t, "limit")))
			}
			next := eachRow(pages, func(key replica.Key, copies []*version.Cell) {
				if _, alive := mergeCopies(copies).Winner(0); alive {
					got = append(got, string(key.Key))
				}
			})
			if next == nil {
				break
			}
			if bytes.Compare(next, after) <= 0 {
				t.Fatalf("no progress from %q", after)
			}
			after = next
		}
		if len(got) != len(want) || !slices.IsSorted(got) {
			t.Fatalf("%v of %v", got, want)
		}
		for _, name := range got {
			if !want[name] {
				t.Fatalf("%s is not alive", name)
			}
		}
	})
}

func sampleCell(t rapid.TB, value string, dead bool) *version.Cell {
	t.Helper()
	var none *version.Cell
	c, _, _, err := none.Put(version.Mint{Actor: version.Actor{ID: 1}, Time: 1}, version.Write{Value: []byte(value), Tombstone: dead})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pageOf is what a replica that holds cells answers.
func pageOf(cells []replica.KeyedCell, after []byte, limit int) (p replica.Page) {
	for _, kc := range cells {
		row := storage.AppendRow(nil, kc.Key.Slot, kc.Key.Key, nil)
		if bytes.Compare(row, after) <= 0 {
			continue
		}
		if len(p.Cells) == limit {
			last := p.Cells[limit-1].Key
			p.Next = storage.AppendRow(nil, last.Slot, last.Key, nil)
			break
		}
		p.Cells = append(p.Cells, kc)
	}
	return p
}

// A stretch is slots with the same owners, and the slots are covered.
func TestStretch(t *testing.T) {
	table := settledRing(t, 3, "n1", "n2", "n3", "n4", "n5")
	n := 0
	for lo := 0; lo < ring.Slots; n++ {
		hi := int(stretch(table, uint16(lo), ring.Slots-1))
		for s := lo; s <= hi; s++ {
			if table.Lookup(uint16(s)).Set != table.Lookup(uint16(lo)).Set {
				t.Fatal(s)
			}
		}
		lo = hi + 1
	}
	if n < 2 || n > 16 {
		t.Fatalf("%d stretches", n)
	}
}
