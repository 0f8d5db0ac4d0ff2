package gossip

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// Memberlist's timings. A node that ends without a word is seen after its next
// probe's turn (within about one interval), the probe itself (one interval)
// and the suspicion (two intervals, in which it can object): 1.5 to 2.5 s.
const (
	probeInterval   = 500 * time.Millisecond
	probeTimeout    = 200 * time.Millisecond // then by way of others, and by TCP
	suspicionMult   = 2
	maxHealthMult   = 2 // probes slow down to this where this node itself is slow
	gossipInterval  = 100 * time.Millisecond
	gossipDead      = 15 * time.Second
	pushPullEvery   = 5 * time.Second
	streamTimeout   = 2 * time.Second
	reclaimDead     = time.Millisecond // then a name may come back at another address
	leaveTimeout    = 500 * time.Millisecond
	bindAttempts    = 10   // for a port that is free for both TCP and UDP
	packetSize      = 1400 // bytes
	maxBroadcast    = 1000 // bytes of an event that fits beside others in a packet
	retransmitMult  = 4
	delegateVersion = 1
)

// listen opens the transport and fills in the own gossip address.
func (g *Gossip) listen(ctx context.Context) (*link, *memberlist.Config, error) {
	if t := g.opts.Transport; t != nil {
		ip, port, err := t.FinalAdvertiseAddr("", 0)
		if err != nil {
			return nil, nil, fmt.Errorf("gossip has no address: %w", err)
		}
		g.self.GossipAddr = withPort(g.self.GossipAddr, ip.String(), port)
		return newLink(t, nil), g.config(ip, port), nil
	}
	host, port, _ := splitAddr(g.opts.Bind)
	bind, err := resolve(ctx, host)
	if err != nil {
		return nil, nil, fmt.Errorf("gossip cannot listen on %s: %w", g.opts.Bind, err)
	}
	advertise, advertised := bind, 0
	if h, p, ok := splitAddr(g.self.GossipAddr); ok {
		if advertise, err = resolve(ctx, h); err != nil {
			return nil, nil, fmt.Errorf("the advertised gossip address %s is of no use: %w", g.self.GossipAddr, err)
		}
		advertised = int(p)
	}
	t, err := bindNet(bind, int(port), g)
	if err != nil {
		return nil, nil, fmt.Errorf("gossip cannot listen on %s: %w", g.opts.Bind, err)
	}
	if advertised == 0 {
		advertised = t.GetAutoBindPort()
	}
	g.self.GossipAddr = withPort(g.self.GossipAddr, advertise.String(), advertised)
	return newLink(t, &net.Dialer{}), g.config(net.IP(advertise.AsSlice()), advertised), nil
}

// withPort keeps the host of addr, where it has one, and fills in the port.
func withPort(addr, host string, port int) string {
	if h, p, ok := splitAddr(addr); ok {
		host = h
		if p != 0 {
			port = int(p)
		}
	}
	return joinAddr(host, uint16(port))
}

func bindNet(ip netip.Addr, port int, g *Gossip) (*memberlist.NetTransport, error) {
	attempts := 1
	if port == 0 {
		attempts = bindAttempts
	}
	for {
		attempts--
		t, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{ip.String()}, BindPort: port, Logger: memberlistLogger(g.log),
		})
		if err == nil || attempts == 0 {
			return t, describeBind(err)
		}
	}
}

func describeBind(err error) error {
	if err != nil && (errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), syscall.EADDRINUSE.Error())) {
		return fmt.Errorf("the address is in use, by another node perhaps: choose another --gossip-addr (%w)", err)
	}
	return err
}

// resolve returns the first address of a host, of IPv4 where it has any.
func resolve(ctx context.Context, host string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap(), nil
	}
	if host == "" {
		return netip.IPv4Unspecified(), nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			return ip.Unmap(), nil
		}
	}
	if len(ips) == 0 {
		return netip.Addr{}, fmt.Errorf("no address for %q", host)
	}
	return ips[0], nil
}

// isLoopback reports whether only this machine reaches the host.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func (g *Gossip) config(ip net.IP, port int) *memberlist.Config {
	if ip4 := ip.To4(); ip4 != nil {
		ip = ip4
	}
	c := memberlist.DefaultLANConfig()
	c.Name = g.self.Name
	c.AdvertiseAddr, c.AdvertisePort, c.BindPort = ip.String(), port, port
	c.ProbeInterval, c.ProbeTimeout = probeInterval, probeTimeout
	c.SuspicionMult, c.AwarenessMaxMultiplier = suspicionMult, maxHealthMult
	c.GossipInterval, c.GossipToTheDeadTime = gossipInterval, gossipDead
	c.PushPullInterval, c.TCPTimeout = pushPullEvery, streamTimeout
	c.DeadNodeReclaimTime = reclaimDead
	c.RetransmitMult, c.UDPBufferSize = retransmitMult, packetSize
	c.EnableCompression = false
	c.DelegateProtocolVersion, c.DelegateProtocolMin, c.DelegateProtocolMax = delegateVersion, delegateVersion, delegateVersion
	c.Logger = memberlistLogger(g.log)
	if len(g.opts.Secret) > 0 {
		key := sha256.Sum256(g.opts.Secret)
		c.SecretKey = key[:]
	}
	return c
}

// leave says goodbye and shuts memberlist down. It returns when nothing of it
// runs any more: Shutdown itself leaves a probe to its end.
func (g *Gossip) leave(m *memberlist.Memberlist, l *link, goodbye bool) {
	if goodbye {
		if err := m.Leave(leaveTimeout); err != nil {
			g.log.Debug("nobody was told of the leave", "err", err)
		}
	}
	if err := m.Shutdown(); err != nil {
		g.log.Debug("memberlist's shutdown", "err", err)
	}
	l.wait()
	if g.inbox.sawOthers() {
		time.Sleep(probeInterval * time.Duration(1+m.GetHealthScore()))
	}
}
