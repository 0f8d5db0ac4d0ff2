package gossip

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func netOptions(i int, seeds ...string) Options {
	return Options{
		Self:   Meta{Name: fmt.Sprintf("n%d", i), Actor: uint64(1000 + i), Addr: fmt.Sprintf("127.0.0.1:%d", 7000+i)},
		Seeds:  seeds,
		Want:   want,
		Bind:   "127.0.0.1:0",
		Secret: []byte("open sesame"),
		Store:  &memStore{},
	}
}

// crashable is a transport that can be cut off from the network at once.
type crashable struct {
	*memberlist.NetTransport
	down atomic.Bool
}

func (c *crashable) crash() {
	c.down.Store(true)
	c.Shutdown()
}

// DialTimeout implements memberlist.Transport.
func (c *crashable) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	if c.down.Load() {
		return nil, net.ErrClosed
	}
	return c.NetTransport.DialTimeout(addr, timeout)
}

func gossipAddrOf(t *testing.T, n *node) string {
	t.Helper()
	n.mustJoin()
	var addr string
	within(t, 5*time.Second, n.opts.Self.Name+" has an address", func() bool {
		addr = n.View().Members[n.opts.Self.Name].GossipAddr
		return addr != ""
	})
	return addr
}

// Three nodes on real sockets: they find each other, see one that goes, one
// that crashes, and both again when they are back at other ports.
func TestLoopback(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time")
	}
	n1 := run(t, netOptions(1))
	seed := gossipAddrOf(t, n1)
	n2 := run(t, netOptions(2, seed))
	tr, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{"127.0.0.1"}, Logger: memberlistLogger(n1.log)})
	if err != nil {
		t.Fatal(err)
	}
	o3 := netOptions(3, strings.Replace(seed, "127.0.0.1", "localhost", 1), seed)
	crashable := &crashable{NetTransport: tr}
	o3.Transport = crashable
	n3 := run(t, o3)
	took := within(t, 10*time.Second, "three agree", func() bool { return agree(n1, n2, n3) })
	t.Log("agreeing took", took)

	n2.stop()
	took = within(t, 2*time.Second, "n2 said goodbye", func() bool { return sees(n1, "n2", false)() && sees(n3, "n2", false)() })
	t.Log("a goodbye took", took)
	n2.opts.Seeds = nil
	n2.opts.Self.Addr = "127.0.0.1:7999"
	n2 = run(t, n2.opts)
	took = within(t, 10*time.Second, "n2 is back", func() bool { return agree(n1, n2, n3) })
	t.Log("coming back took", took)

	crashable.crash()
	took = within(t, 6*time.Second, "n3's crash is seen", func() bool { return sees(n1, "n3", false)() && sees(n2, "n3", false)() })
	t.Log("seeing a crash took", took)
	n3.cancel()
	<-n3.ended
	n3.opts.Transport, n3.opts.Seeds = nil, nil
	n3 = run(t, n3.opts)
	took = within(t, 15*time.Second, "n3 is back", func() bool { return agree(n1, n2, n3) })
	t.Log("coming back took", took)
	stopAll(n1, n2, n3)
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := netOptions(1)
	o.Bind = l.Addr().String()
	if err := run(t, o).fails(); err == nil || !strings.Contains(err.Error(), "--gossip-addr") {
		t.Errorf("got %v", err)
	}
}

// Nothing is left running: a bubble would not end, but on real sockets nobody
// would notice.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	n1 := run(t, netOptions(1))
	n2 := run(t, netOptions(2, gossipAddrOf(t, n1)))
	n2.mustJoin()
	within(t, 10*time.Second, "two agree", func() bool { return agree(n1, n2) })
	stopAll(n1, n2)
	time.Sleep(20 * time.Millisecond) // for whoever has ended but not left yet
	if after := runtime.NumGoroutine(); after > before {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines before, %d after:\n%s", before, after, buf[:runtime.Stack(buf, true)])
	}
}
