package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
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

// node runs a Peers called name, at the address name, until the test ends.
func (n *network) node(t testing.TB, name string, h Handler, with ...func(*Options)) (p *Peers, stop func()) {
	t.Helper()
	o := Options{Self: Identity{Cluster: 1, Name: name, Actor: uint64(name[0])}, Listener: n.listen(name), Dial: n.dial}
	for _, f := range with {
		f(&o)
	}
	if h == nil {
		h = func(r *Request) { r.Reply(r.Body) }
	}
	p = New(o, h)
	return p, runUntilCleanup(t, p)
}

// pair runs two nodes that know each other, a with handler ha and b with hb,
// and waits until they are connected. It must run in a bubble.
func (n *network) pair(t testing.TB, ha, hb Handler, with ...func(*Options)) (a, b *Peers) {
	t.Helper()
	a, _ = n.node(t, "a", ha, with...)
	b, _ = n.node(t, "b", hb, with...)
	a.SetPeers(map[string]string{"a": "a", "b": "b"})
	b.SetPeers(map[string]string{"a": "a", "b": "b"})
	synctest.Wait()
	if !a.Up("b") || !b.Up("a") {
		t.Fatalf("not connected: %+v", a.Stats())
	}
	return a, b
}

// outcome is a call's answer, with a body that may be kept.
type outcome struct {
	body string
	err  error
	at   time.Time
}

// start makes a call with a deadline in so many ms and returns where its
// outcome will be. A second outcome fails the test.
func start(t testing.TB, p *Peers, to string, body string, ms int) <-chan outcome {
	got := make(chan outcome, 1)
	deadline := time.Now().Add(time.Duration(ms) * time.Millisecond)
	p.Call(to, Foreground, 7, []byte(body), deadline, func(r Reply) {
		select {
		case got <- outcome{string(r.Body), r.Err, time.Now()}:
		default:
			t.Error("done was called twice")
		}
	})
	return got
}

// dialledStats returns what p says of the connection it dials.
func dialledStats(t testing.TB, p *Peers, name string, class Class) Stats {
	t.Helper()
	for _, s := range p.Stats() {
		if s.Name == name && s.Class == class && !s.Accepted {
			return s
		}
	}
	t.Fatalf("no connection to %s", name)
	return Stats{}
}
