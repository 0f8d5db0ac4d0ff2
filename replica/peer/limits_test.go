package peer

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestTooManyInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		held := make(chan *Request, 100)
		a, _ := n.pair(t, nil, func(r *Request) { held <- r }, func(o *Options) { o.MaxInFlight = 10 })
		for range 10 {
			start(t, a, "b", "x", 500)
		}
		o := <-start(t, a, "b", "one too many", 500)
		if o.err != ErrOverloaded || !NotSent(o.err) {
			t.Errorf("%+v", o)
		}
		synctest.Wait()
		// Here they time out, there they are still being served.
		time.Sleep(time.Second)
		if o := <-start(t, a, "b", "too many over there", 500); o.err != ErrOverloaded {
			t.Errorf("%+v", o)
		}
		if len(held) != 10 {
			t.Errorf("%d requests were run", len(held))
		}
		(<-held).Reply(nil)
		again := start(t, a, "b", "x", 500)
		synctest.Wait()
		for range 10 {
			(<-held).Reply(nil)
		}
		if o := <-again; o.err != nil {
			t.Errorf("%+v", o)
		}
	})
}

func TestTooMuchQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, _ := n.pair(t, nil, nil, func(o *Options) { o.MaxQueued, o.MaxFrame = 10<<10, 20<<10 })
		n.freeze()
		sent := 0
		for {
			c := start(t, a, "b", string(make([]byte, 1000)), 60_000)
			synctest.Wait()
			if len(c) > 0 {
				if o := <-c; o.err != ErrOverloaded {
					t.Errorf("%+v", o)
				}
				break
			}
			sent++
		}
		if q := dialledStats(t, a, "b", Foreground).QueuedBytes; q > 10<<10 || q < 9<<10 || sent < 9 {
			t.Errorf("%d bytes queued by %d calls", q, sent)
		}
		if !a.Up("b") || dialledStats(t, a, "b", Foreground).Overloads != 1 {
			t.Error("overload is not to be down")
		}
		c := make(chan Reply, 1)
		a.Call("b", Bulk, 1, make([]byte, 20<<10), time.Time{}, func(r Reply) { c <- r })
		if r := <-c; r.Err != ErrTooLarge || !NotSent(r.Err) {
			t.Errorf("%+v", r)
		}
	})
}

// The largest frame passes, though more than may be queued, and a larger reply
// is reported as lost, for its request was run.
func TestLargest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		extra := 0
		limits := func(o *Options) { o.MaxQueued, o.MaxFrame = 64<<10, 1<<20 }
		a, _ := n.pair(t, nil, func(r *Request) { r.Reply(append(bytes.Clone(r.Body), make([]byte, extra)...)) }, limits)
		body := string(bytes.Repeat([]byte("x"), 1<<20-maxOverhead+prefixLen))
		if o := <-start(t, a, "b", body, 500); o.err != nil || o.body != body {
			t.Errorf("%d bytes, %v", len(o.body), o.err)
		}
		extra = 1
		if o := <-start(t, a, "b", body, 500); !errors.Is(o.err, ErrLost) || NotSent(o.err) {
			t.Errorf("%d bytes, %v", len(o.body), o.err)
		}
		if o := <-start(t, a, "b", "x", 500); o.err != nil {
			t.Errorf("then: %v", o.err)
		}
	})
}

// raw opens a connection to a node and introduces itself as name, as a peer
// would, to misbehave afterwards. It returns when the node has taken the
// connection or closed it, which is after the handshake. It must run in a
// bubble.
func (n *network) raw(t *testing.T, to, name string, class Class) net.Conn {
	t.Helper()
	c, err := n.dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Self: Identity{Cluster: 1, Name: name, Actor: uint64(name[0])}}.withDefaults()
	if _, err := greet(c, &o, to, class); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	synctest.Wait()
	return c
}

// closedByNow fails the test unless the other end has closed c already, rather
// than in time.
func closedByNow(t *testing.T, c net.Conn) {
	t.Helper()
	began := time.Now()
	if _, err := c.Read(make([]byte, 1)); err == nil || time.Since(began) > 0 {
		t.Errorf("still open: read %v after %v", err, time.Since(began))
	}
}

