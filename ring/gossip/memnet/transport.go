package memnet

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Transport is memberlist's way onto a Network: packets and streams at one
// address, whose host must be an IP address.
type Transport struct {
	net      *Network
	addr     Addr
	listener *Listener
	packets  chan *memberlist.Packet
	stop     context.CancelFunc
	ctx      context.Context
	once     sync.Once
}

var _ memberlist.NodeAwareTransport = (*Transport)(nil)

// Transport opens addr, ip:port, for packets and streams.
func (n *Network) Transport(addr string) (*Transport, error) {
	l, err := n.Listen(addr)
	if err != nil {
		return nil, err
	}
	t := &Transport{net: n, addr: l.addr, listener: l, packets: make(chan *memberlist.Packet, maxPackets)}
	t.ctx, t.stop = context.WithCancel(context.Background())
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.packets[string(t.addr)] = t
	return t, nil
}

// Addr returns the address.
func (t *Transport) Addr() string { return string(t.addr) }

// FinalAdvertiseAddr implements memberlist.Transport: the address it has,
// whatever is asked for.
func (t *Transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	host, port, err := net.SplitHostPort(string(t.addr))
	if err != nil {
		return nil, 0, err
	}
	p, err := strconv.Atoi(port)
	ip := net.ParseIP(host)
	if err != nil || ip == nil {
		return nil, 0, errAddr
	}
	if ip4 := ip.To4(); ip4 != nil {
		ip = ip4
	}
	return ip, p, nil
}

// WriteTo implements memberlist.Transport. It never waits, and what gets lost
// gets lost silently.
func (t *Transport) WriteTo(b []byte, addr string) (time.Time, error) {
	now := time.Now()
	if t.ctx.Err() != nil {
		return now, opError("write", t.addr, Addr(addr), ErrClosed)
	}
	n := t.net
	n.mu.Lock()
	l := n.link(pair{hostOf(string(t.addr)), hostOf(addr)})
	if l.Cut || n.mu.random.Float64() < l.Drop {
		n.mu.Unlock()
		return now, nil
	}
	delays := []time.Duration{n.delay(l)}
	if n.mu.random.Float64() < l.Dup {
		delays = append(delays, n.delay(l))
	}
	n.mu.Unlock()
	for _, d := range delays {
		buf := append([]byte(nil), b...)
		if d == 0 {
			n.deliver(t.addr, addr, buf)
		} else {
			time.AfterFunc(d, func() { n.deliver(t.addr, addr, buf) })
		}
	}
	return now, nil
}

// deliver hands a packet to whoever has the address by now, unless that one
// has too many already.
func (n *Network) deliver(from Addr, to string, b []byte) {
	n.mu.Lock()
	t := n.mu.packets[to]
	n.mu.Unlock()
	if t == nil {
		return
	}
	select {
	case t.packets <- &memberlist.Packet{Buf: b, From: from, Timestamp: time.Now()}:
	default:
	}
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *Transport) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, addr.Addr)
}

// PacketCh implements memberlist.Transport.
func (t *Transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// DialTimeout implements memberlist.Transport.
func (t *Transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	return t.net.Dial(ctx, hostOf(string(t.addr)), addr)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *Transport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(addr.Addr, timeout)
}

// StreamCh implements memberlist.Transport.
func (t *Transport) StreamCh() <-chan net.Conn { return t.listener.accept }

// Shutdown implements memberlist.Transport. Dials that wait end.
func (t *Transport) Shutdown() error {
	t.once.Do(func() {
		t.stop()
		t.net.mu.Lock()
		if t.net.mu.packets[string(t.addr)] == t {
			delete(t.net.mu.packets, string(t.addr))
		}
		t.net.mu.Unlock()
		t.listener.Close()
	})
	return nil
}
