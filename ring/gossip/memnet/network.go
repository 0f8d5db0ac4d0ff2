package memnet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

// Bounds. Beyond them packets are dropped, dials refused, and writers wait.
const (
	maxPackets = 1024      // received by a transport and not read
	maxAccepts = 256       // connected to a listener and not accepted
	maxWindow  = 256 << 10 // bytes written to a stream and not read
)

// Link is how one host reaches another, one way. The zero Link is perfect.
type Link struct {
	Cut    bool          // nothing arrives; streams hold what they carry until it heals
	Drop   float64       // share of packets lost; streams lose nothing
	Dup    float64       // share of packets that arrive twice
	Delay  time.Duration // of packets and of streams
	Jitter time.Duration // up to so much more; packets may overtake each other
}

// ErrClosed: the network, the listener or the connection is closed. It matches
// [net.ErrClosed].
var ErrClosed = fmt.Errorf("memnet: %w", net.ErrClosed)

// Network connects addresses of the form host:port. A link belongs to a pair
// of hosts. All methods may be called concurrently.
type Network struct {
	mu struct {
		sync.Mutex
		closed    bool
		random    *rand.Rand
		links     map[pair]*link
		listeners map[string]*Listener
		packets   map[string]*Transport
		conns     map[*conn]struct{} // each open end of a stream
		port      int
	}
}

type pair struct{ from, to string }

// link is a Link as it is now.
type link struct {
	Link
	cutSince time.Time     // where Cut
	changed  chan struct{} // closed at the next change
}

// New returns a network of perfect links. The seed decides what is lost,
// doubled and late.
func New(seed uint64) *Network {
	n := &Network{}
	n.mu.random = rand.New(rand.NewPCG(seed, 0x6d656d6e6574))
	n.mu.links = map[pair]*link{}
	n.mu.listeners = map[string]*Listener{}
	n.mu.packets = map[string]*Transport{}
	n.mu.conns = map[*conn]struct{}{}
	return n
}

// SetLink changes how packets and streams get from one host to another. It
// says nothing about the way back.
func (n *Network) SetLink(from, to string, l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.setLink(pair{from, to}, l)
}

func (n *Network) setLink(p pair, l Link) {
	now := n.link(p)
	if l.Cut && !now.Cut {
		now.cutSince = time.Now()
	}
	now.Link = l
	close(now.changed)
	now.changed = make(chan struct{})
}

// Link returns how from reaches to.
func (n *Network) Link(from, to string) Link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link(pair{from, to}).Link
}

func (n *Network) link(p pair) *link {
	l := n.mu.links[p]
	if l == nil {
		l = &link{changed: make(chan struct{})}
		n.mu.links[p] = l
	}
	return l
}

// Cut parts two hosts, both ways; their links otherwise stay as they are.
func (n *Network) Cut(a, b string) { n.cut(a, b, true) }

// Heal takes back Cut.
func (n *Network) Heal(a, b string) { n.cut(a, b, false) }

func (n *Network) cut(a, b string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range []pair{{a, b}, {b, a}} {
		l := n.link(p).Link
		l.Cut = cut
		n.setLink(p, l)
	}
}

// Partition parts every host of one side from every host of the other.
func (n *Network) Partition(side, other []string) {
	for _, a := range side {
		for _, b := range other {
			n.Cut(a, b)
		}
	}
}

// HealAll takes back every cut.
func (n *Network) HealAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for p, l := range n.mu.links {
		if l.Cut {
			next := l.Link
			next.Cut = false
			n.setLink(p, next)
		}
	}
}

// Crash ends everything that a host has open, as the end of its process would:
// who is connected with it gets an error, as far as the link lets it through.
// The addresses are free again.
func (n *Network) Crash(host string) {
	n.mu.Lock()
	var ends []func()
	for addr, l := range n.mu.listeners {
		if hostOf(addr) == host {
			ends = append(ends, func() { l.Close() })
		}
	}
	for addr, t := range n.mu.packets {
		if hostOf(addr) == host {
			ends = append(ends, func() { t.Shutdown() })
		}
	}
	for c := range n.mu.conns {
		if hostOf(string(c.local)) == host {
			ends = append(ends, c.abort)
		}
	}
	n.mu.Unlock()
	for _, end := range ends {
		end()
	}
}

// Close ends everything. Nothing can be opened afterwards.
func (n *Network) Close() {
	n.mu.Lock()
	n.mu.closed = true
	hosts := map[string]bool{}
	for addr := range n.mu.listeners {
		hosts[hostOf(addr)] = true
	}
	for c := range n.mu.conns {
		hosts[hostOf(string(c.local))] = true
	}
	n.mu.Unlock()
	for host := range hosts {
		n.Crash(host)
	}
}

// Open returns the number of ends of streams that are open, for tests that
// look for leaks.
func (n *Network) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.mu.conns)
}

// delay returns how long a link takes now. It is called with n.mu held.
func (n *Network) delay(l *link) time.Duration {
	d := l.Delay
	if l.Jitter > 0 {
		d += time.Duration(n.mu.random.Int64N(int64(l.Jitter)))
	}
	return d
}

// Addr is an address on a Network.
type Addr string

// Network implements net.Addr.
func (Addr) Network() string { return "mem" }

// String implements net.Addr.
func (a Addr) String() string { return string(a) }

func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}

func opError(op string, local, remote Addr, err error) error {
	e := &net.OpError{Op: op, Net: "tcp", Err: err}
	if local != "" {
		e.Source = local
	}
	if remote != "" {
		e.Addr = remote
	}
	return e
}

var (
	errRefused = fmt.Errorf("memnet: %w", syscall.ECONNREFUSED)
	errReset   = fmt.Errorf("memnet: %w", syscall.ECONNRESET)
	errInUse   = fmt.Errorf("memnet: %w", syscall.EADDRINUSE)
	errAddr    = errors.New("memnet: an address must be host:port")
)
