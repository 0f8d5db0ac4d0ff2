package sim

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// What is held arrives when it is released, an hour later, though the sender
// has closed the connection and the receiver would have given it up; what goes
// over a connection that is opened meanwhile does not wait.
func TestHeldFramesArriveAfterNewerOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(1)
		a, b, near, far := pair(t, n)
		n.Hold("a", "b")
		io.WriteString(near, "old")
		near.Close()
		l, err := b.Listen("127.0.0.2:7")
		if err != nil {
			t.Fatal(err)
		}
		again, err := a.Dial(t.Context(), "127.0.0.2:7")
		if err != nil {
			t.Fatal(err)
		}
		newer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		io.WriteString(again, "new")
		if s, err := readString(newer, 3); s != "new" {
			t.Errorf("on the new connection: %q, %v", s, err)
		}
		begin := time.Now()
		far.SetReadDeadline(time.Now().Add(5 * time.Second))
		time.AfterFunc(time.Hour, func() {
			far.SetReadDeadline(time.Time{})
			n.Release("a", "b")
		})
		if s, err := readString(far, 3); s != "old" || time.Since(begin) < time.Hour {
			t.Errorf("held for %v: %q, %v", time.Since(begin), s, err)
		}
		for _, c := range []net.Conn{far, again, newer} {
			c.Close()
		}
	})
}

// A frozen process does not notice that it closes a connection. When it goes
// on, what arrived meanwhile is read or lost, by the seed.
func TestThawRacesWithClose(t *testing.T) {
	read, lost := 0, 0
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			n := NewNetwork(seed)
			_, _, near, far := pair(t, n)
			n.Freeze("b")
			io.WriteString(near, "x")
			time.AfterFunc(time.Minute, func() { far.Close() })
			time.AfterFunc(time.Hour, func() { n.Thaw("b") })
			begin := time.Now()
			s, err := readString(far, 1)
			switch {
			case time.Since(begin) < time.Hour:
				t.Errorf("a frozen process read %q, %v after %v", s, err, time.Since(begin))
			case s == "x":
				read++
			case errors.Is(err, net.ErrClosed):
				lost++
			}
			near.Close()
			time.Sleep(time.Second)
			if open := n.Conns(); open != 0 {
				t.Errorf("%d ends of connections are left", open)
			}
		})
	}
	if read+lost != 20 || read == 0 || lost == 0 {
		t.Errorf("%d read, %d lost", read, lost)
	}
}
