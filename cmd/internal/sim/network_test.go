package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"
)

// pair is two hosts and a connection between them.
func pair(t *testing.T, n *Network) (a, b *Host, near, far net.Conn) {
	t.Helper()
	a, b = n.Host("a", "127.0.0.1"), n.Host("b", "127.0.0.2")
	l, err := b.Listen("127.0.0.2:7")
	if err != nil {
		t.Fatal(err)
	}
	near, err = a.Dial(t.Context(), "127.0.0.2:7")
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	l.Close()
	return a, b, near, far
}

func readString(c net.Conn, n int) (string, error) {
	buf := make([]byte, n)
	k, err := io.ReadFull(c, buf)
	return string(buf[:k]), err
}

func TestStreamKeepsOrderAndTakesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, near, far := pair(t, NewNetwork(1))
		sent := make([]byte, 3*window)
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range sent {
			sent[i] = byte(rng.Uint32())
		}
		begin := time.Now()
		go func() {
			for rest := sent; len(rest) > 0; {
				k := min(len(rest), 1+rng.IntN(50000))
				if _, err := near.Write(rest[:k]); err != nil {
					t.Error(err)
				}
				rest = rest[k:]
			}
			near.Close()
		}()
		got, err := io.ReadAll(far)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("read %d bytes of %d, err %v", len(got), len(sent), err)
		}
		if took := time.Since(begin); took < defaultMinDelay || took > time.Second {
			t.Fatalf("took %v", took)
		}
		far.Close()
	})
}

func TestCutStallsAndHealResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(1)
		a, _, near, far := pair(t, n)
		n.CutOneWay("a", "b")
		io.WriteString(near, "there")
		io.WriteString(far, "back")
		if s, err := readString(near, 4); s != "back" {
			t.Fatalf("the other way: %q, %v", s, err)
		}
		far.SetReadDeadline(time.Now().Add(time.Second))
		if s, err := readString(far, 5); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("across the cut: %q, %v", s, err)
		}
		far.SetReadDeadline(time.Time{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Dial(ctx, "127.0.0.2:7"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("dial across the cut: %v", err)
		}
		healed := time.AfterFunc(time.Minute, n.Heal)
		defer healed.Stop()
		if s, err := readString(far, 5); s != "there" {
			t.Fatalf("after the cut: %q, %v", s, err)
		}
		near.Close()
		far.Close()
	})
}

func TestFreezeStallsBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(1)
		_, _, near, far := pair(t, n)
		n.Freeze("b")
		time.AfterFunc(5*time.Second, func() { n.Thaw("b") })
		begin := time.Now()
		io.WriteString(near, "x")
		io.WriteString(far, "y")
		for _, c := range []net.Conn{near, far} {
			if _, err := readString(c, 1); err != nil || time.Since(begin) < 5*time.Second {
				t.Fatalf("after %v: %v", time.Since(begin), err)
			}
		}
		near.Close()
		far.Close()
	})
}

func TestKilledHostResetsItsConnections(t *testing.T) {
	for _, silent := range []bool{false, true} {
		t.Run(fmt.Sprintf("silent=%v", silent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := NewNetwork(1)
				a, b, near, far := pair(t, n)
				io.WriteString(far, "lost")
				b.Kill(silent)
				if _, err := far.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the dead host writes: %v", err)
				}
				if _, err := b.Listen("127.0.0.2:8"); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the dead host listens: %v", err)
				}
				io.WriteString(near, "into the void")
				near.SetReadDeadline(time.Now().Add(time.Minute))
				want := error(syscall.ECONNRESET)
				if silent {
					want = os.ErrDeadlineExceeded
				}
				begin := time.Now()
				if _, err := io.Copy(io.Discard, near); !errors.Is(err, want) {
					t.Errorf("read: %v, want %v", err, want)
				}
				if !silent && time.Since(begin) > time.Second {
					t.Errorf("told after %v", time.Since(begin))
				}
				near.SetReadDeadline(time.Time{})
				n.Host("b", "127.0.0.2")
				if _, err := readString(near, 1); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("read after the restart: %v", err)
				}
				if _, err := a.Dial(t.Context(), "127.0.0.2:7"); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("dial after the restart: %v", err)
				}
				near.Close()
			})
		})
	}
}

func TestCloseWakesReaderWriterAndAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(1)
		_, b, near, far := pair(t, n)
		l, err := b.Listen("127.0.0.2:9")
		if err != nil {
			t.Fatal(err)
		}
		errs := make(chan error, 3)
		go func() { _, err := near.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := near.Write(make([]byte, 2*window)); errs <- err }()
		go func() { _, err := l.Accept(); errs <- err }()
		synctest.Wait()
		near.Close()
		l.Close()
		for range 3 {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
		if k, err := io.Copy(io.Discard, far); k != window || err != nil {
			t.Errorf("the other end read %d, %v", k, err)
		}
		for err = nil; err == nil; _, err = far.Write([]byte("x")) {
			time.Sleep(time.Millisecond)
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("writing to a closed end: %v", err)
		}
		far.Close()
		if open := n.Conns(); open != 0 {
			t.Errorf("%d ends are left open", open)
		}
	})
}

// TestSeedReplays: the same seed makes the same delays, whatever else runs.
func TestSeedReplays(t *testing.T) {
	run := func(seed uint64) (arrivals []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			_, _, near, far := pair(t, NewNetwork(seed))
			begin := time.Now()
			for range 20 {
				io.WriteString(near, "x")
				readString(far, 1)
				arrivals = append(arrivals, time.Since(begin))
			}
			near.Close()
			far.Close()
		})
		return arrivals
	}
	first := fmt.Sprint(run(7))
	if again := fmt.Sprint(run(7)); again != first {
		t.Errorf("the same seed:\n%s\n%s", first, again)
	}
	if other := fmt.Sprint(run(8)); other == first {
		t.Error("another seed makes the same delays")
	}
}

func TestPacketsAreLostDoubledAndCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(3)
		ta, err := n.Host("a", "127.0.0.1").Gossip("127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		tb, err := n.Host("b", "127.0.0.2").Gossip("127.0.0.2:1")
		if err != nil {
			t.Fatal(err)
		}
		send := func() (arrived int) {
			for range 100 {
				if _, err := ta.WriteTo([]byte("p"), tb.Addr()); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(maxAstray + time.Second)
			for len(tb.PacketCh()) > 0 {
				<-tb.PacketCh()
				arrived++
			}
			return arrived
		}
		if got := send(); got != 100 {
			t.Errorf("%d of 100 arrive", got)
		}
		n.SetLoss("a", "b", 0.5, 0)
		if got := send(); got < 20 || got > 80 {
			t.Errorf("half of them lost: %d arrive", got)
		}
		n.SetLoss("a", "b", 0, 1)
		if got := send(); got != 200 {
			t.Errorf("all doubled: %d arrive", got)
		}
		n.CutOneWay("a", "b")
		if got := send(); got != 0 {
			t.Errorf("cut: %d arrive", got)
		}
		ta.Shutdown()
		tb.Shutdown()
	})
}

// TestConnIsANetConn runs the standard suite, in real time.
func TestConnIsANetConn(t *testing.T) {
	nettest.TestConn(t, func() (near, far net.Conn, stop func(), err error) {
		n := NewNetwork(1)
		n.SetDelay("a", "b", 0, 0)
		_, _, near, far = pair(t, n)
		return near, far, func() { near.Close(); far.Close() }, nil
	})
}
