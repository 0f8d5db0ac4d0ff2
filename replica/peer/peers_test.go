package peer

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/storage/version"
)

func TestCallAndReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var seen []string
		a, b := n.pair(t, nil, func(r *Request) {
			seen = append(seen, string(r.Body))
			if r.From != (Identity{Cluster: 1, Name: "a", Actor: 'a'}) || r.Kind != 7 || r.Class != Foreground {
				r.Fail(1, fmt.Sprintf("unexpected %+v", r))
				return
			}
			r.Reply(append([]byte("re: "), r.Body...))
		})
		var got []<-chan outcome
		for i := range 100 {
			got = append(got, start(t, a, "b", fmt.Sprint(i), 500))
		}
		for i, c := range got {
			if o := <-c; o.err != nil || o.body != fmt.Sprint("re: ", i) {
				t.Fatalf("call %d: %+v", i, o)
			}
		}
		synctest.Wait() // the handler is done with seen
		for i, body := range seen {
			if body != fmt.Sprint(i) {
				t.Fatalf("request %d was %q: not in order", i, body)
			}
		}
		if o := <-start(t, b, "a", "the other way", 500); o.err != nil || o.body != "the other way" {
			t.Errorf("%+v", o)
		}
		if s := dialledStats(t, a, "b", Foreground); s.FramesOut < 100 || s.Writes > s.FramesOut/2 || s.FramesIn < 100 {
			t.Errorf("frames were not coalesced: %+v", s)
		}
		if a.LateAfter("b") < a.Latency("b") || a.Latency("b") == 0 {
			t.Errorf("latency %v, late after %v", a.Latency("b"), a.LateAfter("b"))
		}
	})
}

func TestFailIsARemoteError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, _ := n.pair(t, nil, func(r *Request) { r.Fail(42, "no such luck"+strings.Repeat("!", 2000)) })
		o := <-start(t, a, "b", "", 500)
		var remote *RemoteError
		if !errors.As(o.err, &remote) || remote.Code != 42 || len(remote.Text) != maxFailureText || NotSent(o.err) {
			t.Errorf("%v", o.err)
		}
	})
}

func TestUnknownPeerIsUnreachableAtOnce(t *testing.T) {
	p := New(Options{Self: Identity{Name: "a"}}, nil)
	for range 2 {
		called := false
		p.Call("b", Foreground, 1, nil, time.Time{}, func(r Reply) { called = r.Err == ErrUnreachable })
		if !called {
			t.Error("not answered before Call returned")
		}
		p.SetPeers(map[string]string{"b": "nowhere"})
	}
	if p.Up("b") || p.Latency("b") != 0 || p.LateAfter("c") != 0 {
		t.Error("something is known of a peer that was never seen")
	}
}

func TestClockTravels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		ahead := version.NewClock(func() time.Time { return time.Now().Add(time.Hour) })
		behind := version.NewClock(nil)
		a, _ := n.node(t, "a", nil, func(o *Options) { o.Clock = ahead })
		n.node(t, "b", nil, func(o *Options) { o.Clock = behind })
		a.SetPeers(map[string]string{"b": "b"})
		synctest.Wait()
		before := ahead.Now()
		<-start(t, a, "b", "", 500)
		if behind.Now() <= before {
			t.Error("the receiver's clock did not move")
		}
	})
}

// TestFrozenWhileCalling: a process that stands still while it calls does not
// send what it had to say before under a clock from after.
func TestFrozenWhileCalling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var frozen atomic.Bool
		clock := version.NewClock(func() time.Time {
			if frozen.CompareAndSwap(true, false) {
				time.Sleep(time.Minute) // in the middle of Call, which has just asked for the time
			}
			return time.Now()
		})
		served := 0
		a, _ := n.node(t, "a", nil, func(o *Options) { o.Clock = clock })
		n.node(t, "b", func(r *Request) { served++; r.Reply(nil) })
		a.SetPeers(map[string]string{"b": "b"})
		synctest.Wait()
		frozen.Store(true)
		if o := <-start(t, a, "b", "old", 500); o.err != ErrTimeout {
			t.Errorf("%+v", o)
		}
		synctest.Wait()
		if served > 0 {
			t.Error("it was sent")
		}
	})
}

func TestLossInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		held := make(chan *Request, 100)
		a, _ := n.pair(t, nil, func(r *Request) { held <- r })
		var got []<-chan outcome
		for range 50 {
			got = append(got, start(t, a, "b", "x", 10_000))
		}
		synctest.Wait()
		n.cut()
		for _, c := range got {
			if o := <-c; o.err != ErrLost {
				t.Fatalf("%+v", o)
			}
		}
		if a.Up("b") {
			t.Error("up without a connection")
		}
		if o := <-start(t, a, "b", "x", 500); o.err != ErrUnreachable {
			t.Errorf("%+v", o)
		}
		for range 50 {
			(<-held).Reply(nil) // to nobody
		}
		time.Sleep(backoffMin)
		synctest.Wait()
		again := start(t, a, "b", "x", 500)
		(<-held).Reply([]byte("y"))
		if o := <-again; o.err != nil || o.body != "y" {
			t.Errorf("after the reconnect: %+v", o)
		}
	})
}

// What was handed to a connection that takes nothing may have arrived; what
// waited behind it certainly has not.
func TestFrozenReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.pair(t, nil, nil)
		thaw := n.freeze()
		began := time.Now()
		start(t, a, "b", "taken by the read that was under way", 20_000)
		synctest.Wait()
		stuck := start(t, a, "b", "stuck", 20_000)
		synctest.Wait()
		queued := start(t, a, "b", "queued", 20_000)
		if o := <-stuck; o.err != ErrLost {
			t.Errorf("stuck: %+v", o)
		}
		if o := <-queued; o.err != ErrUnreachable {
			t.Errorf("queued: %+v", o)
		}
		if took := time.Since(began); took > writeTimeout+keepAliveEvery {
			t.Errorf("noticed after %v", took)
		}
		time.Sleep(deadAfter + 2*keepAliveEvery)
		thaw()
		time.Sleep(backoffMax)
		synctest.Wait()
		if !a.Up("b") || !b.Up("a") {
			t.Error("not connected again")
		}
	})
}

// A half-open connection without traffic is noticed, on both ends.
func TestSilenceIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.pair(t, nil, nil)
		time.Sleep(time.Minute)
		if s := dialledStats(t, a, "b", Bulk); s.For < time.Minute || s.FramesOut > 61 {
			t.Errorf("an idle connection did not last, or was pinged too often: %+v", s)
		}
		n.freeze()
		n.listen("a").Close() // nobody comes back
		n.listen("b").Close()
		time.Sleep(deadAfter + 2*keepAliveEvery)
		synctest.Wait()
		for _, p := range []*Peers{a, b} {
			for _, s := range p.Stats() {
				if s.Connected {
					t.Errorf("still connected: %+v", s)
				}
			}
		}
		if s := dialledStats(t, a, "b", Bulk); !strings.Contains(s.LastError, errRefused.Error()) {
			t.Errorf("last error: %q", s.LastError)
		}
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		held := make(chan *Request, 100)
		a, _ := n.pair(t, nil, func(r *Request) { held <- r })
		began := time.Now()
		late := start(t, a, "b", "late", 500)
		later := start(t, a, "b", "later", 700)
		o := <-late
		if o.err != ErrTimeout || NotSent(o.err) {
			t.Errorf("%+v", o)
		}
		if took := o.at.Sub(began); took < 500*time.Millisecond || took > 500*time.Millisecond+sweepEvery {
			t.Errorf("timed out after %v", took)
		}
		synctest.Wait()
		if !a.Up("b") {
			t.Error("a peer that answers pings is down")
		}
		(<-held).Reply([]byte("too late"))
		(<-held).Reply([]byte("in time"))
		if o := <-later; o.err != nil || o.body != "in time" {
			t.Errorf("%+v", o)
		}
		if o := <-start(t, a, "b", "over already", 0); o.err != ErrTimeout || time.Now() != o.at {
			t.Errorf("%+v", o)
		}
		if a.Latency("b") < 500*time.Millisecond {
			t.Errorf("the timeout does not count: latency %v", a.Latency("b"))
		}
		forever := make(chan Reply, 1)
		began = time.Now()
		a.Call("b", Foreground, 1, nil, time.Time{}, func(r Reply) { forever <- r })
		if r := <-forever; r.Err != ErrTimeout || time.Since(began) < maxWait {
			t.Errorf("%v after %v", r.Err, time.Since(began))
		}
	})
}

// A peer that is silent while a call times out is down from then on, until it
// is heard again.
func TestSuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, _ := n.pair(t, nil, nil)
		thaw := n.freeze()
		if o := <-start(t, a, "b", "x", 100); o.err != ErrTimeout {
			t.Errorf("%+v", o)
		}
		synctest.Wait()
		if a.Up("b") || !dialledStats(t, a, "b", Foreground).Suspect {
			t.Error("up, although it is silent")
		}
		thaw()
		synctest.Wait()
		if !a.Up("b") || dialledStats(t, a, "b", Foreground).Dials != 0 {
			t.Error("not up again on the same connection")
		}
	})
}
