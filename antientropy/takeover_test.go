package antientropy

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
	"github.com/dynaring/dynaring/storage/version"
)

func TestSources(t *testing.T) {
	for _, tc := range []struct{ width, present, w, want int }{
		{3, 3, 2, 2},
		{3, 3, 3, 1},
		{3, 3, 1, 3},
		{3, 2, 2, 2}, // one lost its data: one copy is left of what it and another had acknowledged
		{3, 2, 3, 1},
		{3, 1, 2, 1},
		{1, 1, 2, 1},
		{5, 4, 3, 3},
		{0, 0, 2, 0},
	} {
		p := &ring.Preference{Owners: make([]string, tc.present), Width: tc.width}
		if got := sources(p, tc.w); got != tc.want {
			t.Errorf("%d of %d owners present, W=%d: %d sources, want %d", tc.present, tc.width, tc.w, got, tc.want)
		}
	}
}

// watched are peers of whose scans the test is told before they are sent. An
// error it returns ends the call.
type watched struct {
	Peers
	scan func(to string) error
}

func (w watched) Call(to string, class peer.Class, kind uint8, body []byte, deadline time.Time, done func(peer.Reply)) {
	if kind == replica.KindScan {
		if err := w.scan(to); err != nil {
			done(peer.Reply{Err: err})
			return
		}
	}
	w.Peers.Call(to, class, kind, body, deadline, done)
}

// takeOver runs a node's takeover until it owns all that it is coming to.
func (m *owner) takeOver(t *testing.T, scan func(to string) error) *Takeover {
	take := NewTakeover(TakeoverOptions{Self: m.name, W: 2, Settle: time.Second}, m, watched{m.peers, scan}, m.all, m.exchange)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var run sync.WaitGroup
	run.Go(func() {
		if err := take.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	for len(m.all.View().Ring.ComingOf(m.name)) > 0 && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Errorf("%s has not taken over what it is coming to: %+v", m.name, take.Progress())
	}
	cancel()
	run.Wait()
	return take
}

// A joiner comes to hold all that any of the owners holds, though it pulls
// each range from one, and though some of it has changed behind its back.
func TestTakeoverGetsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := startOwners(t, 3)
		defer o.close()
		o.scatter(rand.New(rand.NewPCG(1, 1)), 500)
		n4 := o.join()
		n4.start()
		var once sync.Once
		minter := newMinter(103)
		var late []replica.KeyedCell
		take := n4.takeOver(t, func(string) error {
			once.Do(func() {
				for i := range 200 { // behind the pages, or not, in any owner
					late = append(late, replica.KeyedCell{Key: testKey(i), Cell: minter.write(t, nil, version.Write{Value: []byte("late")})})
					o.nodes[i%3].put(late[i])
				}
			})
			return nil
		})
		for _, kc := range late {
			got, err := n4.Get(kc.Key)
			if err != nil {
				t.Fatal(err)
			}
			if o.View().Ring.Lookup(kc.Key.Slot).Role(n4.name) == ring.Owner && version.Merge(got, kc.Cell) != got {
				t.Errorf("n4 owns %s, and lacks what one of its owners had", kc.Key.Key)
			}
		}
		owned := 0
		for slot := range uint16(16384) {
			if o.View().Ring.Lookup(slot).Role(n4.name) == ring.Owner {
				owned++
			}
		}
		if p := take.Progress(); owned == 0 || p.Slots != owned || p.Pulled != owned || p.Cells == 0 {
			t.Errorf("owns %d slots, its progress is %+v", owned, p)
		}
		o.settled(30 * time.Second)
		o.same()
	})
}

// A takeover that fails goes on where it was.
func TestTakeoverResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := startOwners(t, 1)
		defer o.close()
		const cells = 20_000
		o.load(cells)
		n2 := o.join()
		n2.start()
		calls, fails := 0, 0
		var mu sync.Mutex
		take := n2.takeOver(t, func(string) error {
			mu.Lock()
			defer mu.Unlock()
			if calls++; calls%7 == 0 {
				fails++
				return errors.New("lost on the way")
			}
			return nil
		})
		if fails == 0 || take.Progress().Cells != cells {
			t.Errorf("%d of %d calls failed; %d cells were received, of %d", fails, calls, take.Progress().Cells, cells)
		}
		o.same()
	})
}

// A node that cannot reach as many owners as W demands takes nothing over.
func TestTakeoverWaitsForOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := startOwners(t, 3)
		defer o.close()
		o.scatter(rand.New(rand.NewPCG(1, 1)), 100)
		o.settled(30 * time.Second)
		n4 := o.join()
		n4.start()
		o.net.Cut("n4", "n1")
		o.net.Cut("n4", "n2")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		take := NewTakeover(TakeoverOptions{Self: "n4", W: 2, Settle: time.Second}, n4, n4.peers, alone{o}, n4.exchange)
		if err := take.Run(ctx); err != nil {
			t.Error(err)
		}
		for _, r := range o.View().Ring.Ranges() {
			if r.Preference.Role("n4") == ring.Owner {
				t.Fatalf("n4 owns %v, having reached n3 alone", r.Range)
			}
		}
		o.net.HealAll()
		n4.takeOver(t, func(string) error { return nil })
		o.settled(30 * time.Second)
		o.same()
	})
}

// alone is a membership whose others the gossip holds for dead: they need not
// confirm anything.
type alone struct{ *owners }

func (a alone) View() *gossip.View {
	v := *a.owners.View()
	v.Alive = nil
	return &v
}
