package memnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"
)

func dial(t *testing.T, n *Network, from, to string) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return n.Dial(ctx, from, to)
}

// open returns both ends of a stream from host a to host b.
func open(t *testing.T, n *Network) (near, far net.Conn) {
	t.Helper()
	l, err := n.Listen("b:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = dial(t, n, "a", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

func TestConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		n := New(1)
		c1, c2 = open(t, n)
		return c1, c2, func() {
			c1.Close()
			c2.Close()
			n.Close()
			if open := n.Open(); open != 0 {
				t.Errorf("%d ends are left open", open)
			}
		}, nil
	})
}

func write(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("read %q and %v, want %q", b, err, want)
	}
}

func TestStreamTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetLink("a", "b", Link{Delay: 30 * time.Millisecond})
		n.SetLink("b", "a", Link{Delay: 20 * time.Millisecond})
		start := time.Now()
		near, far := open(t, n)
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("connecting took %v", took)
		}
		start = time.Now()
		write(t, near, "ping")
		write(t, near, "ping")
		read(t, far, "pingping")
		write(t, far, "pong")
		read(t, near, "pong")
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("there and back took %v", took)
		}
		near.Close()
		if _, err := far.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %v at the end", err)
		}
		far.Close()
	})
}

func TestCutStreamHoldsItsData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		near, far := open(t, n)
		write(t, near, "before")
		time.Sleep(time.Millisecond)
		n.Cut("a", "b")
		write(t, near, "during")
		read(t, far, "before")
		far.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := far.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v through the cut", err)
		}
		far.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { n.Heal("a", "b") })
		read(t, far, "during")
		near.Close()
		far.Close()
	})
}

func TestFullWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		near, far := open(t, n)
		sent := bytes.Repeat([]byte("x"), 3*maxWindow)
		near.SetWriteDeadline(time.Now().Add(time.Second))
		k, err := near.Write(sent)
		if k != maxWindow || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("wrote %d, %v", k, err)
		}
		near.SetWriteDeadline(time.Time{})
		go func() {
			near.Write(sent[k:])
			near.Close()
		}()
		if got, err := io.ReadAll(far); len(got) != len(sent) || err != nil {
			t.Fatalf("read %d of %d, %v", len(got), len(sent), err)
		}
		far.Close()
	})
}

func TestDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		if _, err := dial(t, n, "a", "b:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v from nobody", err)
		}
		l, err := n.Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Listen("b:1"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("got %v for a second listener", err)
		}
		n.SetLink("b", "a", Link{Cut: true})
		start := time.Now()
		_, err = dial(t, n, "a", "b:1")
		if ne, ok := err.(net.Error); !ok || !ne.Timeout() || time.Since(start) != 10*time.Second {
			t.Errorf("got %v through a cut after %v", err, time.Since(start))
		}
		time.AfterFunc(time.Second, n.HealAll)
		c, err := dial(t, n, "a", "b:1")
		if err != nil {
			t.Fatal(err)
		}
		l.Close() // the stream was not accepted
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v of a closed listener", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v from a closed listener", err)
		}
		c.Close()
		n.Close()
		if _, err := n.Listen("b:1"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v from a closed network", err)
		}
	})
}

func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		near, far := open(t, n)
		near2, far2 := open(t, n)
		n.Crash("b")
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v from a crashed host", err)
		}
		if _, err := near.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v writing to a crashed host", err)
		}
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v on the crashed host", err)
		}
		for _, c := range []net.Conn{near, near2, far, far2} {
			c.Close()
		}
		if open := n.Open(); open != 0 {
			t.Errorf("%d ends are left open", open)
		}
	})
}

// A crash behind a cut is silent until the cut heals.
func TestCrashBehindACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		near, _ := open(t, n)
		n.Cut("a", "b")
		n.Crash("b")
		near.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v through the cut", err)
		}
		near.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, n.HealAll)
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v after the cut", err)
		}
		near.Close()
	})
}

func TestPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, err := n.Transport("10.0.0.1:7000")
		if err != nil {
			t.Fatal(err)
		}
		b, err := n.Transport("10.0.0.2:7000")
		if err != nil {
			t.Fatal(err)
		}
		count := func(link Link, sent int) (got int, took time.Duration) {
			t.Helper()
			n.SetLink("10.0.0.1", "10.0.0.2", link)
			start := time.Now()
			for range sent {
				if _, err := a.WriteTo([]byte("hello"), b.Addr()); err != nil {
					t.Fatal(err)
				}
			}
			for {
				select {
				case p := <-b.PacketCh():
					if string(p.Buf) != "hello" || p.From.String() != a.Addr() {
						t.Fatalf("got %q from %v", p.Buf, p.From)
					}
					got, took = got+1, time.Since(start)
				case <-time.After(time.Second):
					return got, took
				}
			}
		}
		if got, took := count(Link{Delay: 5 * time.Millisecond}, 100); got != 100 || took != 5*time.Millisecond {
			t.Errorf("got %d after %v", got, took)
		}
		if got, took := count(Link{Drop: 0.5, Jitter: time.Millisecond}, 1000); got < 400 || got > 600 || took > time.Millisecond {
			t.Errorf("half of 1000 lost: got %d after %v", got, took)
		}
		if got, _ := count(Link{Dup: 1}, 100); got != 200 {
			t.Errorf("all of 100 doubled: got %d", got)
		}
		if got, _ := count(Link{Cut: true}, 100); got != 0 {
			t.Errorf("through a cut: got %d", got)
		}
		if got, _ := count(Link{}, 2*maxPackets); got != maxPackets {
			t.Errorf("more than fit: got %d", got)
		}
		n.Crash("10.0.0.1")
		if _, err := a.WriteTo([]byte("x"), b.Addr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v from a crashed host", err)
		}
		ip, port, err := b.FinalAdvertiseAddr("", 0)
		if ip.String() != "10.0.0.2" || port != 7000 || err != nil {
			t.Errorf("advertises %v %d %v", ip, port, err)
		}
		b.Shutdown()
	})
}

// A dial that waits behind a cut ends with its transport.
func TestShutdownEndsDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, err := n.Transport("10.0.0.1:7000")
		if err != nil {
			t.Fatal(err)
		}
		n.Cut("10.0.0.1", "10.0.0.2")
		time.AfterFunc(time.Second, func() { a.Shutdown() })
		start := time.Now()
		if _, err := a.DialTimeout("10.0.0.2:7000", time.Hour); err == nil || time.Since(start) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}
