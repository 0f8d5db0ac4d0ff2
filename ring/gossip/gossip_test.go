package gossip

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip/memnet"
)

func TestThreeNodes(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1, n2, n3 := b.three()
		r := n2.View().Ring
		if len(r.Members()) != 3 || r.Config().N != 3 {
			t.Errorf("members %v", r.Members())
		}
		if m := n3.View().Members["n2"]; m.GossipAddr != gossipAddr(2) || m.Actor != 1002 || m.PeerAddr != host(2)+":17379" {
			t.Errorf("n3 knows n2 as %+v", m)
		}
		stopAll(n1, n2, n3)
	})
}

// A node that ends says so; one that crashes is found out.
func TestLiveness(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1, n2, n3 := b.three()
		n3.stop()
		took := within(t, time.Second, "n3 said goodbye", func() bool { return sees(n1, "n3", false)() && sees(n2, "n3", false)() })
		t.Log("a goodbye took", took)
		if len(n1.View().Ring.Members()) != 3 {
			t.Error("a goodbye moved ownership")
		}
		n3 = b.start(3, n3.opts)
		took = within(t, 3*time.Second, "n3 is back", func() bool { return agree(n1, n2, n3) })
		t.Log("coming back took", took)

		b.crash(n2, 2)
		took = within(t, 4*time.Second, "n2's crash is seen", func() bool { return sees(n1, "n2", false)() && sees(n3, "n2", false)() })
		t.Log("seeing a crash took", took)
		n2.opts.Seeds = nil
		n2.opts.Self.Addr = host(2) + ":9999"
		n2 = b.start(2, n2.opts)
		took = within(t, 3*time.Second, "n2 is back with another address", func() bool { return agree(n1, n2, n3) })
		t.Log("coming back took", took)
		stopAll(n1, n2, n3)
	})
}

// Restarted at once after a crash, before anybody noticed.
func TestQuickRestart(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1, n2, n3 := b.three()
		b.crash(n2, 2)
		n2.opts.Self.Addr = host(2) + ":9999"
		n2 = b.start(2, n2.opts)
		within(t, 10*time.Second, "n2 is back with another address", func() bool { return agree(n1, n2, n3) })
		stopAll(n1, n2, n3)
	})
}

// A member comes back at another IP address.
func TestMove(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1, n2, n3 := b.three()
		b.crash(n2, 2)
		n2.opts.Self.Addr = host(9) + ":7379"
		n2 = b.start(9, n2.opts)
		took := within(t, 10*time.Second, "n2 is seen at its new address", func() bool {
			return agree(n1, n2, n3) && n1.View().Members["n2"].GossipAddr == gossipAddr(9)
		})
		t.Log("moving took", took)
		stopAll(n1, n2, n3)
	})
}

// Cut off for a quarter of an hour, and changed on both sides: memberlist has
// long forgotten the others then.
func TestLongCut(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1, n2, n3 := b.three()
		b.net.Partition([]string{host(1)}, []string{host(2), host(3)})
		within(t, 5*time.Second, "the cut is seen", func() bool {
			return sees(n1, "n2", false)() && sees(n1, "n3", false)() && sees(n2, "n1", false)() && sees(n3, "n1", false)()
		})
		if !n2.View().Alive["n3"] {
			t.Error("n2 lost n3")
		}
		for _, n := range []*node{n1, n2} {
			if err := n.Add(ring.Event{Kind: 77, Extra: []byte(n.opts.Self.Name)}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(15 * time.Minute)
		b.net.HealAll()
		took := within(t, 15*time.Second, "the cut is healed", func() bool { return agree(n1, n2, n3) })
		t.Log("healing took", took)
		if n := n3.View().History.Len(); n != 4+2 {
			t.Errorf("the history has %d events", n)
		}
		stopAll(n1, n2, n3)
	})
}

