package gossip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
	"golang.org/x/sync/errgroup"
)

// How often others are tried.
const (
	seedMin     = 250 * time.Millisecond // between two rounds of all seeds, at first
	seedMax     = 2 * time.Second        // and later
	complain    = 10 * time.Second       // between two warnings about them
	nameGrace   = 10 * time.Second       // a lost node is seen to be dead in less
	healEvery   = 500 * time.Millisecond // between two looks at who is not alive
	healMin     = 500 * time.Millisecond // before one of them is tried again, at first
	healMax     = 4 * time.Second        // and later
	healWidth   = 8                      // tried at once
	introduce   = 10 * time.Second       // after a start, others are told who this is
	updateLimit = 500 * time.Millisecond
)

// errNoAnswer: no member of any cluster has answered yet.
var errNoAnswer = errors.New("no member has answered")

// fatal is an error of joining that trying again does not help.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// joiner gets this node into its cluster, and back to members that it has
// lost: memberlist forgets the dead, and so never heals a long cut.
type joiner struct {
	g        *Gossip
	list     *memberlist.Memberlist
	delegate *delegate
	net      bool // host names can be looked up
	warned   time.Time
}

func (j *joiner) run(ctx context.Context) error {
	if j.g.View().Ring == nil {
		if err := j.first(ctx); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return j.heal(ctx)
}

// first contacts the seeds until one has answered and this node has joined.
func (j *joiner) first(ctx context.Context) error {
	pause := seedMin
	var busySince time.Time
	for {
		err := j.round(ctx)
		var end fatal
		switch {
		case err == nil || ctx.Err() != nil:
			return nil
		case errors.As(err, &end):
			return end.error
		}
		if busy := j.delegate.takeBusy(); busy == nil {
			busySince = time.Time{}
		} else if busySince.IsZero() {
			busySince = time.Now()
		} else if time.Since(busySince) > nameGrace {
			return busy
		}
		if time.Since(j.warned) > complain {
			j.warned = time.Now()
			j.g.log.Warn("cannot join the cluster yet, trying on (one node has to be started without --join, to make the cluster)",
				"seeds", strings.Join(j.g.opts.Seeds, ","), "err", err)
		}
		if sleep(ctx, jitter(pause)) != nil {
			return nil
		}
		pause = min(2*pause, seedMax)
	}
}

// round tries each seed once.
func (j *joiner) round(ctx context.Context) error {
	reason := errNoAnswer
	for _, seed := range j.g.opts.Seeds {
		addr, err := j.dial(ctx, seed)
		if err != nil {
			reason = err
		}
		err = j.g.do((*keeper).enter)
		if err == nil {
			j.present(addr)
			return nil
		}
		if err != errNoAnswer {
			return err
		}
	}
	return reason
}

// present tells the cluster that this node is a member from now on.
func (j *joiner) present(addr string) {
	if err := j.list.UpdateNode(updateLimit); err != nil {
		j.g.log.Debug("the new member is not announced yet", "err", err)
	}
	if addr != "" {
		if _, err := j.list.Join([]string{addr}); err != nil {
			j.g.log.Debug("the new member is not introduced yet", "err", err)
		}
	}
}

// dial exchanges everything with the node at an address. It returns the
// address that the name stood for.
func (j *joiner) dial(ctx context.Context, to string) (addr string, err error) {
	host, port, ok := splitAddr(to)
	if !ok {
		return "", fmt.Errorf("%q is not host:port", to)
	}
	var ip netip.Addr
	if j.net {
		ip, err = resolve(ctx, host)
	} else {
		ip, err = netip.ParseAddr(host)
	}
	if err != nil {
		return "", err
	}
	addr = net.JoinHostPort(ip.String(), fmt.Sprint(port))
	if addr == j.delegate.listen {
		return "", fmt.Errorf("%s is this node itself", to)
	}
	_, err = j.list.Join([]string{addr})
	return addr, err
}

// retry is when a member that is not alive is tried again.
type retry struct {
	at    time.Time
	pause time.Duration
}

// heal tries members that are not alive, for ever.
func (j *joiner) heal(ctx context.Context) error {
	retries := map[string]retry{}
	started := time.Now()
	for {
		v := j.g.View()
		targets := j.due(v, retries)
		if time.Since(started) < introduce {
			targets = append(targets, j.anyAlive(v)...)
		}
		addrs := make([]string, len(targets))
		group := errgroup.Group{}
		group.SetLimit(healWidth)
		for i, to := range targets {
			group.Go(func() (err error) {
				if addrs[i], err = j.dial(ctx, to); err != nil {
					j.g.log.Debug("a member that is not alive does not answer", "addr", to, "err", err)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for i, to := range targets {
			if err := j.astray(v, to, addrs[i]); err != nil {
				return err
			}
		}
		if sleep(ctx, healEvery) != nil {
			return nil
		}
	}
}

// due returns the addresses to try now: of members that are not alive, and,
// where nobody else is, the seeds.
func (j *joiner) due(v *View, retries map[string]retry) []string {
	var out []string
	alone := true
	try := func(addr string) {
		r := retries[addr]
		if addr == "" || slices.Contains(out, addr) || time.Now().Before(r.at) {
			return
		}
		r.pause = min(max(2*r.pause, healMin), healMax)
		r.at = time.Now().Add(jitter(r.pause))
		retries[addr] = r
		out = append(out, addr)
	}
	for name, alive := range v.Alive {
		switch {
		case name == j.g.opts.Self.Name:
		case alive:
			alone = false
			delete(retries, v.Members[name].GossipAddr)
		default:
			try(v.Members[name].GossipAddr)
		}
	}
	if alone {
		for _, seed := range j.g.opts.Seeds {
			try(seed)
		}
	}
	return out
}

// anyAlive returns the address of one other member that is alive. Whoever took
// this node for alive at its last address takes it for dead after a while, and
// only then listens to the new one: so after a start they are told repeatedly.
func (j *joiner) anyAlive(v *View) []string {
	for name, alive := range v.Alive { // in random order
		if addr := v.Members[name].GossipAddr; alive && addr != "" && name != j.g.opts.Self.Name {
			return []string{addr}
		}
	}
	return nil
}

// astray returns a *ForeignError where this node is a cluster of its own while
// its seed belongs to another: it was first started without it. In a cluster
// with others the seed is only reported.
func (j *joiner) astray(v *View, seed, addr string) error {
	theirs := j.delegate.foreign(addr)
	if theirs == 0 || !slices.Contains(j.g.opts.Seeds, seed) {
		return nil
	}
	err := &ForeignError{Seed: seed, Ours: v.History.Cluster(), Theirs: theirs}
	if len(v.Ring.Members()) == 1 {
		return err
	}
	if time.Since(j.warned) > complain {
		j.warned = time.Now()
		j.g.log.Error("a seed is not used", "err", err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// jitter returns d plus or minus a quarter.
func jitter(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2) }

// courier sends events that are too big for a packet to everybody, by streams.
type courier struct {
	g    *Gossip
	list *memberlist.Memberlist
}

func (c *courier) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case b := <-c.g.big:
			var to []memberlist.Address
			if err := c.g.do(func(k *keeper) error { to = k.others(); return nil }); err != nil {
				return nil
			}
			for _, a := range to {
				c.send(a, b)
			}
		}
	}
}

func (c *courier) send(a memberlist.Address, b []byte) {
	host, port, ok := splitAddr(a.Addr)
	if !ok {
		return
	}
	n := &memberlist.Node{Name: a.Name, Addr: net.ParseIP(host), Port: port}
	if err := c.list.SendReliable(n, b); err != nil {
		c.g.log.Debug("an event was not sent, it will come by push/pull", "to", a.Name, "err", err)
	}
}
