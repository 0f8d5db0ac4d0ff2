package antientropy

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// Of a copy nothing is left that others own without it: no cells, no hints.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 3000
		o := startOwners(t, 4)
		defer o.close()
		m, minter := o.nodes[3], newMinter(101)
		for _, n := range o.nodes[:3] {
			n.halt() // or they would have it all back at once
		}
		var cells []replica.KeyedCell
		for i := range keys {
			cells = append(cells, replica.KeyedCell{Key: testKey(i), Cell: minter.write(t, nil, version.Write{Value: []byte("old")})})
		}
		m.put(cells...)
		for _, owner := range []string{"n1", "n2"} {
			done := make(chan error, 1)
			m.Apply(&replica.ApplyBatch{For: owner, Cells: cells, Done: func(err error) { done <- err }})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if err := Forget(context.Background(), o.View().Ring, m.name, m); err != nil {
			t.Fatal(err)
		}
		for _, kc := range cells {
			own, err := m.Get(kc.Key)
			if err != nil {
				t.Fatal(err)
			}
			if owner := o.View().Ring.Lookup(kc.Key.Slot).Role(m.name) == ring.Owner; (own != nil) != owner {
				t.Fatalf("%s: held %v, owned %v", kc.Key.Key, own != nil, owner)
			}
		}
		for _, h := range m.HintStats() {
			if h.Cells != 0 {
				t.Errorf("hints %+v", h)
			}
		}

		// Where nobody else has anything, a copy is all there is.
		bare := &owners{t: t, changed: make(chan struct{})}
		bare.Add(ring.Event{Kind: ring.Found, Config: &ring.Config{Cluster: 7, N: 3, Placement: ring.PlacementEqual, Partitions: 64}})
		if err := Forget(context.Background(), bare.View().Ring, m.name, m); err != nil {
			t.Fatal(err)
		}
		if n := m.Slot(cells[0].Key.Slot).Cells + m.Slot(cells[1].Key.Slot).Cells + m.Slot(cells[2].Key.Slot).Cells; n == 0 {
			t.Error("without other owners everything is forgotten")
		}
	})
}