// Everybody was down; each restarts alone, serves at once, and finds the
// others whenever they come.
func TestAllRestart(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1, n2, n3 := b.three()
		stopAll(n1, n2, n3)
		n2.opts.Seeds = nil
		n2 = b.start(2, n2.opts)
		if v := n2.View(); v.Ring == nil || len(v.Ring.Members()) != 3 || !v.Alive["n2"] || v.Alive["n1"] {
			t.Fatalf("the restarted node sees %+v", v)
		}
		n2.mustJoin()
		time.Sleep(10 * time.Minute)
		n3 = b.start(3, n3.opts)
		within(t, 8*time.Second, "two agree", func() bool { return agree(n2, n3) })
		time.Sleep(10 * time.Minute)
		n1 = b.start(1, n1.opts)
		within(t, 8*time.Second, "three agree", func() bool { return agree(n1, n2, n3) })
		stopAll(n1, n2, n3)
	})
}

// A lossy, slow network: nobody is lost for long, and all events arrive.
func TestLossyNetwork(t *testing.T) {
	inBubble(t, func(b *bubble) {
		for i := 1; i <= 5; i++ {
			for j := 1; j <= 5; j++ {
				b.net.SetLink(host(i), host(j), memnet.Link{Drop: 0.2, Dup: 0.1, Delay: 2 * time.Millisecond, Jitter: 20 * time.Millisecond})
			}
		}
		nodes := []*node{b.start(1, b.options(1))}
		for i := 2; i <= 5; i++ {
			nodes = append(nodes, b.start(i, b.options(i, 1)))
		}
		within(t, 20*time.Second, "five nodes agree", func() bool { return agree(nodes...) })
		for i, n := range nodes {
			if err := n.Add(ring.Event{Kind: 77, Extra: []byte{byte(i)}}); err != nil {
				t.Fatal(err)
			}
		}
		within(t, 10*time.Second, "five events are everywhere", func() bool {
			return agree(nodes...) && nodes[0].View().History.Len() == 6+5
		})
		down := 0
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			if !agree(nodes...) {
				down++
			}
		}
		if down > 60 {
			t.Errorf("for %d of 600 looks somebody was taken for dead", down)
		}
		stopAll(nodes...)
	})
}

// Events are everywhere in well under a second, those too big for a packet
// too; and no later than their issuer had seen.
func TestEventsSpread(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1, n2, n3 := b.three()
		var odd []ring.Range
		for slot := uint16(0); slot < ring.Slots; slot += 4 {
			odd = append(odd, ring.Range{Lo: slot, Hi: slot})
		}
		for _, e := range []ring.Event{{Kind: ring.Ready, Name: "n2", Slots: odd}, {Kind: 77}} {
			changed := n3.Changed()
			if err := n2.Add(e); err != nil {
				t.Fatal(err)
			}
			took := within(t, time.Second, "the event is everywhere", func() bool { return agree(n1, n2, n3) })
			t.Logf("an event of %d slots took %v", len(e.Slots), took)
			<-changed
		}
		events := n1.View().History.Events()
		if last := events[len(events)-1]; last.Kind != 77 || last.ID == 0 {
			t.Errorf("the last event is %+v", last)
		}
		stopAll(n1, n2, n3)
	})
}

func TestMergeFromPeers(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1 := b.start(1, b.options(1))
		n1.mustJoin()
		within(t, time.Second, "it runs", n1.running.Load)
		h, err := n1.View().History.With(ring.Event{ID: 5, Time: 5, Kind: 77})
		if err != nil {
			t.Fatal(err)
		}
		if changed, err := n1.Merge(h.Encoded()); !changed || err != nil {
			t.Errorf("merged: %v %v", changed, err)
		}
		if changed, err := n1.Merge(h.Encoded()); changed || err != nil {
			t.Errorf("merged again: %v %v", changed, err)
		}
		if _, err := n1.Merge([]byte("nonsense")); !errors.Is(err, ring.ErrBadHistory) {
			t.Errorf("got %v", err)
		}
		foreign, err := ring.NewHistory(ring.Event{ID: 1, Time: 1, Kind: ring.Found, Config: &ring.Config{Cluster: 9, N: 3}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n1.Merge(foreign.Encoded()); !errors.Is(err, ring.ErrForeignCluster) {
			t.Errorf("got %v", err)
		}
		if string(n1.Encoded()) != string(h.Encoded()) {
			t.Error("the history is not what was merged")
		}
		n1.stop()
		if err := n1.Add(ring.Event{Kind: 77}); !errors.Is(err, ErrNotRunning) {
			t.Errorf("got %v after the end", err)
		}
	})
}