// A peer that asks and asks but never reads the replies is asked to wait, and
// then given up, within bounded memory.
func TestRepliesThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		const limit = 64 << 10
		served := 0
		b, _ := n.node(t, "b", func(r *Request) { served++; r.Reply(make([]byte, 1000)) }, func(o *Options) { o.MaxQueued = limit })
		c := n.raw(t, "b", "a", Foreground)
		go func() {
			for id := uint64(1); ; id++ {
				f := appendFrame(nil, frame{typ: frameRequest, id: id})
				seal(f)
				if _, err := c.Write(f); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		s := b.Stats()
		if len(s) != 1 || s[0].QueuedBytes > limit/4+2000 || served > 20 {
			t.Errorf("%d served: %+v", served, s)
		}
		time.Sleep(writeTimeout)
		synctest.Wait()
		if s := b.Stats(); len(s) != 0 {
			t.Errorf("still there: %+v", s)
		}
	})
}

// Replies beyond the limit are dropped, and their callers told so.
func TestTooManyReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		held := make(chan *Request, 100)
		a, b := n.pair(t, nil, func(r *Request) { held <- r }, func(o *Options) { o.MaxQueued = 10 << 10 })
		var got []<-chan outcome
		for range 100 {
			got = append(got, start(t, a, "b", "", 3000))
		}
		synctest.Wait()
		thaw := n.freeze()
		for range 100 {
			(<-held).Reply(make([]byte, 1000))
		}
		for _, s := range b.Stats() {
			if s.QueuedBytes > 10<<10+100*maxOverhead {
				t.Errorf("%d bytes queued", s.QueuedBytes)
			}
		}
		thaw()
		lost := 0
		for _, c := range got {
			switch o := <-c; {
			case errors.Is(o.err, ErrLost):
				lost++
			case o.err != nil:
				t.Errorf("%+v", o)
			}
		}
		if lost < 80 || lost == 100 {
			t.Errorf("%d replies lost", lost)
		}
		again := start(t, a, "b", "", 500)
		(<-held).Reply(nil)
		if o := <-again; o.err != nil {
			t.Errorf("then: %v", o.err)
		}
	})
}

// Whatever a peer sends that must not be ends its connection, and no other.
func TestProtocolErrorEndsOneConnection(t *testing.T) {
	bad := map[string]func() []byte{
		"garbage":  func() []byte { return []byte("GET / HTTP/1.1\r\nHost: b\r\n\r\n") },
		"checksum": func() []byte { return appendFrame(nil, frame{typ: frameRequest, id: 1}) },
		"a reply":  func() []byte { f := appendFrame(nil, frame{typ: frameReply, id: 1}); seal(f); return f },
		"no type":  func() []byte { f := appendFrame(nil, frame{typ: 99, id: 1}); seal(f); return f },
		"clock":    func() []byte { f := appendFrame(nil, frame{typ: framePing, clock: maxClock}); seal(f); return f },
		"huge":     func() []byte { return []byte{0, 0, 0, 0x7f, 1, 2, 3, 4} },
	}
	for name, frame := range bad {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				held := make(chan *Request, 1)
				a, b := n.pair(t, nil, func(r *Request) { held <- r })
				waiting := start(t, a, "b", "x", 500)
				c := n.raw(t, "b", "mad", Bulk)
				c.Write(frame())
				if _, err := c.Read(make([]byte, 1)); err == nil {
					t.Error("it was answered")
				}
				synctest.Wait()
				for _, s := range b.Stats() {
					if s.Name == "mad" {
						t.Errorf("still there: %+v", s)
					}
				}
				(<-held).Reply(nil)
				if o := <-waiting; o.err != nil {
					t.Errorf("another connection: %v", o.err)
				}
			})
		})
	}
}

// A dialler that gets nonsense back loses that connection only, and its calls.
func TestProtocolErrorInReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		ln := n.listen("mad")
		a, _ := n.node(t, "a", nil)
		go func() {
			o := Options{Self: Identity{Cluster: 1, Name: "mad"}}.withDefaults()
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				if _, _, err := answer(c, &o); err != nil {
					continue
				}
				go func() {
					defer c.Close()
					c.Read(make([]byte, 100))
					f := appendFrame(nil, frame{typ: frameRequest, id: 1})
					seal(f)
					c.Write(f)
				}()
			}
		}()
		t.Cleanup(func() { ln.Close() })
		a.SetPeers(map[string]string{"mad": "mad"})
		synctest.Wait()
		if o := <-start(t, a, "mad", "x", 500); o.err != ErrLost {
			t.Errorf("%+v", o)
		}
		if !dialledStats(t, a, "mad", Bulk).Connected {
			t.Error("the other connection is gone too")
		}
	})
}
