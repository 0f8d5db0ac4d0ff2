package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
)

// startPeers runs a Peers until the test ends.
func startPeers(t testing.TB, o Options, h Handler) *Peers {
	t.Helper()
	if h == nil {
		h = func(r *Request) { r.Fail(1, "this node serves nothing") }
	}
	p := New(o, h)
	runUntilCleanup(t, p)
	return p
}

// runUntilCleanup runs p until the returned function is called, or the test
// ends.
func runUntilCleanup(t testing.TB, p *Peers) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// network is an in-memory network of unbuffered pipes, fit for a synctest
// bubble.
type network struct {
	mu struct {
		sync.Mutex
		listeners map[string]*listener
		conns     []*conn
		dials     map[string]int
	}
}

func newNetwork() *network {
	n := &network{}
	n.mu.listeners = make(map[string]*listener)
	n.mu.dials = make(map[string]int)
	return n
}

func (n *network) listen(addr string) *listener {
	l := &listener{net: n, addr: addr, accepted: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.listeners[addr] = l
	return l
}

var errRefused = errors.New("connection refused")

func (n *network) dial(ctx context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	l := n.mu.listeners[addr]
	n.mu.dials[addr]++
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("%s: %w", addr, errRefused)
	}
	here, there := net.Pipe()
	a, b := newConn(here, addr), newConn(there, "dialler of "+addr)
	select {
	case l.accepted <- b:
	case <-l.closed:
		return nil, fmt.Errorf("%s: %w", addr, errRefused)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.conns = append(n.mu.conns, a, b)
	return a, nil
}

// cut closes every connection.
func (n *network) cut() {
	n.mu.Lock()
	conns := n.mu.conns
	n.mu.conns = nil
	n.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

// freeze makes every read wait: whoever writes finds nobody who takes it.
func (n *network) freeze() (thaw func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var gates []chan struct{}
	for _, c := range n.mu.conns {
		gates = append(gates, c.freeze())
	}
	return func() {
		for _, g := range gates {
			close(g)
		}
	}
}

func (n *network) dialled(addr string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.dials[addr]
}

type listener struct {
	net      *network
	addr     string
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.net.mu.Lock()
		defer l.net.mu.Unlock()
		if l.net.mu.listeners[l.addr] == l {
			delete(l.net.mu.listeners, l.addr)
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return address(l.addr) }

type address string

func (a address) Network() string { return "memory" }
func (a address) String() string  { return string(a) }

// conn is a pipe whose reads can be held back.
type conn struct {
	net.Conn
	remote address
	closed chan struct{}
	once   sync.Once

	mu struct {
		sync.Mutex
		gate chan struct{} // reads wait until it is closed; nil: open
	}
}

func newConn(c net.Conn, remote string) *conn {
	return &conn{Conn: c, remote: address(remote), closed: make(chan struct{})}
}

func (c *conn) freeze() chan struct{} {
	gate := make(chan struct{})
	c.mu.Lock()
	c.mu.gate = gate
	c.mu.Unlock()
	// A read that is under way would still take one write.
	return gate
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	gate := c.mu.gate
	c.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	return n, err
}

func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (c *conn) RemoteAddr() net.Addr { return c.remote }