// What the store does not take is not acted on; what others said is tried
// again.
func TestStoreFails(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n1, n2, n3 := b.three()
		n2.store.failWith(errDisk)
		before := n2.View()
		if err := n2.Add(ring.Event{Kind: 77}); !errors.Is(err, errDisk) {
			t.Errorf("got %v", err)
		}
		if err := n1.Add(ring.Event{Kind: 78}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if n2.View().History != before.History || n1.View().History.Has(0) {
			t.Error("an event was acted on that is not stored")
		}
		n2.store.failWith(nil)
		within(t, 3*time.Second, "what was missed is there", func() bool { return agree(n1, n2, n3) })
		stopAll(n1, n2, n3)

		o := b.options(4)
		o.Store.(*memStore).failWith(errDisk)
		if err := b.start(4, o).fails(); !errors.Is(err, errDisk) {
			t.Errorf("a cluster was made, with %v", err)
		}
	})
}

// With the same secret nodes find each other; with another one, or none, they
// stay out.
func TestSecret(t *testing.T) {
	inBubble(t, func(b *bubble) {
		with := func(i int, secret string, seeds ...int) Options {
			o := b.options(i, seeds...)
			o.Secret = []byte(secret)
			return o
		}
		n1 := b.start(1, with(1, "open sesame"))
		n2 := b.start(2, with(2, "open sesame", 1))
		n3 := b.start(3, with(3, "open barley", 1))
		n4 := b.start(4, with(4, "", 1))
		n2.mustJoin()
		within(t, 5*time.Second, "two agree", func() bool { return agree(n1, n2) })
		time.Sleep(time.Minute)
		for _, n := range []*node{n3, n4} {
			if n.View().Ring != nil {
				t.Errorf("%s joined", n.opts.Self.Name)
			}
		}
		if n := len(n1.View().Ring.Members()); n != 2 {
			t.Errorf("%d members", n)
		}
		stopAll(n1, n2, n3, n4)
	})
}

func TestOptions(t *testing.T) {
	good := func() Options {
		return Options{Self: Meta{Name: "n1", Actor: 1}, Want: want, Bind: "127.0.0.1:0", Store: &memStore{}}
	}
	if _, err := New(good()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Options)
		want   error
		text   string
	}{
		"no secret":             {func(o *Options) { o.Bind = "192.168.0.1:1" }, ErrSecretNeeded, "--cluster-secret"},
		"no secret, everywhere": {func(o *Options) { o.Bind = ":1" }, ErrSecretNeeded, "127.0.0.1"},
		"no host":               {func(o *Options) { o.Bind, o.Secret = "0.0.0.0:1", []byte("x") }, ErrBadMeta, "--advertise-host"},
		"no port":               {func(o *Options) { o.Bind = "127.0.0.1" }, ErrBadMeta, "host:port"},
		"no name":               {func(o *Options) { o.Self.Name = "" }, ErrBadMeta, "name"},
		"no actor":              {func(o *Options) { o.Self.Actor = 0 }, ErrBadMeta, "actor"},
		"long address":          {func(o *Options) { o.Self.Addr = strings.Repeat("h", 600) + ":1" }, ErrBadMeta, "shorter"},
		"no n":                  {func(o *Options) { o.Want.N = 0 }, ring.ErrBadConfig, "n is 0"},
		"odd":                   {func(o *Options) { o.Want.Partitions = 100 }, ring.ErrBadConfig, "power of two"},
		"heavy":                 {func(o *Options) { o.Weight = 1 << 20 }, ring.ErrBadConfig, "weight"},
	} {
		o := good()
		c.change(&o)
		if _, err := New(o); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, o := range []Options{
		{Bind: "localhost:1"}, {Bind: "[::1]:1"}, {Bind: "10.0.0.1:1", Secret: []byte("x")},
	} {
		g := good()
		g.Bind, g.Secret = o.Bind, o.Secret
		if _, err := New(g); err != nil {
			t.Errorf("%s: %v", g.Bind, err)
		}
	}
}
