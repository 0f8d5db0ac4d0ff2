package sim

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"time"
)

// window is how much a connection holds in one direction before its writer
// has to wait for the reader: the two kernels' socket buffers.
const window = 256 << 10

// Conn is one end of an in-memory connection. All its fields, and those of its
// directions, are guarded by Network.mu.
type Conn struct {
	net           *Network
	local, remote *Host
	laddr, raddr  net.Addr
	peer          *Conn
	in, out       *stream

	dialled       bool      // by this end
	closed        bool      // by its own side
	closing       bool      // closed by a side that stands still: see suspendedLocked
	brokenAt      time.Time // when this end learns that the connection was reset; zero: it was not
	readDeadline  time.Time
	writeDeadline time.Time
	readable      poke
	writable      poke
}

// stream is one direction of a connection.
type stream struct {
	rng      *rand.Rand
	segments []segment
	size     int       // bytes in segments
	last     time.Time // when the newest segment arrives
	held     bool      // nothing arrives before it is released
	eof      bool      // the writer has closed; the last segment says so
}

type segment struct {
	data []byte // nil: the end
	at   time.Time
}

// poke wakes a waiter, or keeps the next one from sleeping.
type poke chan struct{}

func (p poke) set() {
	select {
	case p <- struct{}{}:
	default:
	}
}

// wait returns when poked, or at the given time unless that is zero.
func (p poke) wait(at time.Time) {
	if at.IsZero() {
		<-p
		return
	}
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-p:
	case <-t.C:
	}
}

// connectLocked makes a connection between two hosts; port is the one dialled.
func (n *Network) connectLocked(from, to *Host, port int) (dialled, accepted *Conn) {
	n.mu.port++
	l := n.linkLocked(from.name, to.name)
	l.conns++
	there := &stream{rng: n.rand(from.name, to.name, l.conns)}
	back := &stream{rng: n.rand(to.name, from.name, l.conns<<32)}
	near, far := from.addr(n.mu.port), to.addr(port)
	dialled = &Conn{net: n, local: from, remote: to, laddr: near, raddr: far, in: back, out: there}
	accepted = &Conn{net: n, local: to, remote: from, laddr: far, raddr: near, in: there, out: back}
	dialled.peer, accepted.peer, dialled.dialled = accepted, dialled, true
	for _, c := range []*Conn{dialled, accepted} {
		c.readable, c.writable = make(poke, 1), make(poke, 1)
		n.mu.conns[c] = struct{}{}
	}
	return dialled, accepted
}

func (c *Conn) pokeLocked() {
	c.readable.set()
	c.writable.set()
}

// earlier returns the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// suspendedLocked reports whether who uses this end stands still: a frozen
// process, or a connection that is held. It notices nothing meanwhile, neither
// that its time is over nor that it has been closed; and when it goes on, it
// may find what has waited for it before it finds that.
func (c *Conn) suspendedLocked() bool {
	return !c.local.dead && (c.in.held || c.net.mu.frozen[c.local.name])
}

// troubleLocked returns why the end cannot be used, and until when it can.
func (c *Conn) troubleLocked(deadline, now time.Time) (until time.Time, err error) {
	if c.closed {
		return until, net.ErrClosed
	}
	if c.suspendedLocked() {
		return until, nil
	}
	if !deadline.IsZero() && !now.Before(deadline) {
		return until, os.ErrDeadlineExceeded
	}
	if c.brokenAt.IsZero() {
		return deadline, nil
	}
	if stalled, until := c.net.stalledLocked(c.remote.name, c.local.name, now); stalled {
		return earlier(until, deadline), nil
	}
	if !now.Before(c.brokenAt) {
		return until, syscall.ECONNRESET
	}
	return earlier(c.brokenAt, deadline), nil
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		n, until, err := c.tryRead(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, c.wrap("read", err)
		}
		c.readable.wait(until)
	}
}

