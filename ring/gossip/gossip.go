package gossip

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/hashicorp/memberlist"
	"golang.org/x/sync/errgroup"

	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// Store keeps small things across restarts. PutMeta is synced when it returns;
// GetMeta answers nil for what was never put.
type Store interface {
	PutMeta(key string, value []byte) error
	GetMeta(key string) ([]byte, error)
}

// Explicit says which fields of Options.Want the operator asked for, rather
// than took by default.
type Explicit struct{ N, Placement, Partitions bool }

// Options are what a Gossip needs.
type Options struct {
	Self   Meta     // Name and Actor are required; Cluster is ignored
	Seeds  []string // gossip addresses of any members; none but its own, and no history: found a cluster
	Weight int      // this node's share; 0: 1
	Zone   string

	// Want is what the cluster is made with, should this node make it (its
	// Cluster is ignored), and what an existing one must have where Explicit.
	Want     ring.Config
	Explicit Explicit

	Bind      string               // host:port to listen on, TCP and UDP
	Secret    []byte               // encrypts and authenticates all gossip; demanded beyond loopback
	Transport memberlist.Transport // nil: the network, at Bind; shut down by Run
	Store     Store
	Clock     *version.Clock // nil: a new one
	Logger    *slog.Logger   // nil: nowhere
}

// View is what a node knows about its cluster at one moment. It never changes.
type View struct {
	Ring    *ring.Ring      // nil before the node has joined
	History *ring.History   // nil before the node has joined
	Members map[string]Meta // last known, of members that were ever heard of; itself included
	Alive   map[string]bool // members that answer; itself included
}

// Gossip is this node's part of the cluster's gossip.
type Gossip struct {
	opts  Options
	log   *slog.Logger
	self  Meta // the keeper's, once Run has started it
	inbox *inbox
	queue *memberlist.TransmitLimitedQueue // events on their way
	big   chan []byte                      // events too big for a packet
	work  chan work
	kept  *keeper

	published atomic.Pointer[published]
	running   atomic.Bool
	joined    chan struct{}
	stopped   chan struct{} // closed when the keeper has ended
}

// published is a view, and the channel that is closed when it is replaced.
type published struct {
	view    View
	changed chan struct{}
}

// maxBig bounds the events that wait to be sent one by one; beyond it they are
// left to push/pull.
const maxBig = 64

// New checks the options and loads what the store holds, so that after a
// restart View answers before Run. It starts nothing. It fails with a
// *MismatchError, *RenamedError or *NameTakenError, or an error wrapping
// [ErrSecretNeeded], [ring.ErrBadConfig], [ring.ErrBadHistory] or [ErrBadMeta].
func New(o Options) (*Gossip, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = version.NewClock(nil)
	}
	o.Weight = max(o.Weight, 1)
	if err := o.validate(); err != nil {
		return nil, err
	}
	g := &Gossip{
		opts: o, log: o.Logger, self: o.Self, inbox: newInbox(),
		big: make(chan []byte, maxBig), work: make(chan work),
		joined: make(chan struct{}), stopped: make(chan struct{}),
	}
	g.self.Cluster = 0
	g.published.Store(&published{changed: make(chan struct{})})
	g.queue = &memberlist.TransmitLimitedQueue{NumNodes: g.numAlive, RetransmitMult: retransmitMult}
	g.kept = newKeeper(g)
	if err := g.kept.load(); err != nil {
		return nil, err
	}
	return g, nil
}

func (o *Options) validate() error {
	if o.Self.Name == "" || len(o.Self.Name) > ring.MaxName || o.Self.Actor == 0 {
		return fmt.Errorf("%w: a node needs a name of at most %d bytes, and an actor", ErrBadMeta, ring.MaxName)
	}
	if o.Weight > ring.MaxWeight || len(o.Zone) > ring.MaxZone {
		return fmt.Errorf("%w: weight %d and zone %q, at most %d and %d bytes", ring.ErrBadConfig, o.Weight, o.Zone, ring.MaxWeight, ring.MaxZone)
	}
	want := o.Want
	want.Cluster = 1
	if err := want.Validate(); err != nil {
		return err
	}
	if _, err := o.Self.Encode(); err != nil {
		return err
	}
	if o.Transport != nil {
		return nil
	}
	host, _, ok := splitAddr(o.Bind)
	if !ok {
		return fmt.Errorf("%w: gossip address %q is not host:port", ErrBadMeta, o.Bind)
	}
	if len(o.Secret) == 0 && !isLoopback(host) {
		return fmt.Errorf("%w: gossip at %s can be reached from other machines, and would believe anybody: set --cluster-secret to the same on all nodes, or listen on 127.0.0.1", ErrSecretNeeded, o.Bind)
	}
	advertised, _, _ := splitAddr(o.Self.GossipAddr)
	if isUnspecified(host) && (advertised == "" || isUnspecified(advertised)) {
		return fmt.Errorf("%w: gossip listens on every address (%s), say with --advertise-host which one others should use", ErrBadMeta, o.Bind)
	}
	return nil
}

