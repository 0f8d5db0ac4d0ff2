package antientropy

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/storagetest"
	"github.com/dynaring/dynaring/storage/version"
)

// damage changes a bit of a node's rows of some keys, while it does not run.
func (m *owner) damage(keys ...replica.Key) {
	m.all.t.Helper()
	m.halt()
	for i, k := range keys {
		if err := storagetest.Damage(m.fs, "data", storage.AppendRow(nil, k.Slot, k.Key, k.Field), 5*i); err != nil {
			m.all.t.Fatal(err)
		}
	}
	m.start()
}

// mender runs a mender of a node until the returned function is called.
func (m *owner) mender(w int) (stop func()) {
	return background(NewMender(MenderOptions{Self: m.name, W: w}, m, m.peers, m.all).Run)
}

// valueOf is a cell that somebody else wrote.
func valueOf(t *testing.T, counter uint64, value string) *version.Cell {
	t.Helper()
	c, _, _, err := (*version.Cell)(nil).Put(
		version.Mint{Actor: version.Actor{ID: 99}, Floor: counter - 1, Time: version.TimestampAt(int64(counter))},
		version.Write{Value: []byte(value)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What the other owners hold, merged, takes the place of damaged rows, as soon as
// somebody meets them; afterwards all hold the same.
func TestMend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := startOwners(t, 3)
		defer o.close()
		keys := o.keysOf(100, func(*preference) bool { return true })
		older, newer := valueOf(t, 1, "older"), valueOf(t, 2, "newer")
		for i, k := range keys {
			o.nodes[0].put(replica.KeyedCell{Key: k, Cell: older})
			o.nodes[1+i%2].put(replica.KeyedCell{Key: k, Cell: newer}) // it is a sibling of the older one
		}
		o.settled(time.Minute)
		n := o.nodes[0]
		n.damage(keys...)
		defer n.mender(2)()
		for _, k := range keys {
			if c, err := n.Get(k); c != nil || !errors.Is(err, storage.ErrDamaged) {
				t.Fatalf("%q: %v, %v", k.Key, c, err)
			}
		}
		time.Sleep(5 * time.Second)
		for _, k := range keys {
			if !n.has(k, version.Merge(older, newer)) {
				t.Fatalf("%q is not mended", k.Key)
			}
		}
		if s := n.DamageStats(); s != (replica.DamageStats{Found: 100, Mended: 100}) {
			t.Errorf("%+v", s)
		}
		if inc := n.store.Actor().Inc; inc == 0 || inc > 4 {
			t.Errorf("100 rows have cost %d incarnations", inc)
		}
		o.same()
		o.settled(time.Minute)
		o.same()
	})
}

// As long as too few owners answer to know all that was acknowledged here, the
// row stays damaged: one of them may be the only one that has it.
func TestMendNeedsEnoughOwners(t *testing.T) {
	for _, tc := range []struct {
		w, down int
		mends   bool
	}{{2, 0, true}, {2, 1, false}, {3, 1, true}, {1, 1, false}} {
		synctest.Test(t, func(t *testing.T) {
			o := startOwners(t, 3)
			defer o.close()
			k, c := testKey(1), valueOf(t, 1, "v")
			o.nodes[0].put(replica.KeyedCell{Key: k, Cell: c})
			o.settled(time.Minute)
			n := o.nodes[0]
			for i := range tc.down {
				o.nodes[2-i].halt()
			}
			n.damage(k)
			defer n.mender(tc.w)()
			_, _ = n.Get(k)
			time.Sleep(time.Minute)
			if _, err := n.Get(k); (err == nil) != tc.mends || n.DamageStats().Lost > 0 {
				t.Errorf("W = %d, %d down: %v, %+v", tc.w, tc.down, err, n.DamageStats())
			}
			for i := range tc.down {
				o.nodes[2-i].start()
			}
			time.Sleep(time.Minute)
			if !n.has(k, c) {
				t.Errorf("W = %d, %d were down: it is not mended", tc.w, tc.down)
			}
		})
	}
}

// An owner whose own row is damaged too has nothing to say, and holds nobody up;
// what none holds is lost, and said to be, until somebody has it again.
func TestMendWhatOthersLack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := startOwners(t, 3)
		defer o.close()
		both, lost := testKey(1), testKey(2)
		c := valueOf(t, 1, "v")
		o.nodes[0].put(replica.KeyedCell{Key: both, Cell: c})
		o.settled(time.Minute)
		n := o.nodes[0]
		o.nodes[1].damage(both)
		for _, other := range o.nodes[1:] {
			o.net.Cut(n.name, other.name) // before it has reached them
		}
		n.put(replica.KeyedCell{Key: lost, Cell: c})
		n.damage(both, lost)
		for _, other := range o.nodes[1:] {
			o.net.Heal(n.name, other.name)
		}
		defer n.mender(2)()
		defer o.nodes[1].mender(2)()
		for _, m := range o.nodes[:2] {
			_, _ = m.Get(both)
		}
		_, _ = n.Get(lost)
		time.Sleep(10 * time.Second)
		if !n.has(both, c) || !o.nodes[1].has(both, c) {
			t.Error("two damaged rows are not mended from the third")
		}
		if s := n.DamageStats(); s != (replica.DamageStats{Found: 2, Mended: 1, Lost: 1}) || !slices.Equal(n.Damaged(true)[0].Key, lost.Key) {
			t.Errorf("%+v", s)
		}
		if _, err := n.Get(lost); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("what is lost reads as %v", err)
		}
		o.settled(time.Minute) // it holds up nothing
		o.nodes[2].put(replica.KeyedCell{Key: lost, Cell: valueOf(t, 5, "new")})
		time.Sleep(2 * time.Minute)
		if !n.has(lost, valueOf(t, 5, "new")) || n.DamageStats().Lost != 0 {
			t.Errorf("it does not come back: %+v", n.DamageStats())
		}
		o.settled(time.Minute)
		o.same()
	})
}
