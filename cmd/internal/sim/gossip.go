package sim

import (
	"context"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// packetBuffer is how many packets wait for their reader; more are lost.
	packetBuffer = 1024
	// frozenBuffer is how many wait for a frozen process to go on.
	frozenBuffer = 256
	// maxAstray is how much later a packet that was doubled arrives again.
	maxAstray = 30 * time.Second
)

// Transport carries memberlist over a Network: packets that may be lost,
// doubled and overtaken, and streams. It starts no goroutine.
type Transport struct {
	host    *Host
	streams *listener
	packets chan *memberlist.Packet
	dials   context.Context // ends with the transport
	cancel  context.CancelFunc

	// guarded by Network.mu
	closed  bool
	waiting []*memberlist.Packet // that arrived while the host was frozen
}

var _ memberlist.Transport = (*Transport)(nil)

// Gossip opens a memberlist transport on a port of the host.
func (h *Host) Gossip(addr string) (*Transport, error) {
	l, err := h.listen(addr)
	if err != nil {
		return nil, err
	}
	t := &Transport{host: h, streams: l, packets: make(chan *memberlist.Packet, packetBuffer)}
	t.dials, t.cancel = context.WithCancel(context.Background())
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.gossips[l.port] = t
	return t, nil
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *Transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	if ip != "" {
		return net.ParseIP(ip), port, nil
	}
	return net.ParseIP(t.host.ip), t.streams.port, nil
}

// WriteTo implements memberlist.Transport.
func (t *Transport) WriteTo(b []byte, addr string) (time.Time, error) {
	now := time.Now()
	ip, port, err := splitAddr(addr)
	if err != nil {
		return now, err
	}
	n := t.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if t.closed {
		return now, net.ErrClosed
	}
	to := n.mu.hosts[ip]
	if to == nil {
		return now, errNoHost
	}
	l := n.linkLocked(t.host.name, to.name)
	copies := 1
	switch draw := l.rng.Float64(); {
	case draw < l.loss:
		return now, nil
	case draw < l.loss+l.double:
		copies = 2
	}
	data := slices.Clone(b)
	for i := range copies {
		delay := between(l.rng, l.min, l.max)
		if i > 0 { // the second one goes astray
			delay += between(l.rng, 0, maxAstray)
		}
		time.AfterFunc(delay, func() { t.deliver(data, ip, port) })
	}
	return now, nil
}

// deliver hands a packet over, unless the way is cut by now or nobody is there.
func (t *Transport) deliver(data []byte, ip string, port int) {
	n := t.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	to := n.mu.hosts[ip]
	if to == nil || to.gossips[port] == nil {
		return
	}
	there, now := to.gossips[port], time.Now()
	p := &memberlist.Packet{Buf: slices.Clone(data), From: t.streams.Addr(), Timestamp: now}
	switch stalled, _ := n.stalledLocked(t.host.name, to.name, now); {
	case n.mu.frozen[to.name] && !n.linkLocked(t.host.name, to.name).cut:
		if len(there.waiting) < frozenBuffer {
			there.waiting = append(there.waiting, p)
		}
	case !stalled:
		there.take(p)
	}
}

// take hands a packet to the reader, if there is room.
func (t *Transport) take(p *memberlist.Packet) {
	select {
	case t.packets <- p:
	default:
	}
}

// thawLocked hands over the packets that have waited for the host to go on.
func (h *Host) thawLocked() {
	for _, port := range sortedKeys(h.gossips) {
		t := h.gossips[port]
		for _, p := range t.waiting {
			t.take(p)
		}
		t.waiting = nil
	}
}

// PacketCh implements memberlist.Transport.
func (t *Transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh implements memberlist.Transport.
func (t *Transport) StreamCh() <-chan net.Conn { return t.streams.queue }

// DialTimeout implements memberlist.Transport.
func (t *Transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.dials, timeout)
	defer cancel()
	return t.host.Dial(ctx, addr)
}

// Shutdown implements memberlist.Transport. memberlist has stopped reading by
// then, so connections it never took are reset.
func (t *Transport) Shutdown() error {
	t.host.net.mu.Lock()
	defer t.host.net.mu.Unlock()
	t.closeLocked()
	return nil
}

func (t *Transport) closeLocked() {
	t.closed = true
	t.cancel()
	t.streams.closeLocked()
	delete(t.host.gossips, t.streams.port)
}

// Addr returns the transport's address as memberlist names it.
func (t *Transport) Addr() string { return net.JoinHostPort(t.host.ip, strconv.Itoa(t.streams.port)) }
