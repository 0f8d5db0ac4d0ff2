package antientropy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage/version"
)

// scatter gives some of the owners of keys some versions of them: successors,
// siblings and deletes. It returns what all owners are to come to hold.
func (o *owners) scatter(random *rand.Rand, keys int) map[string]*version.Cell {
	minters := []*minter{newMinter(101), newMinter(102)}
	want := map[string]*version.Cell{}
	for i := range keys {
		k := testKey(i)
		var cell, merged *version.Cell
		for range 1 + random.IntN(4) {
			if random.IntN(3) == 0 {
				cell = nil // the next writer has seen nothing
			}
			w := version.Write{Value: fmt.Append(nil, random.Uint32()), Tombstone: random.IntN(4) == 0}
			if cell = minters[random.IntN(2)].write(o.t, cell, w); random.IntN(10) == 0 {
				w.Expiry = time.Now().UnixMilli() + int64(random.IntN(5000))
			}
			held := false
			for _, m := range o.nodes {
				if m.stop == nil || !slices.Contains(o.View().Ring.Lookup(k.Slot).Owners, m.name) || random.IntN(2) == 0 {
					continue
				}
				m.put(replica.KeyedCell{Key: k, Cell: cell})
				held = true
			}
			if held {
				merged = version.Merge(merged, cell)
			}
		}
		if merged != nil {
			want[string(k.Key)] = merged
		}
	}
	return want
}

// hold checks that every owner of a key holds exactly what is wanted.
func (o *owners) hold(want map[string]*version.Cell, keys int) {
	o.t.Helper()
	for i := range keys {
		k := testKey(i)
		for _, m := range o.nodes {
			if m.stop == nil || !slices.Contains(o.View().Ring.Lookup(k.Slot).Owners, m.name) {
				continue
			}
			got, err := m.Get(k)
			if err != nil {
				o.t.Fatal(err)
			}
			if got.Digest() != want[string(k.Key)].Digest() {
				o.t.Fatalf("%s holds %v of %s, not %v", m.name, got, k.Key, want[string(k.Key)])
			}
		}
	}
}

// Whatever of a key its owners hold: after a while, and without any request,
// each of them holds all of it, and knows that they do.
func TestOwnersConverge(t *testing.T) {
	const keys = 200
	for nodes, seeds := range map[int]uint64{2: 1, 3: 2, 5: 1} {
		for seed := range seeds {
			synctest.Test(t, func(t *testing.T) {
				o := startOwners(t, nodes)
				defer o.close()
				want := o.scatter(rand.New(rand.NewPCG(seed, uint64(nodes))), keys)
				o.settled(30 * time.Second)
				o.hold(want, keys)
				o.same()
			})
		}
	}
}

// A node that was away, and one that was cut off, get what they missed and
// hand over what the others did, at once when they are back.
func TestOwnersConvergeAfterAnAbsence(t *testing.T) {
	const keys = 200
	synctest.Test(t, func(t *testing.T) {
		o := startOwners(t, 3)
		defer o.close()
		random := rand.New(rand.NewPCG(1, 2))
		o.scatter(random, keys)
		o.settled(30 * time.Second)

		o.nodes[0].halt()
		o.scatter(random, keys)
		o.nodes[0].start()
		o.settled(5 * time.Second)
		o.same()

		o.net.Cut("n2", "n1")
		o.net.Cut("n2", "n3")
		time.Sleep(10 * time.Second)
		o.scatter(random, keys)
		time.Sleep(10 * time.Second)
		var s Status
		if o.nodes[1].exchange.Fill(&s); s.Unstepped == 0 || s.Lag < 5*time.Second {
			t.Errorf("cut off, with %d pairs out of step for %v", s.Unstepped, s.Lag)
		}
		o.net.HealAll()
		o.settled(10 * time.Second)
		o.same()
	})
}

