package sim

import (
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"
	"time"
)

const (
	// backlog is how many connections wait to be accepted; more are refused.
	backlog = 512
	// dialLimit is when a dial that nobody answers gives up by itself.
	dialLimit = 2 * time.Minute
)

// listener is one listening port. Its queue is also the StreamCh of a
// memberlist transport.
type listener struct {
	host   *Host
	port   int
	queue  chan net.Conn
	done   chan struct{}
	closed bool // guarded by Network.mu
}

// Listen opens a port of the host; port 0 means any.
func (h *Host) Listen(addr string) (net.Listener, error) {
	l, err := h.listen(addr)
	if err != nil {
		return nil, err // not a nil *listener
	}
	return l, nil
}

func (h *Host) listen(addr string) (*listener, error) {
	ip, port, err := splitAddr(addr)
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	switch {
	case err != nil:
	case h.dead:
		err = net.ErrClosed
	case ip != h.ip:
		err = syscall.EADDRNOTAVAIL
	case h.listeners[port] != nil:
		err = syscall.EADDRINUSE
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: h.addr(port), Err: err}
	}
	if port == 0 {
		h.net.mu.port++
		port = h.net.mu.port
	}
	l := &listener{host: h, port: port, queue: make(chan net.Conn, backlog), done: make(chan struct{})}
	h.listeners[port] = l
	h.net.changedLocked()
	return l, nil
}

func splitAddr(addr string) (ip string, port int, err error) {
	ip, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(p)
	return ip, port, err
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
	default:
		select {
		case c := <-l.queue:
			return c, nil
		case <-l.done:
		}
	}
	return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
}

// Close implements net.Listener. Connections that nobody accepted are reset.
func (l *listener) Close() error {
	l.host.net.mu.Lock()
	defer l.host.net.mu.Unlock()
	if l.closed {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	l.closeLocked()
	l.host.net.changedLocked()
	return nil
}

func (l *listener) closeLocked() {
	if l.closed {
		return
	}
	l.closed = true
	close(l.done)
	delete(l.host.listeners, l.port)
	for {
		select {
		case c := <-l.queue:
			far := c.(*Conn)
			far.dropLocked()
			far.peer.breakLocked(time.Now())
		default:
			return
		}
	}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.host.addr(l.port) }

// Dial connects the host to a listening port of another, or of itself. It
// waits while links are cut, and takes one round trip.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	ip, port, err := splitAddr(addr)
	if err == nil {
		ctx, cancel := context.WithTimeoutCause(ctx, dialLimit, syscall.ETIMEDOUT)
		defer cancel()
		var c *Conn
		if c, err = h.dial(ctx, ip, port); err == nil {
			return c, nil
		}
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Source: h.addr(0), Addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: port}, Err: err}
}

func (h *Host) dial(ctx context.Context, ip string, port int) (*Conn, error) {
	if err := h.awaitPath(ctx, ip, true); err != nil {
		return nil, err
	}
	c, refused := h.connect(ip, port)
	if refused != nil {
		return nil, refused
	}
	// The answer to the dial; the connection is there on the other side.
	if err := h.awaitPath(ctx, ip, false); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// awaitPath waits until the host of ip can be reached (or can answer), and then
// as long as it takes to get there.
func (h *Host) awaitPath(ctx context.Context, ip string, there bool) error {
	for {
		ready, delay, changed, until, err := h.path(ip, there)
		if err != nil {
			return err
		}
		if ready {
			until = time.Now().Add(delay)
		}
		var expired <-chan time.Time
		if !until.IsZero() {
			expired = time.After(time.Until(until))
		}
		if ready {
			changed = nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case <-expired:
			if ready {
				return nil
			}
		}
	}
}

var errNoHost = errors.New("no route to host")

// path looks at the way to a host, or back from it: whether it is open and how
// long it takes; else what to wait for.
func (h *Host) path(ip string, there bool) (ready bool, delay time.Duration, changed <-chan struct{}, until time.Time, err error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	to := n.mu.hosts[ip]
	switch {
	case h.dead:
		return false, 0, nil, until, net.ErrClosed
	case to == nil:
		return false, 0, nil, until, errNoHost
	}
	from, dest := h.name, to.name
	if !there {
		from, dest = dest, from
	}
	stalled, until := n.stalledLocked(from, dest, time.Now())
	if stalled || to.dead && to.silent {
		return false, 0, n.mu.changed, until, nil
	}
	l := n.linkLocked(from, dest)
	return true, between(l.rng, l.min, l.max), n.mu.changed, until, nil
}

// connect puts a new connection into the listener's queue.
func (h *Host) connect(ip string, port int) (*Conn, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	to := n.mu.hosts[ip]
	if h.dead {
		return nil, net.ErrClosed
	}
	l := to.listeners[port]
	if to.dead || l == nil {
		return nil, syscall.ECONNREFUSED
	}
	near, far := n.connectLocked(h, to, port)
	select {
	case l.queue <- far:
		return near, nil
	default:
		near.dropLocked()
		far.dropLocked()
		return nil, syscall.ECONNREFUSED
	}
}
