package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// Delays of a link that nobody has changed, and what a healed one adds: the
// time until TCP's next retransmission gets through.
const (
	defaultMinDelay = 100 * time.Microsecond
	defaultMaxDelay = 900 * time.Microsecond
	maxHealDelay    = 300 * time.Millisecond
)

// Network connects hosts under virtual time. Every pair of hosts has two
// links, one a direction, and each fault is a property of a link or of a host.
// What it draws at random depends on the seed, the link and the number of the
// connection on it, never on the order in which goroutines run.
//
// One mutex guards all of it, connections included; it is never held while
// anything waits. A Network starts no goroutine.
type Network struct {
	seed uint64

	mu struct {
		sync.Mutex
		hosts   map[string]*Host // by IP, the newest that had it
		links   map[linkName]*link
		frozen  map[string]bool // by host name
		conns   map[*Conn]struct{}
		port    int           // the last ephemeral port given out
		changed chan struct{} // closed and renewed with every change of links and hosts
	}
}

type linkName struct{ from, to string }

// link is one direction between two hosts.
type link struct {
	cut      bool
	opensAt  time.Time // healed, but nothing gets through before
	min, max time.Duration
	loss     float64 // of packets; streams lose nothing but time
	double   float64 // of packets
	conns    uint64  // connections opened over it: the next one's random stream
	rng      *rand.Rand
}

// NewNetwork returns a network without hosts.
func NewNetwork(seed uint64) *Network {
	n := &Network{seed: seed}
	n.mu.hosts = make(map[string]*Host)
	n.mu.links = make(map[linkName]*link)
	n.mu.frozen = make(map[string]bool)
	n.mu.conns = make(map[*Conn]struct{})
	n.mu.port = 40000
	n.mu.changed = make(chan struct{})
	return n
}

// rand returns the random stream that what names.
func (n *Network) rand(from, to string, number uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(from + "\x00" + to))
	return rand.New(rand.NewPCG(n.seed, h.Sum64()+number*0x9e3779b97f4a7c15))
}

// linkLocked returns the link between two hosts, making it if it is new.
func (n *Network) linkLocked(from, to string) *link {
	name := linkName{from, to}
	l := n.mu.links[name]
	if l == nil {
		l = &link{min: defaultMinDelay, max: defaultMaxDelay, rng: n.rand(from, to, 0)}
		n.mu.links[name] = l
	}
	return l
}

// between draws a duration from [low, high].
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(r.Int64N(int64(high-low)+1))
}

// stalledLocked reports whether nothing gets from one host to another now, and
// when it will; the zero time means not before something changes.
func (n *Network) stalledLocked(from, to string, now time.Time) (stalled bool, until time.Time) {
	if n.mu.frozen[from] || n.mu.frozen[to] {
		return true, time.Time{}
	}
	l := n.linkLocked(from, to)
	if l.cut {
		return true, time.Time{}
	}
	if now.Before(l.opensAt) {
		return true, l.opensAt
	}
	return false, time.Time{}
}

// changedLocked wakes everybody who waits for a link or a host.
func (n *Network) changedLocked() {
	close(n.mu.changed)
	n.mu.changed = make(chan struct{})
	for c := range n.mu.conns {
		c.pokeLocked()
	}
}

// update changes links and hosts.
func (n *Network) update(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	n.changedLocked()
}

// CutOneWay stops everything from one host to another: packets are lost,
// streams stall, new connections do not come about.
func (n *Network) CutOneWay(from, to string) {
	n.update(func() { n.linkLocked(from, to).cut = true })
}

// Cut stops everything between two hosts.
func (n *Network) Cut(a, b string) {
	n.update(func() { n.linkLocked(a, b).cut, n.linkLocked(b, a).cut = true, true })
}

// Partition cuts every pair of hosts that are in different groups.
func (n *Network) Partition(groups ...[]string) {
	for i, g := range groups {
		for _, h := range groups[i+1:] {
			for _, a := range g {
				for _, b := range h {
					n.Cut(a, b)
				}
			}
		}
	}
}

// Heal ends all cuts. Streams that stalled go on where they were, each a
// little later than the cut's end.
func (n *Network) Heal() {
	n.update(func() {
		now := time.Now()
		for _, l := range n.mu.links {
			l.healLocked(now)
		}
	})
}

