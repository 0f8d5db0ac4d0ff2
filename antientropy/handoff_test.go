package antientropy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage/version"
)

// background runs something until the returned function is called.
func background(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = run(ctx) })
	return func() { cancel(); done.Wait() }
}

// node returns the node of a name.
func (o *owners) node(name string) *owner {
	return o.nodes[slices.IndexFunc(o.nodes, func(m *owner) bool { return m.name == name })]
}

// keysOf returns n keys of which the node is what its role says, by the
// present ring.
func (o *owners) keysOf(n int, is func(p *preference) bool) (keys []replica.Key) {
	for i := 0; len(keys) < n; i++ {
		k := testKey(i)
		if p := o.View().Ring.Lookup(k.Slot); is(&preference{p.Owners, p.Fallbacks}) {
			keys = append(keys, k)
		}
	}
	return keys
}

type preference struct{ owners, fallbacks []string }

// keep has a node keep cells for an owner.
func (m *owner) keep(owner string, cells ...replica.KeyedCell) {
	done := make(chan error, 1)
	m.Apply(&replica.ApplyBatch{Cells: cells, For: owner, Done: func(err error) { done <- err }})
	if err := <-done; err != nil {
		m.all.t.Fatal(err)
	}
}

// kept returns for how many cells a node keeps something.
func (m *owner) kept() (n int64) {
	for _, s := range m.HintStats() {
		n += s.Cells
	}
	return n
}

func (m *owner) has(k replica.Key, want *version.Cell) bool {
	got, err := m.Get(k)
	if err != nil {
		m.all.t.Fatal(err)
	}
	return got.Digest() == want.Digest()
}

// tap is peers whose calls a test can see, and change.
type tap struct {
	Peers
	mu   sync.Mutex
	call func(to string, kind uint8, body []byte) error // before it is made; an error: instead
	seen []uint8
}

func (p *tap) set(call func(to string, kind uint8, body []byte) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.call = call
}

func (p *tap) Call(to string, class peer.Class, kind uint8, body []byte, deadline time.Time, done func(peer.Reply)) {
	p.mu.Lock()
	call := p.call
	p.seen = append(p.seen, kind)
	p.mu.Unlock()
	if call != nil {
		if err := call(to, kind, body); err != nil {
			done(peer.Reply{Err: err})
			return
		}
	}
	p.Peers.Call(to, class, kind, body, deadline, done)
}

func (p *tap) count(kind uint8) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.seen {
		if k == kind {
			n++
		}
	}
	return n
}

// startHandoff starts nodes, and a handoff on one that is no owner of keys
// whose owner n1 does not run.
func startHandoff(t *testing.T, test func(t *testing.T, o *owners, keeper *owner, keys []replica.Key, net *tap, h *Handoff)) {
	synctest.Test(t, func(t *testing.T) {
		o := startOwners(t, 4)
		defer o.close()
		keeper := o.node("n4")
		keys := o.keysOf(600, func(p *preference) bool { // more than a page
			return slices.Contains(p.owners, "n1") && slices.Contains(p.fallbacks, "n4")
		})
		o.node("n1").halt()
		time.Sleep(time.Second)
		net := &tap{Peers: keeper.peers}
		h := NewHandoff(HandoffOptions{Self: keeper.name, Probe: true}, keeper.Replica, net, o)
		defer background(h.Run)()
		test(t, o, keeper, keys, net, h)
	})
}

