package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// conn is one end of a stream. It implements net.Conn.
type conn struct {
	net           *Network
	local, remote Addr
	in, out       *half
	read, write   deadline
}

// half is one direction of a stream: written at one end, read at the other.
type half struct {
	net  *Network
	path pair

	mu     sync.Mutex
	queue  []segment
	size   int           // bytes in queue
	last   time.Time     // when the newest segment arrives
	reset  bool          // the writer's process ended
	gone   bool          // the reader is closed
	ended  bool          // the writer is closed
	wakeup chan struct{} // closed at the next change
}

// segment is what one write put on its way; without data, the end.
type segment struct {
	data    []byte
	arrives time.Time
}

func newStream(n *Network, near, far Addr) (*conn, *conn) {
	newHalf := func(from, to Addr) *half {
		return &half{net: n, path: pair{hostOf(string(from)), hostOf(string(to))}, wakeup: make(chan struct{})}
	}
	there, back := newHalf(near, far), newHalf(far, near)
	a := &conn{net: n, local: near, remote: far, in: back, out: there}
	b := &conn{net: n, local: far, remote: near, in: there, out: back}
	return a, b
}

// wake tells everybody who waits to look again. It is called with h.mu held.
func (h *half) wake() {
	close(h.wakeup)
	h.wakeup = make(chan struct{})
}

// put adds a segment, and returns how much of b it took: 0 where the window is
// full, and what to wait for.
func (h *half) put(b []byte, end bool) (taken int, wakeup chan struct{}, err error) {
	h.net.mu.Lock()
	l := h.net.link(h.path)
	delay, cut := h.net.delay(l), l.Cut
	h.net.mu.Unlock()

	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.reset:
		return 0, nil, errReset
	case h.ended:
		return 0, nil, ErrClosed
	case h.gone && !cut:
		return 0, nil, errReset
	}
	taken = min(len(b), maxWindow-h.size)
	if taken == 0 && !end {
		return 0, h.wakeup, nil
	}
	arrives := time.Now().Add(delay)
	if arrives.Before(h.last) {
		arrives = h.last
	}
	h.last = arrives
	h.queue = append(h.queue, segment{append([]byte(nil), b[:taken]...), arrives})
	h.size += taken
	h.ended = end
	h.wake()
	return taken, nil, nil
}

// take reads what has arrived. Where nothing has, it returns what to wait for,
// and how long at most (0: for ever).
func (h *half) take(b []byte) (n int, wait time.Duration, wakeup, relink chan struct{}, err error) {
	h.net.mu.Lock()
	l := *h.net.link(h.path)
	h.net.mu.Unlock()

	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone {
		return 0, 0, nil, nil, ErrClosed
	}
	now := time.Now()
	for len(h.queue) > 0 {
		s := &h.queue[0]
		if s.arrives.After(now) {
			wait = s.arrives.Sub(now)
			break
		}
		if l.Cut && !s.arrives.Before(l.cutSince) {
			break
		}
		if len(s.data) == 0 { // the end stays, for the next read
			if n == 0 {
				err = io.EOF
			}
			break
		}
		k := copy(b[n:], s.data)
		n, h.size, s.data = n+k, h.size-k, s.data[k:]
		if len(s.data) > 0 {
			break
		}
		h.queue = h.queue[1:]
	}
	if n > 0 {
		h.wake()
	} else if err == nil && h.reset && !l.Cut {
		err = errReset
	}
	return n, wait, h.wakeup, l.changed, err
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		expired, changed := c.read.wait()
		n, wait, wakeup, relink, err := c.in.take(b)
		switch {
		case n > 0:
			return n, nil
		case err == io.EOF:
			return 0, err
		case err != nil:
			return 0, opError("read", c.local, c.remote, err)
		case expired:
			return 0, opError("read", c.local, c.remote, timeoutError{os.ErrDeadlineExceeded})
		}
		c.read.block(wait, wakeup, relink, changed)
	}
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (n int, err error) {
	for {
		expired, changed := c.write.wait()
		if expired {
			return n, opError("write", c.local, c.remote, timeoutError{os.ErrDeadlineExceeded})
		}
		k, wakeup, err := c.out.put(b[n:], false)
		n += k
		if err != nil {
			return n, opError("write", c.local, c.remote, err)
		}
		if n == len(b) {
			return n, nil
		}
		if wakeup != nil {
			c.write.block(0, wakeup, nil, changed)
		}
	}
}

// Close implements net.Conn. What was written still arrives.
func (c *conn) Close() error {
	_, _, err := c.out.put(nil, true)
	c.in.mu.Lock()
	c.in.gone, c.in.queue, c.in.size = true, nil, 0
	c.in.wake()
	c.in.mu.Unlock()
	c.forget()
	if err == ErrClosed {
		return opError("close", c.local, c.remote, err)
	}
	return nil
}

// abort ends the stream as the end of its process would: what is on its way is
// lost, and the other end gets an error once the link lets it through.
func (c *conn) abort() {
	c.in.mu.Lock()
	c.in.gone, c.in.queue, c.in.size = true, nil, 0
	c.in.wake()
	c.in.mu.Unlock()
	c.out.mu.Lock()
	c.out.reset = true
	c.out.wake()
	c.out.mu.Unlock()
	c.forget()
}

func (c *conn) forget() {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	delete(c.net.mu.conns, c)
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.read.set(t)
	c.write.set(t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { c.read.set(t); return nil }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { c.write.set(t); return nil }

// deadline is when waiting ends. The zero one never comes.
type deadline struct {
	mu      sync.Mutex
	at      time.Time
	changed chan struct{} // closed at the next set; nil if nobody waits
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = t
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

// wait reports whether the deadline is past, and what tells of another one.
func (d *deadline) wait() (expired bool, changed chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed == nil {
		d.changed = make(chan struct{})
	}
	return !d.at.IsZero() && !time.Now().Before(d.at), d.changed
}

// block waits for any of its channels, the time, or the deadline.
func (d *deadline) block(wait time.Duration, a, b, changed chan struct{}) {
	d.mu.Lock()
	at := d.at
	d.mu.Unlock()
	if !at.IsZero() && (wait == 0 || time.Until(at) < wait) {
		wait = max(time.Until(at), 1)
	}
	var timer <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-timer:
	case <-a:
	case <-b:
	case <-changed:
	}
}
