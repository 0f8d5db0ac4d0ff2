package resp

import (
	"cmp"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

// client is a connection as the others see it: what CLIENT LIST shows of it,
// and the ways to push to it and to end it.
type client struct {
	id          int64
	addr, local string   // the client's; the one that it connected to
	sock        net.Conn // nil: there is none, in tests
	since       int64    // Unix ms
	gone        chan struct{}

	// Set by the connection's goroutine, once a batch.
	active atomic.Int64 // Unix ms
	last   atomic.Pointer[row]
	unread atomic.Uint64 // bytes that were read and are no whole command, and room for more: 32 bits each
	out    atomic.Pointer[outbox]

	mu struct {
		sync.Mutex
		profile profile
		killed  bool
	}
}

// profile is what a connection has said about itself and others may know.
type profile struct {
	name    string
	libs    [2]string // lib-name, lib-ver
	proto   int
	noEvict bool
	noTouch bool
	monitor bool
}

// kill ends the connection at once: nothing more is pushed to it, nor written.
// Its goroutine notices.
func (c *client) kill() {
	c.mu.Lock()
	again := c.mu.killed
	c.mu.killed = true
	c.mu.Unlock()
	if again {
		return
	}
	close(c.gone)
	if o := c.out.Load(); o != nil {
		o.abandon()
	}
	if c.sock != nil {
		c.sock.Close()
	}
}

// shown returns what the connection last said about itself.
func (c *client) shown() profile {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.profile
}

// show makes what the connection says about itself known.
func (c *client) show(p profile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.profile = p
}

// subscriptions returns how many there are of each kind.
func (c *client) subscriptions() [channelKinds]int {
	if o := c.out.Load(); o != nil {
		return o.counts()
	}
	return [channelKinds]int{}
}

// fd returns the connection's file descriptor, -1 if it has none.
func (c *client) fd() int {
	fd := -1
	if s, ok := c.sock.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			raw.Control(func(n uintptr) { fd = int(n) }) // a closed one has none
		}
	}
	return fd
}

// clients are the connections of a server, by id.
type clients struct {
	mu   sync.Mutex
	byID map[int64]*client
}

func (cs *clients) add(c *client) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.byID == nil {
		cs.byID = map[int64]*client{}
	}
	cs.byID[c.id] = c
}

func (cs *clients) remove(c *client) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.byID, c.id)
}

// get returns a connection, nil if there is none with the id.
func (cs *clients) get(id int64) *client {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.byID[id]
}

// all returns the connections, the oldest first.
func (cs *clients) all() []*client {
	cs.mu.Lock()
	all := make([]*client, 0, len(cs.byID))
	for _, c := range cs.byID {
		all = append(all, c)
	}
	cs.mu.Unlock()
	slices.SortFunc(all, func(a, b *client) int { return cmp.Compare(a.id, b.id) })
	return all
}