func TestHintsAreDeliveredWhenTheirOwnerReturns(t *testing.T) {
	startHandoff(t, func(t *testing.T, o *owners, keeper *owner, keys []replica.Key, net *tap, h *Handoff) {
		w := newMinter(101)
		var cells []replica.KeyedCell
		for _, k := range keys {
			cells = append(cells, replica.KeyedCell{Key: k, Cell: w.write(o.t, nil, version.Write{Value: []byte("v")})})
		}
		keeper.keep("n1", cells...)
		time.Sleep(time.Minute)
		if keeper.kept() != int64(len(keys)) || net.count(replica.KindApply) > 0 {
			t.Fatalf("%d of %d hints are left with their owner away", keeper.kept(), len(keys))
		}
		n1 := o.node("n1")
		n1.start()
		for !keeper.peers.Up("n1") {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		if keeper.kept() > 0 {
			t.Errorf("a second after the owner's return %d hints are left", keeper.kept())
		}
		for _, c := range cells {
			if !n1.has(c.Key, c.Cell) {
				t.Fatalf("the owner does not have %s", c.Key.Key)
			}
		}
		s := h.Status()
		if s.Cells != uint64(len(keys)) || s.Owners["n1"].Rate <= 0 || s.Bytes == 0 {
			t.Errorf("the status says %+v", s)
		}
		if probes := net.count(replica.KindProbe); probes < 2 {
			t.Errorf("%d probes: the owner acknowledges from memory", probes)
		}
	})
}

// A hint that changes while it is on its way is not what the owner has
// acknowledged: it stays, and goes once more.
func TestHintThatChangesOnItsWayGoesAgain(t *testing.T) {
	startHandoff(t, func(t *testing.T, o *owners, keeper *owner, keys []replica.Key, net *tap, _ *Handoff) {
		w := newMinter(101)
		old := w.write(o.t, nil, version.Write{Value: []byte("old")})
		next := w.write(o.t, old, version.Write{Value: []byte("new")})
		keeper.keep("n1", replica.KeyedCell{Key: keys[0], Cell: old})
		changed := make(chan struct{})
		var once sync.Once
		net.set(func(_ string, kind uint8, _ []byte) error {
			if kind == replica.KindApply {
				once.Do(func() {
					keeper.keep("n1", replica.KeyedCell{Key: keys[0], Cell: next})
					close(changed)
				})
			}
			return nil
		})
		n1 := o.node("n1")
		n1.start()
		<-changed
		time.Sleep(time.Second)
		if keeper.kept() > 0 || !n1.has(keys[0], next) {
			t.Errorf("%d hints are left, the owner has the newer write: %v", keeper.kept(), n1.has(keys[0], next))
		}
		if net.count(replica.KindApply) != 2 {
			t.Errorf("it was sent %d times", net.count(replica.KindApply))
		}
	})
}

// What the owner has not acknowledged is not dropped, however often it takes.
func TestHintsStayUntilTheyAreAcknowledged(t *testing.T) {
	startHandoff(t, func(t *testing.T, o *owners, keeper *owner, keys []replica.Key, net *tap, h *Handoff) {
		cell := newMinter(101).write(o.t, nil, version.Write{Value: []byte("v")})
		keeper.keep("n1", replica.KeyedCell{Key: keys[0], Cell: cell})
		for _, failing := range []uint8{replica.KindApply, replica.KindProbe} {
			net.set(func(_ string, kind uint8, _ []byte) error {
				if kind == failing {
					return peer.ErrTimeout
				}
				return nil
			})
			o.node("n1").halt()
			o.node("n1").start()
			time.Sleep(30 * time.Second)
			if keeper.kept() != 1 {
				t.Fatalf("with failing calls of kind %d the hint is gone", failing)
			}
			if s := h.Status().Owners["n1"]; s.LastError == "" || s.LastErrorAt.IsZero() {
				t.Errorf("the status says %+v", s)
			}
		}
		if n := net.count(replica.KindApply); n < 6 || n > 40 {
			t.Errorf("in a minute it was sent %d times", n)
		}
		net.set(nil)
		time.Sleep(handoffAgainMax + time.Second)
		if keeper.kept() > 0 || !o.node("n1").has(keys[0], cell) {
			t.Error("the hint did not get through in the end")
		}
	})
}

// The crash of the node that keeps hints, at any moment, loses none: they are
// on its disk until they are the owner's.
func TestHintsOutliveTheirKeeper(t *testing.T) {
	startHandoff(t, func(t *testing.T, o *owners, keeper *owner, keys []replica.Key, net *tap, _ *Handoff) {
		cell := newMinter(101).write(o.t, nil, version.Write{Value: []byte("v")})
		keeper.keep("n1", replica.KeyedCell{Key: keys[0], Cell: cell})
		keeper.halt()
		o.node("n1").start()
		time.Sleep(time.Second)
		keeper.start()
		h := NewHandoff(HandoffOptions{Self: keeper.name}, keeper.Replica, keeper.peers, o)
		defer background(h.Run)()
		time.Sleep(3 * time.Second)
		if keeper.kept() > 0 || !o.node("n1").has(keys[0], cell) {
			t.Errorf("after the keeper's restart %d hints are left, and the owner has it: %v", keeper.kept(), o.node("n1").has(keys[0], cell))
		}
	})
}

// Hints for a node that does not own the slot, or is no member, go to everybody
// who does, once all of them can be reached; the named node gets nothing.
func TestHintsFollowTheRing(t *testing.T) {
	startHandoff(t, func(t *testing.T, o *owners, keeper *owner, keys []replica.Key, net *tap, _ *Handoff) {
		cell := newMinter(101).write(o.t, nil, version.Write{Value: []byte("v")})
		kc := replica.KeyedCell{Key: keys[0], Cell: cell}
		keeper.keep("n4", kc) // itself, which is no owner
		keeper.keep("long-gone", kc)
		time.Sleep(30 * time.Second)
		if keeper.kept() != 2 {
			t.Fatalf("%d of 2 hints are left with one owner away", keeper.kept())
		}
		o.node("n1").start()
		time.Sleep(handoffAgainMax + time.Second)
		if keeper.kept() > 0 {
			t.Errorf("%d hints are left", keeper.kept())
		}
		for _, name := range o.View().Ring.Lookup(kc.Key.Slot).Owners {
			if !o.node(name).has(kc.Key, cell) {
				t.Errorf("%s does not have the cell", name)
			}
		}
		if !keeper.has(kc.Key, nil) {
			t.Error("who does not own the slot has taken the cell for its own")
		}
	})
}

// fakeHints is a keeper of hints that had to refuse some.
type fakeHints struct {
	HintStore
	mu   sync.Mutex
	full bool
}

func (f *fakeHints) HintStats() []replica.HintStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return []replica.HintStats{{Owner: "n1", Full: f.full}}
}

func (f *fakeHints) ClearFull(string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = false
}

// An owner for which hints were refused is asked to compare everything, until
// it has.
func TestOwnerOfTooManyHintsComparesEverything(t *testing.T) {
	startHandoff(t, func(t *testing.T, o *owners, keeper *owner, _ []replica.Key, net *tap, _ *Handoff) {
		hints := &fakeHints{full: true}
		h := NewHandoff(HandoffOptions{Self: keeper.name}, hints, net, o)
		defer background(h.Run)()
		time.Sleep(time.Minute)
		if net.count(replica.KindCompare) > 0 {
			t.Error("an owner that is away was asked")
		}
		failed := errors.New("not now")
		net.set(func(string, uint8, []byte) error { return failed })
		o.node("n1").start()
		time.Sleep(5 * time.Second)
		if !hints.HintStats()[0].Full || net.count(replica.KindCompare) != 1 {
			t.Errorf("the owner was asked %d times, and failed", net.count(replica.KindCompare))
		}
		net.set(nil)
		time.Sleep(handoffAgainMax + 10*time.Second)
		if hints.HintStats()[0].Full {
			t.Error("the owner has compared everything, and is marked still")
		}
	})
}
