package memnet

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"
)

// Listener accepts streams. It implements net.Listener.
type Listener struct {
	net    *Network
	addr   Addr
	accept chan net.Conn
	done   chan struct{}
	once   sync.Once
}

// Listen opens addr, host:port, for streams. Port 0 is any free one.
func (n *Network) Listen(addr string) (*Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return nil, opError("listen", Addr(addr), "", errAddr)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed {
		return nil, opError("listen", Addr(addr), "", ErrClosed)
	}
	if port == "0" {
		addr = n.freeAddr(host)
	}
	if n.mu.listeners[addr] != nil {
		return nil, opError("listen", Addr(addr), "", errInUse)
	}
	l := &Listener{net: n, addr: Addr(addr), accept: make(chan net.Conn, maxAccepts), done: make(chan struct{})}
	n.mu.listeners[addr] = l
	return l, nil
}

// freeAddr returns an address of the host that nobody has had. It is called
// with n.mu held.
func (n *Network) freeAddr(host string) string {
	n.mu.port++
	return net.JoinHostPort(host, strconv.Itoa(40000+n.mu.port%20000))
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.done:
		return nil, opError("accept", l.addr, "", ErrClosed)
	}
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.addr }

// Close implements net.Listener. Streams that nobody accepted are reset.
func (l *Listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.mu.listeners, string(l.addr))
		l.net.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.accept:
				c.(*conn).abort()
			default:
				return
			}
		}
	})
	return nil
}

// Dial connects from a host to an address. Where nobody listens it is refused;
// where the link is cut it waits until it heals or ctx ends.
func (n *Network) Dial(ctx context.Context, from, to string) (net.Conn, error) {
	there, back := pair{from, hostOf(to)}, pair{hostOf(to), from}
	for {
		wait, changed, c, err := n.dial(there, back, to)
		if err != nil {
			return nil, opError("dial", Addr(from), Addr(to), err)
		}
		if c != nil {
			if err := sleep(ctx, wait); err != nil {
				c.abort()
				return nil, opError("dial", Addr(from), Addr(to), err)
			}
			return c, nil
		}
		select {
		case <-changed[0]:
		case <-changed[1]:
		case <-ctx.Done():
			return nil, opError("dial", Addr(from), Addr(to), timeoutError{ctx.Err()})
		}
	}
}

// dial connects, to be used after wait; or returns what to wait for where
// there is no way.
func (n *Network) dial(there, back pair, to string) (wait time.Duration, changed [2]chan struct{}, c *conn, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed {
		return 0, changed, nil, ErrClosed
	}
	out, in := n.link(there), n.link(back)
	if out.Cut || in.Cut {
		return 0, [2]chan struct{}{out.changed, in.changed}, nil, nil
	}
	wait = n.delay(out) + n.delay(in)
	l := n.mu.listeners[to]
	if l == nil {
		return 0, changed, nil, errRefused
	}
	near, far := newStream(n, Addr(n.freeAddr(there.from)), l.addr)
	select {
	case l.accept <- far:
	default:
		return 0, changed, nil, errRefused
	}
	n.mu.conns[near], n.mu.conns[far] = struct{}{}, struct{}{}
	return wait, changed, near, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return timeoutError{ctx.Err()}
	}
}

// timeoutError is a net.Error of a dial or a deadline that ended.
type timeoutError struct{ err error }

func (e timeoutError) Error() string { return "memnet: i/o timeout" }
func (e timeoutError) Timeout() bool { return true }

// Temporary implements net.Error.
func (e timeoutError) Temporary() bool { return true }

func (e timeoutError) Unwrap() error { return e.err }