func (c *Conn) tryRead(p []byte) (n int, until time.Time, err error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	now := time.Now()
	until, err = c.troubleLocked(c.readDeadline, now)
	if err != nil {
		c.readable.set() // for another reader
		return 0, until, err
	}
	if len(c.in.segments) == 0 || c.suspendedLocked() {
		return 0, until, nil
	}
	if stalled, opens := c.net.stalledLocked(c.remote.name, c.local.name, now); stalled {
		return 0, earlier(until, opens), nil
	}
	for n < len(p) && len(c.in.segments) > 0 {
		s := &c.in.segments[0]
		if now.Before(s.at) {
			until = earlier(until, s.at)
			break
		}
		if s.data == nil {
			if n == 0 {
				c.readable.set()
				return 0, until, io.EOF
			}
			break
		}
		k := copy(p[n:], s.data)
		n += k
		if s.data = s.data[k:]; len(s.data) == 0 {
			c.in.segments = c.in.segments[1:]
		}
	}
	c.in.size -= n
	if n > 0 {
		c.readable.set()
		c.peer.writable.set()
	}
	return n, until, nil
}

// Write implements net.Conn. It returns once everything is in the buffers of
// the network, which says nothing about its arrival.
func (c *Conn) Write(p []byte) (int, error) {
	written := 0
	for {
		n, until, err := c.tryWrite(p[written:])
		written += n
		if err != nil || written == len(p) {
			return written, c.wrap("write", err)
		}
		if n == 0 {
			c.writable.wait(until)
		}
	}
}

func (c *Conn) tryWrite(p []byte) (n int, until time.Time, err error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	now := time.Now()
	until, err = c.troubleLocked(c.writeDeadline, now)
	if err != nil {
		c.writable.set()
		return 0, until, err
	}
	if c.net.mu.frozen[c.local.name] && !c.local.dead {
		return 0, until, nil
	}
	if c.peer.closed && !c.remote.silent { // answered with a reset
		if c.brokenAt.IsZero() {
			c.brokenAt = now.Add(c.delayLocked())
			c.pokeLocked()
		}
		return len(p), until, nil
	}
	if n = min(len(p), window-c.out.size); n <= 0 {
		return 0, until, nil
	}
	c.sendLocked(append(make([]byte, 0, n), p[:n]...), now)
	if c.out.size < window {
		c.writable.set()
	}
	return n, until, nil
}

func (c *Conn) delayLocked() time.Duration {
	l := c.net.linkLocked(c.local.name, c.remote.name)
	return between(c.out.rng, l.min, l.max)
}

// sendLocked appends to the outgoing stream; nil data is its end.
func (c *Conn) sendLocked(data []byte, now time.Time) {
	at := now.Add(c.delayLocked())
	if at.Before(c.out.last) {
		at = c.out.last
	}
	c.out.last = at
	c.out.segments = append(c.out.segments, segment{data, at})
	c.out.size += len(data)
	c.peer.readable.set()
}

// Close implements net.Conn: the other end reads what was written, then EOF.
func (c *Conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed || c.closing {
		return c.wrap("close", net.ErrClosed)
	}
	if c.suspendedLocked() {
		c.closing = true
		return nil
	}
	c.closeLocked()
	return nil
}

func (c *Conn) closeLocked() {
	if !c.out.eof {
		c.out.eof = true
		c.sendLocked(nil, time.Now())
	}
	c.dropLocked()
}

// dropLocked ends this side without a word to the other.
func (c *Conn) dropLocked() {
	c.closed = true
	c.in.segments, c.in.size = nil, 0
	c.pokeLocked()
	c.peer.pokeLocked()
	delete(c.net.mu.conns, c)
}

// breakLocked lets this end learn that the other one is gone.
func (c *Conn) breakLocked(now time.Time) {
	if c.brokenAt.IsZero() {
		l := c.net.linkLocked(c.remote.name, c.local.name)
		c.brokenAt = now.Add(between(c.in.rng, l.min, l.max))
		c.pokeLocked()
	}
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.laddr }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.raddr }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.setDeadlines(func() { c.readDeadline, c.writeDeadline = t, t })
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadlines(func() { c.readDeadline = t })
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadlines(func() { c.writeDeadline = t })
}

func (c *Conn) setDeadlines(set func()) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed || c.closing {
		return c.wrap("set deadline", net.ErrClosed)
	}
	set()
	c.pokeLocked()
	return nil
}

// wrap dresses an error as the net package does. EOF stays bare.
func (c *Conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.laddr, Addr: c.raddr, Err: err}
}
