package antientropy

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage/version"
)

// startStrays starts nodes of which one holds cells of others, and gives them
// back.
func startStrays(t *testing.T, test func(t *testing.T, o *owners, holder *owner, cells []replica.KeyedCell, net *tap, s *Strays)) {
	synctest.Test(t, func(t *testing.T) {
		o := startOwners(t, 4)
		defer o.close()
		holder, w := o.node("n4"), newMinter(101)
		var cells []replica.KeyedCell
		for _, k := range o.keysOf(300, func(p *preference) bool { return slices.Contains(p.fallbacks, "n4") }) {
			cells = append(cells, replica.KeyedCell{Key: k, Cell: w.write(t, nil, version.Write{Value: []byte("v")})})
		}
		time.Sleep(time.Second) // they find each other
		net := &tap{Peers: holder.peers}
		s := NewStrays(StraysOptions{Self: holder.name, Settle: time.Second}, holder.Replica, net, o)
		defer background(s.Run)()
		time.Sleep(2 * time.Second) // the ring has been the same for long enough
		test(t, o, holder, cells, net, s)
	})
}

// owned checks that all owners hold the cells, and the holder none of them.
func (o *owners) owned(holder *owner, cells []replica.KeyedCell) {
	o.t.Helper()
	for _, c := range cells {
		for _, name := range o.View().Ring.Lookup(c.Key.Slot).Owners {
			if !o.node(name).has(c.Key, c.Cell) {
				o.t.Fatalf("%s does not have %s", name, c.Key.Key)
			}
		}
		if !holder.has(c.Key, nil) {
			o.t.Fatalf("%s still has %s", holder.name, c.Key.Key)
		}
	}
}

func TestStraysAreGivenBack(t *testing.T) {
	startStrays(t, func(t *testing.T, o *owners, holder *owner, cells []replica.KeyedCell, net *tap, s *Strays) {
		holder.put(cells...)
		if s.Count() != len(cells) {
			t.Errorf("%d strays are counted, want %d", s.Count(), len(cells))
		}
		time.Sleep(5 * time.Second)
		o.owned(holder, cells)
		if st := s.Status(); s.Count() != 0 || st.Cells != uint64(len(cells)) || st.LastError != "" {
			t.Errorf("%d strays are left, and the status says %+v", s.Count(), st)
		}
	})
}

// What owners hold already is asked for, not sent; but not taken for more than
// it is: they are to have it on disk.
func TestStraysThatOwnersHoldAreNotSent(t *testing.T) {
	startStrays(t, func(t *testing.T, o *owners, holder *owner, cells []replica.KeyedCell, net *tap, _ *Strays) {
		for _, c := range cells {
			for _, name := range o.View().Ring.Lookup(c.Key.Slot).Owners {
				o.node(name).put(c)
			}
		}
		holder.put(cells...)
		time.Sleep(5 * time.Second)
		o.owned(holder, cells)
		if net.count(replica.KindApply) > 0 || net.count(replica.KindProbe) == 0 {
			t.Errorf("%d messages with cells, %d probes", net.count(replica.KindApply), net.count(replica.KindProbe))
		}
	})
}

// As long as one owner is away, or does not acknowledge, nothing is dropped.
func TestStraysStayUntilAllOwnersHaveThem(t *testing.T) {
	startStrays(t, func(t *testing.T, o *owners, holder *owner, cells []replica.KeyedCell, net *tap, s *Strays) {
		net.set(func(to string, kind uint8, _ []byte) error {
			if kind == replica.KindApply && to == "n2" {
				return peer.ErrTimeout
			}
			return nil
		})
		holder.put(cells...)
		time.Sleep(quietFor - 100*time.Millisecond) // then the owners compare
		owners := o.View().Ring.Lookup
		for _, c := range cells {
			if slices.Contains(owners(c.Key.Slot).Owners, "n2") && holder.has(c.Key, nil) {
				t.Fatalf("%s is gone, and n2 does not have it", c.Key.Key)
			}
		}
		if s.Status().LastError == "" {
			t.Error("the status says nothing of it")
		}
		o.node("n2").halt()
		net.set(nil)
		time.Sleep(30 * time.Second)
		if s.Count() == 0 {
			t.Error("with an owner away all is gone")
		}
		o.node("n2").start()
		time.Sleep(straysAgainMax + 5*time.Second)
		o.owned(holder, cells)
	})
}

// A slot that has owners to come keeps what it has, and so does one in which
// the ring has changed just now.
func TestStraysWaitForTheRing(t *testing.T) {
	startStrays(t, func(t *testing.T, o *owners, holder *owner, cells []replica.KeyedCell, net *tap, s *Strays) {
		o.join().start()
		coming := func(c replica.KeyedCell) bool {
			p := o.View().Ring.Lookup(c.Key.Slot)
			return slices.Contains(p.Coming, "n5") && slices.Contains(p.Fallbacks, holder.name)
		}
		if !slices.ContainsFunc(cells, coming) {
			t.Fatal("no cell is in a slot that n5 is coming to")
		}
		holder.put(cells...)
		time.Sleep(30 * time.Second)
		for _, c := range cells {
			if got := !holder.has(c.Key, nil); got != coming(c) {
				t.Fatalf("%s is here: %v; its slot has an owner to come: %v", c.Key.Key, got, coming(c))
			}
		}
		o.allReady()
		time.Sleep(10 * time.Second)
		o.owned(holder, cells)
	})
}

// A node that is not in the ring cannot tell what is not its own.
func TestStraysOfNoMemberStay(t *testing.T) {
	startStrays(t, func(t *testing.T, o *owners, holder *owner, cells []replica.KeyedCell, net *tap, _ *Strays) {
		s := NewStrays(StraysOptions{Self: "stranger"}, o.node("n1").Replica, o.node("n1").peers, o)
		defer background(s.Run)()
		time.Sleep(time.Second)
		mine := cells[0]
		o.node("n1").put(mine)
		time.Sleep(10 * time.Second)
		if !o.node("n1").has(mine.Key, mine.Cell) || s.Count() != 0 {
			t.Errorf("it counts %d strays", s.Count())
		}
	})
}