// One cell that differs among very many is found and repaired at the cost of
// what differs.
func TestExchangeCostsWhatDiffers(t *testing.T) {
	const cells = 20_000
	synctest.Test(t, func(t *testing.T) {
		o := startOwners(t, 2)
		defer o.close()
		o.load(cells)
		o.settled(time.Minute)
		time.Sleep(2 * quietFor)
		before, wire := o.total(), o.wire()

		k := testKey(4711)
		cur, err := o.nodes[0].Get(k)
		if err != nil {
			t.Fatal(err)
		}
		next := newMinter(102).write(t, cur, version.Write{Value: []byte("other")})
		o.nodes[0].put(replica.KeyedCell{Key: k, Cell: next})
		began := time.Now()
		for {
			if got, _ := o.nodes[1].Get(k); got.Digest() == next.Digest() {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("repaired after %v", d)
		}
		o.settled(5 * time.Second)
		after := o.total()
		if sent := after.Sent + after.Received - before.Sent - before.Received; sent != 1 {
			t.Errorf("%d cells were moved", sent)
		}
		if moved := o.wire() - wire; moved > 20<<10 {
			t.Errorf("%d bytes were moved", moved)
		}

		// Without a hint of where it is, everything has to be looked at.
		before, wire = o.total(), o.wire()
		if err := o.nodes[1].exchange.compareNow(); err != nil {
			t.Error(err)
		}
		if moved := o.wire() - wire; moved > 20<<10 {
			t.Errorf("to find nothing %d bytes were moved, %d by its own account", moved, o.total().Bytes-before.Bytes)
		}
	})
}

// load gives all nodes the same cells.
func (o *owners) load(cells int) {
	m := newMinter(101)
	const batch = 1000
	for at := 0; at < cells; at += batch {
		kcs := make([]replica.KeyedCell, batch)
		for i := range kcs {
			kcs[i] = replica.KeyedCell{Key: testKey(at + i), Cell: m.write(o.t, nil, version.Write{Value: []byte("value")})}
		}
		for _, n := range o.nodes {
			n.put(kcs...)
		}
	}
}

// compareNow makes a KindCompare request of a node's own.
func (e *Exchange) compareNow() error {
	a := answered{make(chan error, 1)}
	e.serve(a)
	return <-a.ended
}

type answered struct{ ended chan error }

func (a answered) Reply([]byte) { a.ended <- nil }

func (a answered) Fail(code peer.Code, text string) {
	a.ended <- &peer.RemoteError{Code: code, Text: text}
}

// A request for a full compare is answered when everything was compared, and
// fails where somebody cannot be reached.
func TestCompareOnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := startOwners(t, 3)
		defer o.close()
		o.settled(30 * time.Second)
		var before, after Status
		o.nodes[0].exchange.Fill(&before)
		time.Sleep(time.Minute)
		if _, err := ask(context.Background(), o.nodes[1].peers, "n1", replica.KindCompare, nil); err != nil {
			t.Error(err)
		}
		o.nodes[0].exchange.Fill(&after)
		for _, name := range []string{"n2", "n3"} {
			if d := after.LastFull[name].Sub(before.LastFull[name]); d < 50*time.Second {
				t.Errorf("%s was compared %v after the last time", name, d)
			}
		}
		if after.Exchange.Differed != 0 || after.Exchange.Compared < 2*16384 {
			t.Errorf("compared %+v", after.Exchange)
		}

		o.nodes[2].halt()
		began := time.Now()
		if err := o.nodes[0].exchange.compareNow(); err == nil || time.Since(began) < compareWait {
			t.Errorf("with a member down: %v after %v", err, time.Since(began))
		}
		o.nodes[0].exchange.request(t)
	})
}

// request has requests wait until no more may, and ends the exchange.
func (e *Exchange) request(t *testing.T) {
	var waiting []answered
	for range maxWaiting {
		a := answered{make(chan error, 1)}
		e.serve(a)
		waiting = append(waiting, a)
	}
	if err := e.compareNow(); err == nil {
		t.Error("too many requests wait")
	}
	for _, w := range e.close() {
		w.req.Fail(replica.CodeClosed, "closed")
	}
	for _, a := range waiting {
		if err := <-a.ended; err == nil {
			t.Error("a request that could not be done was answered")
		}
	}
	if err := e.compareNow(); err == nil {
		t.Error("a closed exchange takes requests")
	}
}

// A slot that is marked is compared at once, without waiting for quiet.
func TestMarkedSlotsAreComparedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := startOwners(t, 2)
		defer o.close()
		o.settled(30 * time.Second)
		k := testKey(1)
		cell := newMinter(101).write(t, nil, version.Write{Value: []byte("v")})
		o.nodes[1].put(replica.KeyedCell{Key: k, Cell: cell})
		o.nodes[0].exchange.Mark(k.Slot)
		time.Sleep(50 * time.Millisecond)
		if got, _ := o.nodes[0].Get(k); got.Digest() != cell.Digest() {
			t.Error("not repaired")
		}
	})
}
