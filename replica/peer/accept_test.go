package peer

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// flaky is a listener that fails before each connection.
type flaky struct {
	net.Listener
	failed bool
}

func (l *flaky) Accept() (net.Conn, error) {
	if l.failed = !l.failed; l.failed {
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

func TestAcceptGoesOnAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.node(t, "b", nil, func(o *Options) { o.Listener = &flaky{Listener: o.Listener} })
		a, _ := n.node(t, "a", nil)
		a.SetPeers(map[string]string{"b": "b"})
		time.Sleep(time.Second)
		if o := <-start(t, a, "b", "x", 500); o.err != nil {
			t.Error(o.err)
		}
		if mean, late := a.KindLatency("b", 7); mean <= 0 || late < mean {
			t.Errorf("kind 7: %v, %v", mean, late)
		}
		if mean, _ := a.KindLatency("b", 8); mean != 0 {
			t.Errorf("kind 8: %v", mean)
		}
	})
}

// Strangers cannot open more than so many connections, nor hold the door.
func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		b, _ := n.node(t, "b", nil)
		for range maxHandshakes {
			c, err := n.dial(t.Context(), "b")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
		c, err := n.dial(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		closedByNow(t, c) // one more than may introduce themselves
		time.Sleep(connectTimeout)
		synctest.Wait()
		for i := range maxInbound {
			n.raw(t, "b", fmt.Sprint("n", i), Bulk)
		}
		closedByNow(t, n.raw(t, "b", "late", Bulk)) // one too many
		n.raw(t, "b", "n0", Bulk)                   // replaces its older one
		if s := b.Stats(); len(s) != maxInbound {
			t.Errorf("%d connections", len(s))
		}
	})
}
