package peer

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// A peer that has become silent is down before the calls on it time out, and
// up again with the first that it sends.
func TestSilenceIsSuspectedBeforeTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, _ := n.pair(t, nil, nil)
		for range 3 {
			<-start(t, a, "b", "x", 500)
		}
		thaw := n.freeze()
		late := start(t, a, "b", "x", 2000)
		for range 9 { // further calls do not put it off
			time.Sleep(suspectAfter / 10)
			if !a.Up("b") {
				t.Fatal("down too early")
			}
			start(t, a, "b", "y", 2000)
		}
		time.Sleep(suspectAfter/10 + 2*sweepEvery)
		if a.Up("b") {
			t.Error("up, although it is silent")
		}
		thaw()
		if o := <-late; o.err != nil {
			t.Errorf("%+v", o)
		}
		synctest.Wait()
		if !a.Up("b") || dialledStats(t, a, "b", Foreground).Dials != 0 {
			t.Error("not up again on the same connection")
		}
	})
}

// A call that timed out too soon to tell has the peer pinged.
func TestShortCallsDoNotCondemn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, _ := n.pair(t, nil, func(*Request) {})
		for range 20 {
			if o := <-start(t, a, "b", "x", 20); o.err != ErrTimeout {
				t.Fatalf("%+v", o)
			}
			if !a.Up("b") {
				t.Fatal("a peer that answers pings is down")
			}
		}
		n.freeze()
		if o := <-start(t, a, "b", "x", 20); o.err != ErrTimeout {
			t.Fatalf("%+v", o)
		}
		if !a.Up("b") {
			t.Fatal("down after 20ms")
		}
		time.Sleep(suspectAfter + 2*sweepEvery) // without any further call
		if a.Up("b") {
			t.Error("up, although it does not answer the ping")
		}
	})
}

// Who takes its time for a request is not silent: it answers pings.
func TestSlowIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		held := make(chan *Request, 100)
		a, _ := n.pair(t, nil, func(r *Request) { held <- r })
		got := start(t, a, "b", "x", 10_000)
		for range 100 {
			time.Sleep(90 * time.Millisecond)
			if !a.Up("b") {
				t.Fatal("a peer that answers pings is down")
			}
		}
		(<-held).Reply([]byte("y"))
		if o := <-got; o.err != nil {
			t.Errorf("%+v", o)
		}
		if s := dialledStats(t, a, "b", Foreground); s.FramesOut > 110 {
			t.Errorf("pinged too often: %+v", s)
		}
	})
}

// However late the sweeper looks: a peer is never doubted before it has been
// silent for suspectAfter, nor before the sweeper has looked often enough in
// that time, and never later than a few looks after.
func TestSilenceCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := New(Options{Self: Identity{Name: "a"}}, nil)
		l := newLink(nil, Identity{}, Foreground, &p.opt, func() int64 { return 1 })
		l.heard.Store(0)
		now, last := int64(10), int64(0)
		l.asked.Store(now)
		counted, looks := int64(0), 0
		for !l.suspect.Load() {
			now += rapid.Int64Range(1, int64(time.Second)).Draw(t, "later")
			if rapid.IntRange(0, 9).Draw(t, "heard") == 0 {
				l.heard.Store(now)
				l.listen(now, int64(maxTick), true, false)
				now++
				l.asked.Store(now)
				counted, looks = 0, 0
				last = now
				continue
			}
			tick := min(now-last, int64(maxTick))
			last = now
			counted += min(tick, now-l.asked.Load())
			looks++
			l.listen(now, tick, true, false)
			if looks > int(suspectAfter/time.Millisecond) {
				return
			}
			if down := l.suspect.Load(); down != (counted >= int64(suspectAfter)) {
				t.Fatalf("down: %v, after %v in %d looks", down, time.Duration(counted), looks)
			}
		}
		if looks < int(suspectAfter/maxTick) {
			t.Fatalf("down after %d looks", looks)
		}
		l.arrived(1)
		if l.suspect.Load() {
			t.Fatal("heard, and down")
		}
	})
}

// While what waits before the ping is still being taken in, its answer cannot
// be there yet.
func TestPingBehindABacklog(t *testing.T) {
	p := New(Options{Self: Identity{Name: "a"}}, nil)
	l := newLink(nil, Identity{}, Foreground, &p.opt, func() int64 { return 1 })
	l.heard.Store(0)
	l.asked.Store(1)
	now := int64(1)
	look := func(wrote bool) {
		now += int64(sweepEvery)
		if wrote {
			l.wrote.Store(now)
		}
		l.listen(now, int64(sweepEvery), true, false)
	}
	for range 100 {
		look(true)
	}
	if l.suspect.Load() || !l.silence.pinged {
		t.Fatal("down, though it takes what is sent")
	}
	for range suspectAfter / sweepEvery {
		look(false)
	}
	if !l.suspect.Load() {
		t.Fatal("up, though it takes nothing")
	}
}
