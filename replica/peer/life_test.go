package peer

import (
	"context"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, _ := n.node(t, "a", nil)
		a.SetPeers(map[string]string{"b": "elsewhere"})
		time.Sleep(10 * time.Second)
		// Two classes, pauses from backoffMin to backoffMax, half of it jitter.
		if d := n.dialled("elsewhere"); d < 20 || d > 60 {
			t.Errorf("%d attempts in 10 s", d)
		}
		if s := dialledStats(t, a, "b", Foreground); !strings.Contains(s.LastError, "refused") || s.Connected {
			t.Errorf("%+v", s)
		}
		n.node(t, "b", nil)
		time.Sleep(time.Millisecond)
		a.SetPeers(map[string]string{"b": "b"})
		synctest.Wait()
		if !a.Up("b") {
			t.Error("a new address was not dialled at once")
		}
		got := start(t, a, "b", "x", 500)
		a.SetPeers(nil)
		synctest.Wait()
		<-got
		if a.Up("b") || len(a.Stats()) != 0 {
			t.Errorf("still known: %+v", a.Stats())
		}
	})
}

// A peer that shows up here is dialled at once, not when the pause is over.
func TestPeerThatShowsUpIsDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, _ := n.node(t, "a", nil)
		a.SetPeers(map[string]string{"b": "b"})
		time.Sleep(time.Minute)
		b, _ := n.node(t, "b", nil)
		b.SetPeers(map[string]string{"a": "a"})
		synctest.Wait()
		if !a.Up("b") || !b.Up("a") {
			t.Error("not dialled at once")
		}
	})
}

// A peer that showed up while it was being dialled has had its dial: when that
// connection ends, the pause is kept.
func TestPokeEndsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var a *Peers
		a, _ = n.node(t, "a", nil, func(o *Options) {
			o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
				a.pokeDialler(addr)
				return n.dial(ctx, addr)
			}
		})
		n.node(t, "b", nil)
		a.SetPeers(map[string]string{"b": "b"})
		synctest.Wait()
		if !a.Up("b") || n.dialled("b") != classes {
			t.Fatalf("dialled %d times: %+v", n.dialled("b"), a.Stats())
		}
		n.cut()
		synctest.Wait()
		if a.Up("b") || n.dialled("b") != classes {
			t.Errorf("dialled %d times: no pause after a lost connection", n.dialled("b"))
		}
		time.Sleep(backoffMin)
		synctest.Wait()
		if !a.Up("b") {
			t.Error("not connected again")
		}
	})
}

// A connection over which something happens now and then, at whatever moment
// between two looks at it, is never taken for dead.
func TestQuietConnectionsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNetwork().pair(t, nil, nil)
		rng := rand.New(rand.NewPCG(1, 3))
		for began := time.Now(); time.Since(began) < time.Hour; {
			time.Sleep(time.Duration(rng.Int64N(int64(deadAfter))))
			done := make(chan error, 1)
			a.Call("b", Class(rng.IntN(classes)), 7, nil, time.Now().Add(time.Second), func(r Reply) { done <- r.Err })
			if err := <-done; err != nil {
				t.Fatalf("after %v: %v", time.Since(began), err)
			}
		}
		for _, s := range append(a.Stats(), b.Stats()...) {
			if s.Dials > 0 {
				t.Errorf("%s %v was dialled %d times again: %s", s.Name, s.Class, s.Dials, s.LastError)
			}
		}
	})
}

func TestRefusedPeerSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, _ := n.node(t, "a", nil)
		n.node(t, "b", nil, func(o *Options) { o.Self.Cluster = 2 })
		a.SetPeers(map[string]string{"b": "b"})
		time.Sleep(time.Second)
		if s := dialledStats(t, a, "b", Foreground); !strings.Contains(s.LastError, ErrWrongCluster.Error()) || s.Dials < 2 {
			t.Errorf("%+v", s)
		}
	})
}

// The newer of two connections of one class from one node replaces the older.
func TestNewerConnectionReplacesOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		b, _ := n.node(t, "b", nil)
		old := n.raw(t, "b", "a", Bulk)
		n.raw(t, "b", "a", Foreground)
		n.raw(t, "b", "a", Bulk)
		closedByNow(t, old)
		if s := b.Stats(); len(s) != 2 || s[0].Class == s[1].Class {
			t.Errorf("%+v", s)
		}
	})
}

// Shutdown answers what is being served, refuses what is not, and keeps what
// serving needs, the connections to others, until then.
func TestShutdownAnswersWhatIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		held := make(chan *Request, 10)
		a, _ := n.node(t, "a", nil)
		b, stop := n.node(t, "b", func(r *Request) { held <- r })
		a.SetPeers(map[string]string{"b": "b"})
		b.SetPeers(map[string]string{"a": "a"})
		synctest.Wait()
		served := start(t, a, "b", "x", 5000)
		synctest.Wait()
		go stop()
		synctest.Wait()
		if o := <-start(t, a, "b", "x", 500); o.err != ErrUnreachable {
			t.Errorf("a request after the stop: %+v", o)
		}
		if a.Up("b") {
			t.Error("a peer that stops is up")
		}
		if o := <-start(t, b, "a", "x", 500); o.err != nil {
			t.Errorf("a request of the one being served: %+v", o)
		}
		(<-held).Reply([]byte("y"))
		if o := <-served; o.err != nil || o.body != "y" {
			t.Errorf("%+v", o)
		}
		synctest.Wait()
		if o := <-start(t, b, "a", "x", 500); o.err != ErrUnreachable {
			t.Errorf("after Run: %+v", o)
		}
	})
}