func isUnspecified(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

// Run founds or joins the cluster, or takes up its place again, and gossips
// until ctx ends; then it says goodbye (down, not gone) and returns nil. It
// can be called once. It fails with a *MismatchError, *RenamedError,
// *NameTakenError or *ForeignError where the node must not go on under this
// name in this cluster.
func (g *Gossip) Run(ctx context.Context) error {
	l, config, err := g.listen(ctx)
	if err != nil {
		return err
	}
	d := &delegate{inbox: g.inbox, queue: g.queue, view: g.View, log: g.log,
		listen: joinAddr(config.AdvertiseAddr, uint16(config.AdvertisePort))}
	if err := g.begin(d); err != nil {
		l.Shutdown()
		return err
	}
	config.Transport = l
	config.Delegate, config.Events, config.Merge, config.Alive, config.Conflict = d, d, d, d, d
	list, err := memberlist.Create(config)
	if err != nil {
		l.Shutdown()
		return fmt.Errorf("gossip cannot start: %w", err)
	}
	return g.serve(ctx, list, l, d)
}

// begin makes the cluster, where there is neither one nor anybody to ask, and
// gets ready to say who this node is.
func (g *Gossip) begin(d *delegate) error {
	g.kept.delegate = d
	g.opts.Seeds = slices.DeleteFunc(slices.Clone(g.opts.Seeds), func(seed string) bool {
		return seed == "" || seed == g.self.GossipAddr || seed == d.listen
	})
	if len(g.opts.Seeds) == 0 && g.kept.history == nil {
		if err := g.kept.found(); err != nil {
			return err
		}
	}
	return g.kept.introduce()
}

// serve runs everything until ctx ends or something fails.
func (g *Gossip) serve(parent context.Context, list *memberlist.Memberlist, l *link, d *delegate) error {
	g.running.Store(true)
	group, ctx := errgroup.WithContext(parent)
	j := &joiner{g: g, list: list, delegate: d, net: g.opts.Transport == nil}
	c := &courier{g: g, list: list}
	group.Go(func() error { return g.kept.run(ctx) })
	group.Go(func() error { return j.run(ctx) })
	group.Go(func() error { return c.run(ctx) })
	<-ctx.Done()
	g.running.Store(false)
	// A node that must not go on under this name says no goodbye under it: it
	// would be taken for the other one's.
	g.leave(list, l, parent.Err() != nil && g.View().Ring != nil)
	return group.Wait()
}

// View returns the present view.
func (g *Gossip) View() *View { return &g.published.Load().view }

// Changed returns a channel that is closed at the next change of the view. To
// miss none, take it before View.
func (g *Gossip) Changed() <-chan struct{} { return g.published.Load().changed }

// Joined returns a channel that is closed once the history holds this node.
func (g *Gossip) Joined() <-chan struct{} { return g.joined }

// Add persists an event and spreads it. A zero ID and a zero Time are filled
// in, Slots put in order. It fails with [ErrNotRunning], [ErrNotJoined], or an
// error of the history or the store; then nothing was added.
func (g *Gossip) Add(e ring.Event) error {
	return g.do(func(k *keeper) error { return k.add(e) })
}

// Merge takes in another node's [Gossip.Encoded]. It reports whether it held
// anything new. Errors wrap [ErrNotRunning], [ErrNotJoined] or those of
// [ring.DecodeHistory] and [ring.History.Merge], or are the store's.
func (g *Gossip) Merge(history []byte) (changed bool, err error) {
	h, err := ring.DecodeHistory(history)
	if err != nil {
		return false, err
	}
	err = g.do(func(k *keeper) error {
		if k.history == nil {
			return ErrNotJoined
		}
		changed, err = k.merge(h)
		return err
	})
	return changed, err
}

// Encoded returns the encoding of the present history, not to be changed.
func (g *Gossip) Encoded() []byte { return g.View().History.Encoded() }

func (g *Gossip) numAlive() int {
	n := 0
	for _, alive := range g.View().Alive {
		if alive {
			n++
		}
	}
	return n
}

// work is what the keeper is asked to do.
type work struct {
	do   func(*keeper) error
	done chan error
}

// do has the keeper do something, and waits for it.
func (g *Gossip) do(f func(*keeper) error) error {
	if !g.running.Load() {
		return ErrNotRunning
	}
	w := work{f, make(chan error, 1)}
	select {
	case g.work <- w:
		return <-w.done
	case <-g.stopped:
		return ErrNotRunning
	}
}