// HealPair ends the cuts between two hosts.
func (n *Network) HealPair(a, b string) {
	n.update(func() {
		now := time.Now()
		n.linkLocked(a, b).healLocked(now)
		n.linkLocked(b, a).healLocked(now)
	})
}

func (l *link) healLocked(now time.Time) {
	if l.cut {
		l.cut, l.opensAt = false, now.Add(between(l.rng, 0, maxHealDelay))
	}
}

// Freeze stalls a host's input and output, as stopping its process does: what
// is sent to it waits, packets beyond its buffers aside.
func (n *Network) Freeze(host string) { n.update(func() { n.mu.frozen[host] = true }) }

// Thaw ends a freeze.
func (n *Network) Thaw(host string) {
	n.update(func() {
		delete(n.mu.frozen, host)
		n.resumeLocked(true)
		for _, ip := range sortedKeys(n.mu.hosts) {
			if h := n.mu.hosts[ip]; h.name == host {
				h.thawLocked()
			}
		}
	})
}

// SetDelay sets how long everything takes between two hosts, each way.
func (n *Network) SetDelay(a, b string, low, high time.Duration) {
	n.update(func() {
		for _, l := range []*link{n.linkLocked(a, b), n.linkLocked(b, a)} {
			l.min, l.max = low, high
		}
	})
}

// SetLoss sets the share of packets between two hosts that are lost, and of
// those that arrive twice.
func (n *Network) SetLoss(a, b string, loss, double float64) {
	n.update(func() {
		for _, l := range []*link{n.linkLocked(a, b), n.linkLocked(b, a)} {
			l.loss, l.double = loss, double
		}
	})
}

// Reset breaks every connection between two hosts: both ends are told, and
// what was under way is lost.
func (n *Network) Reset(a, b string) {
	n.update(func() {
		now := time.Now()
		for c := range n.mu.conns {
			if from, to := c.local.name, c.remote.name; from == a && to == b || from == b && to == a {
				c.brokenAt = now
			}
		}
	})
}

// Conns returns how many ends of connections are open, of running hosts.
func (n *Network) Conns() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	open := 0
	for c := range n.mu.conns {
		if !c.closed && !c.closing {
			open++
		}
	}
	return open
}

// Host is one machine: an IP, its listeners, and the node that runs on it. A
// host that was killed is dead for ever; a restart brings a new one under the
// same name and IP.
type Host struct {
	net  *Network
	name string
	ip   string

	// guarded by Network.mu
	dead      bool
	silent    bool // dead without telling anybody
	listeners map[int]*listener
	gossips   map[int]*Transport
}

// Host returns a new running host. One of the same IP that was there before is
// dead from now on, and whoever is still connected with it learns so.
func (n *Network) Host(name, ip string) *Host {
	h := &Host{net: n, name: name, ip: ip, listeners: make(map[int]*listener), gossips: make(map[int]*Transport)}
	n.update(func() {
		if old := n.mu.hosts[ip]; old != nil {
			n.killLocked(old, false)
		}
		n.mu.hosts[ip] = h
	})
	return h
}

// Kill ends the host at once, as it stands: what it has not sent is never
// sent. Others find their connections reset, or, if silent, hear nothing until
// a new host has its IP.
func (h *Host) Kill(silent bool) { h.net.update(func() { h.net.killLocked(h, silent) }) }

func (n *Network) killLocked(h *Host, silent bool) {
	now := time.Now()
	h.dead, h.silent = true, silent
	for _, port := range sortedKeys(h.listeners) {
		h.listeners[port].closeLocked()
	}
	for _, port := range sortedKeys(h.gossips) {
		h.gossips[port].closeLocked()
	}
	for c := range n.mu.conns {
		switch {
		case c.local == h:
			c.dropLocked()
		case c.remote == h && !silent:
			c.breakLocked(now)
		}
	}
}

// Dead reports whether the host was killed.
func (h *Host) Dead() bool {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.dead
}

// IP returns the host's address.
func (h *Host) IP() string { return h.ip }

func (h *Host) addr(port int) *net.TCPAddr { return &net.TCPAddr{IP: net.ParseIP(h.ip), Port: port} }

func sortedKeys[K interface{ ~int | ~string }, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// connsOf returns the connections that a host has open.
func (n *Network) connsOf(h *Host) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var open []string
	for c := range n.mu.conns {
		if c.local == h && !c.closed && !c.closing {
			open = append(open, fmt.Sprintf("%v→%v", c.laddr, c.raddr))
		}
	}
	slices.Sort(open)
	return open
}