// What is never answered does not hold shutdown up, nor does a frozen peer.
func TestShutdownIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, _ := n.node(t, "a", nil)
		b, stop := n.node(t, "b", func(*Request) {})
		a.SetPeers(map[string]string{"b": "b"})
		b.SetPeers(map[string]string{"a": "a"})
		synctest.Wait()
		lost := start(t, a, "b", "x", 5000)
		synctest.Wait()
		n.freeze()
		start(t, b, "a", "x", 5000)
		start(t, b, "a", "y", 5000)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 2*drainTimeout {
			t.Errorf("took %v", took)
		}
		if o := <-lost; o.err == nil {
			t.Errorf("%+v", o)
		}
	})
}

func TestRunRefusesNonsense(t *testing.T) {
	for _, o := range []Options{
		{},
		{Self: Identity{Name: strings.Repeat("n", 256)}},
		{Self: Identity{Name: "a"}, MaxFrame: 1},
		{Self: Identity{Name: "a"}, MaxQueued: 1},
		{Self: Identity{Name: "a"}, MaxInFlight: 1 << 30},
	} {
		if err := New(o, nil).Run(t.Context()); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := New(Options{Self: Identity{Name: "a"}, Listener: ln}, func(*Request) {}).Run(t.Context()); err == nil {
		t.Error("a closed listener was accepted")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := New(Options{Self: Identity{Name: "a"}}, nil)
	if p.Run(ctx) != nil || p.Run(ctx) == nil {
		t.Error("Run twice")
	}
}

func TestProgrammingErrorsPanic(t *testing.T) {
	panics := func(what string, f func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s did not panic", what)
			}
		}()
		f()
	}
	p := New(Options{Self: Identity{Name: "a"}}, nil)
	panics("a call to itself", func() { p.Call("a", Foreground, 1, nil, time.Time{}, func(Reply) {}) })
	r := &Request{link: newLink(nil, Identity{}, Foreground, &p.opt, p.now)}
	r.Reply(nil)
	panics("a second answer", func() { r.Fail(1, "") })
}

// Under churn of every kind, each call is answered exactly once and nothing is
// left running.
func TestChurn(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("nodes", func(t *testing.T) {
		n := newNetwork()
		var queue sync.WaitGroup
		t.Cleanup(queue.Wait)
		handler := func(r *Request) {
			if rand.N(2) == 0 {
				r.Reply(r.Body)
				return
			}
			body := append([]byte(nil), r.Body...)
			queue.Go(func() {
				time.Sleep(rand.N(3 * time.Millisecond))
				r.Reply(body)
			})
		}
		names := []string{"a", "b", "c"}
		addrs := map[string]string{"a": "a", "b": "b", "c": "c"}
		var nodes []*Peers
		for _, name := range names {
			p, _ := n.node(t, name, handler, func(o *Options) { o.MaxInFlight, o.MaxQueued = 64, 64<<10 })
			p.SetPeers(addrs)
			nodes = append(nodes, p)
		}
		churn(t, n, nodes, names, addrs)
	})
	if eventually(func() bool { return runtime.NumGoroutine() <= before }) {
		return
	}
	buf := make([]byte, 1<<20)
	t.Errorf("%d goroutines before, now:\n%s", before, buf[:runtime.Stack(buf, true)])
}

func churn(t *testing.T, n *network, nodes []*Peers, names []string, addrs map[string]string) {
	var ok, failed, made, answered atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i, p := range nodes {
		for range 8 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					to := names[(i+1+rand.N(2))%3]
					body := make([]byte, rand.N(3000))
					body = append(body, byte(i))
					var once atomic.Int32
					done := make(chan struct{})
					made.Add(1)
					p.Call(to, Class(rand.N(classes)), 1, body, time.Now().Add(rand.N(20*time.Millisecond)), func(r Reply) {
						answered.Add(1)
						if once.Add(1) != 1 {
							t.Error("answered twice")
							return
						}
						if r.Err == nil {
							ok.Add(1)
							if len(r.Body) != len(body) || r.Body[len(body)-1] != byte(i) {
								t.Error("the reply of another call")
							}
						} else {
							failed.Add(1)
						}
						close(done)
					})
					if rand.N(4) != 0 {
						<-done
					}
				}
			})
		}
	}
	for round := range 1000 {
		if round >= 20 && ok.Load() > 0 && failed.Load() > 0 {
			break
		}
		time.Sleep(rand.N(40 * time.Millisecond))
		switch rand.N(4) {
		case 0:
			n.cut()
		case 1:
			thaw := n.freeze()
			time.Sleep(rand.N(50 * time.Millisecond))
			thaw()
		case 2:
			nodes[0].SetPeers(map[string]string{"b": "b"})
			nodes[0].SetPeers(addrs)
		}
	}
	close(stop)
	wg.Wait()
	eventually(func() bool { return answered.Load() == made.Load() })
	if answered.Load() != made.Load() || ok.Load() == 0 || failed.Load() == 0 {
		t.Errorf("%d calls, %d answered, %d with a reply, %d without", made.Load(), answered.Load(), ok.Load(), failed.Load())
	}
}
