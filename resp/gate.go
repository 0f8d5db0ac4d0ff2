package resp

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// gate is a listener that turns clients away, guards those it lets in, and at
// the end waits for their last commands: redcon closes its connections as soon
// as Accept fails.
type gate struct {
	net.Listener
	s    *Server
	view View
	work context.Context // of the clients' commands: outlives the accepting

	mu struct {
		sync.Mutex
		guards map[*guard]struct{}
		closed bool
		empty  chan struct{} // closed when closed and no guards are left
	}
}

const (
	refusalTime = 100 * time.Millisecond // to write a refusal
	acceptPause = 10 * time.Millisecond  // after a failed accept, as with too many open files
)

func newGate(s *Server, ln net.Listener, view View, work context.Context) *gate {
	g := &gate{Listener: ln, s: s, view: view, work: work}
	g.mu.guards = make(map[*guard]struct{})
	g.mu.empty = make(chan struct{})
	return g
}

// Accept returns the next client that may stay, guarded. Once the gate has been
// shut it waits until all clients have left, or their time is up.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		switch {
		case err == nil:
		case g.shutting():
			<-g.mu.empty
			return nil, net.ErrClosed
		case errors.Is(err, net.ErrClosed):
			return nil, err
		default:
			g.s.log.Warn("accepting a client failed", "err", err)
			time.Sleep(acceptPause)
			continue
		}
		if no := g.refusal(c); no != "" {
			g.s.stats.rejected.Add(1)
			c.SetWriteDeadline(time.Now().Add(refusalTime))
			c.Write([]byte("-" + no + "\r\n"))
			c.Close()
			continue
		}
		if gd := g.admit(c); gd != nil {
			return gd, nil
		}
		c.Close() // let in too late
	}
}

// refusal says why a client may not stay, or "".
func (g *gate) refusal(c net.Conn) fault {
	set := g.s.settings()
	switch {
	case g.s.stats.clients.Load() >= set.maxClients:
		return errMaxClients
	case set.password == "" && !set.unprotected && !loopback(c.RemoteAddr()):
		return protectedMode
	}
	return ""
}

// loopback reports whether an address is of this machine. Whatever is not IP
// is.
func loopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// admit guards a client; nil if the gate has been shut meanwhile.
func (g *gate) admit(c net.Conn) *guard {
	gd := &guard{Conn: c, s: g.s, ctx: g.work, framer: newFramer(g.s.settings().maxValue)}
	gd.session = g.s.newSession(c.RemoteAddr().String(), c.LocalAddr().String())
	gd.session.client.sock, gd.session.open, gd.session.view = c, gd.open, g.view
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closed {
		return nil
	}
	g.s.stats.connections.Add(1)
	g.s.stats.clients.Add(1)
	g.mu.guards[gd] = struct{}{}
	g.s.clients.add(gd.session.client)
	return gd
}

// left says that redcon is done with a client.
func (g *gate) left(gd *guard) {
	gd.leave()
	g.s.stats.clients.Add(-1)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.mu.guards, gd)
	if g.mu.closed && len(g.mu.guards) == 0 {
		close(g.mu.empty)
	}
}

func (g *gate) shutting() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.closed
}

// shut stops accepting and reading. Clients are answered what has been read,
// within limit; then they are cut off.
func (g *gate) shut(limit time.Duration) {
	g.mu.Lock()
	if !g.mu.closed {
		g.mu.closed = true
		if len(g.mu.guards) == 0 {
			close(g.mu.empty)
		}
		for gd := range g.mu.guards {
			gd.drain()
		}
	}
	g.mu.Unlock()
	g.s.pause.end()
	g.Listener.Close()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-g.mu.empty:
	case <-timer.C:
		g.cut()
	}
}

// cut closes the connections that are left.
func (g *gate) cut() {
	g.mu.Lock()
	guards := make([]*guard, 0, len(g.mu.guards))
	for gd := range g.mu.guards {
		guards = append(guards, gd)
	}
	g.mu.Unlock()
	for _, gd := range guards {
		gd.Conn.Close()
	}
}

// drain ends the waiting for more: nothing is read from the client any more.
func (g *guard) drain() {
	g.draining.Store(true)
	g.Conn.SetReadDeadline(past)
}

// past is a deadline that is over.
var past = time.Unix(1, 0)
