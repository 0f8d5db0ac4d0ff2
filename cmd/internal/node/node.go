package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/resp"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// Node is one member of a cluster.
type Node struct {
	cfg  Config
	deps Deps
	log  *slog.Logger

	store       *storage.Store
	clock       *version.Clock
	replica     *replica.Replica
	gossip      *gossip.Gossip
	peers       latePeers
	coordinator *coordinator.Coordinator
	background  background
	resp        *resp.Server
	listeners   listeners

	ready chan struct{} // closed when the data is fit to be served
	fatal chan error    // the disk's last word
	asked chan struct{} // a client's SHUTDOWN
	names atomic.Value  // actorNames
	slots atomic.Pointer[slotTable]

	explains chan explainJob
}

// New opens a node's data directory and its ports. Run serves; a node that is
// not run must be closed.
func New(cfg Config, log *slog.Logger) (*Node, error) { return NewWith(cfg, Deps{}, log) }

// NewWith is New in another world.
func NewWith(cfg Config, deps Deps, log *slog.Logger) (*Node, error) {
	cfg, err := cfg.Complete()
	if err != nil {
		return nil, err
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	n := &Node{cfg: cfg, deps: deps.complete(), log: log, ready: make(chan struct{}), fatal: make(chan error, 1), asked: make(chan struct{}, 1), explains: make(chan explainJob, maxExplains)}
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Close releases what New opened, for a node that was not run.
func (n *Node) Close() error {
	n.listeners.close()
	if n.store == nil {
		return nil
	}
	return n.store.Close()
}

func (n *Node) open() (err error) {
	if n.listeners, err = n.listen(); err != nil {
		return err
	}
	durability, err := storage.ParseDurability(n.cfg.Durability)
	if err != nil {
		return err
	}
	n.store, err = storage.Open(storage.Options{
		Dir: n.cfg.DataDir, FS: n.deps.FS, CacheBytes: n.cfg.CacheBytes / 2, Durability: durability,
		MinFreeBytes: uint64(n.cfg.MinFreeDisk), Logger: n.log.With("part", "storage"), OnFatal: n.diskFailed,
	})
	if err != nil {
		return err
	}
	if err := n.noteCopy(); err != nil {
		return err
	}
	n.clock = version.NewClock(n.deps.Now)
	n.replica = replica.New(replica.Options{
		Store: n.store, Clock: n.clock, Now: n.deps.Now, CacheBytes: n.cfg.CacheBytes / 2,
		ClockMax: n.cfg.ClockMax, MaxSiblings: n.cfg.MaxSiblings, HintLimit: n.cfg.HintLimit,
		Pace:   func(ctx context.Context, bytes int) error { return n.background.pacer.Wait(ctx, bytes) },
		Logger: n.log.With("part", "replica"),
	})
	if n.gossip, err = n.newGossip(); err != nil {
		return err
	}
	n.coordinator = coordinator.New(coordinator.Options{
		Self: n.cfg.Name, R: n.cfg.R, W: n.cfg.W, Timeout: n.cfg.Timeout, Now: n.deps.Now,
		Logger: n.log.With("part", "coordinator"),
	}, n.replica, &n.peers, views{n.gossip})
	n.background = n.newBackground()
	if n.resp, err = resp.New(n.respOptions()); err != nil {
		return err
	}
	n.coordinator.SetExecutor(n.resp.Execute)
	return nil
}

// diskFailed is called by the store when it can vouch for nothing any more.
func (n *Node) diskFailed(err error) {
	select {
	case n.fatal <- err:
	default:
	}
}

func (n *Node) newGossip() (*gossip.Gossip, error) {
	o := gossip.Options{
		Self:   n.meta(),
		Seeds:  n.cfg.Join,
		Weight: n.cfg.Weight,
		Zone:   n.cfg.Zone,
		Want: ring.Config{
			N: n.cfg.N, Placement: n.cfg.Placement, Partitions: n.cfg.Partitions,
		},
		Explicit: gossip.Explicit{
			N: n.cfg.Explicit["n"], Placement: n.cfg.Explicit["placement"], Partitions: n.cfg.Explicit["partitions"],
		},
		Bind: n.cfg.GossipAddr, Store: n.store, Clock: n.clock, Logger: n.log.With("part", "gossip"),
	}
	if n.cfg.ClusterSecret != "" {
		o.Secret = []byte(n.cfg.ClusterSecret)
	}
	if n.deps.Gossip != nil {
		transport, err := n.deps.Gossip(n.cfg.GossipAddr)
		if err != nil {
			return nil, fmt.Errorf("--gossip-addr %s: %w", n.cfg.GossipAddr, err)
		}
		o.Transport = transport
	}
	return gossip.New(o)
}

// Run serves until ctx ends or a client says SHUTDOWN, then stops cleanly: it finishes what is in
// flight, says goodbye, and leaves a data directory that needs no recovery. It
// returns nil after a clean stop.
func (n *Node) Run(ctx context.Context) error {
	s := newStack()
	s.start("storage", n.store.Run)
	s.start("replica", n.replica.Run)
	s.start("gossip", n.gossip.Run)
	s.start("peers", n.runPeers)
	s.start("background", n.runBackground)
	s.start("coordinator", n.coordinator.Run)
	s.start("resp", n.serveRESP)
	if n.listeners.http != nil {
		s.start("http", n.serveHTTP)
	}
	var err error
	select {
	case <-ctx.Done():
	case <-n.asked:
	case err = <-s.failed:
	case err = <-n.fatal:
	}
	if errors.Is(err, storage.ErrFailed) {
		return n.abandon(s, err)
	}
	return errors.Join(err, n.stop(s))
}

func (n *Node) stop(s *stack) error {
	stopped := s.stop()
	n.listeners.close()
	return errors.Join(stopped, n.store.Close())
}

// abandonAfter bounds a stop after the disk has failed: one that hangs in a
// system call cannot be waited for, and the process is about to end.
const abandonAfter = 10 * time.Second

// abandon is stop for a node whose disk has failed: what it can do in time. It
// returns why, with what else went wrong but for what follows from it.
func (n *Node) abandon(s *stack, why error) error {
	stopped := make(chan error, 1)
	go func() { stopped <- n.stop(s) }()
	select {
	case err := <-stopped:
		if errors.Is(err, storage.ErrFailed) {
			return why
		}
		return errors.Join(why, err)
	case <-time.After(abandonAfter):
		return errors.Join(why, fmt.Errorf("the data directory did not let go within %v", abandonAfter))
	}
}

// joined waits until the node is a member, and reports whether it is.
func (n *Node) joined(ctx context.Context) bool {
	select {
	case <-n.gossip.Joined():
		return true
	case <-ctx.Done():
		return false
	}
}

// runPeers opens the internal protocol as soon as the cluster's id is known.
func (n *Node) runPeers(ctx context.Context) error {
	if !n.joined(ctx) {
		return nil
	}
	tls, err := n.cfg.PeerTLS()
	if err != nil {
		return err
	}
	if err := n.forget(ctx); err != nil {
		return err
	}
	close(n.ready)
	p := peer.New(peer.Options{
		Self: peer.Identity{
			Cluster: n.gossip.View().Ring.Config().Cluster, Name: n.cfg.Name, Actor: n.store.Actor().ID,
		},
		Listener: n.listeners.peer, Dial: n.deps.Dial, Secret: []byte(n.cfg.ClusterSecret), TLS: tls,
		Clock: n.clock, Logger: n.log.With("part", "peers"),
	}, n.serve)
	n.peers.set(p)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.Run(ctx) })
	g.Go(func() error { return n.followMembership(ctx, p) })
	g.Go(func() error { return n.answerHoldings(ctx) })
	return g.Wait()
}

// followMembership tells the peers where the members are.
func (n *Node) followMembership(ctx context.Context, p *peer.Peers) error {
	for {
		changed := n.gossip.Changed()
		addrs := map[string]string{}
		for name, m := range n.gossip.View().Members {
			if name != n.cfg.Name && m.PeerAddr != "" {
				addrs[name] = m.PeerAddr
			}
		}
		p.SetPeers(addrs)
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// serve answers another node. It runs on a connection's reader.
func (n *Node) serve(req *peer.Request) {
	switch {
	case n.coordinator.Refuse(req):
	case n.replica.Serve(req):
	case req.Kind == replica.KindExec:
		n.coordinator.ServeExec(req)
	case req.Kind == replica.KindHistory:
		n.serveHistory(req)
	case req.Kind == replica.KindStatus:
		n.serveStatus(req)
	case req.Kind == replica.KindCompare:
		n.background.exchange.Serve(req)
	case req.Kind == replica.KindTell:
		req.Reply(n.resp.Hear(req.Body))
	default:
		req.Fail(codeUnknownKind, fmt.Sprintf("%s does not know requests of kind %d: is it an older version?", n.cfg.Name, req.Kind))
	}
}

// Codes of failed requests that the node itself answers.
const (
	codeUnknownKind peer.Code = replica.CodeOthers + iota
	codeHistory
)

// serveHistory takes in another node's history, and confirms it. Asked with
// none, it answers the digest of the one it knows.
func (n *Node) serveHistory(req *peer.Request) {
	if len(req.Body) == 0 {
		req.Reply(binary.LittleEndian.AppendUint64(nil, n.gossip.View().History.Digest()))
		return
	}
	history := append([]byte(nil), req.Body...)
	go func() { // persisting must not hold up the connection's reader
		if _, err := n.gossip.Merge(history); err != nil {
			req.Fail(codeHistory, err.Error())
			return
		}
		req.Reply(nil)
	}()
}

// views gives the coordinator the ring and who is alive in it.
type views struct{ gossip *gossip.Gossip }

func (v views) View() coordinator.View {
	now := v.gossip.View()
	return coordinator.View{Ring: now.Ring, Alive: now.Alive}
}

// listeners are the ports that a node has open.
type listeners struct{ plain, cluster, peer, http net.Listener }

func (l *listeners) close() {
	for _, ln := range []net.Listener{l.plain, l.cluster, l.peer, l.http} {
		if ln != nil {
			ln.Close()
		}
	}
}

func (n *Node) listen() (l listeners, err error) {
	open := func(flag, addr string) net.Listener {
		if err != nil || addr == HTTPOff {
			return nil
		}
		ln, e := n.deps.Listen(addr)
		if e != nil {
			err = fmt.Errorf("--%s %s: %w: is another program using it?", flag, addr, e)
			return nil
		}
		return ln
	}
	l.plain = open("addr", n.cfg.Addr)
	l.cluster = open("cluster-addr", n.cfg.ClusterAddr)
	l.peer = open("peer-addr", n.cfg.PeerAddr)
	l.http = open("http-addr", n.cfg.HTTPAddr)
	return l, err
}

// meta is what the node tells the others of itself: its ports as they were
// really opened, at the host that they are to use.
func (n *Node) meta() gossip.Meta {
	at := func(ln net.Listener) string {
		if ln == nil {
			return ""
		}
		_, port, err := net.SplitHostPort(ln.Addr().String())
		if err != nil {
			return ln.Addr().String()
		}
		return net.JoinHostPort(n.cfg.AdvertiseHost, port)
	}
	l := n.listeners
	return gossip.Meta{
		Name: n.cfg.Name, Actor: n.store.Actor().ID, Addr: at(l.plain), ClusterAddr: at(l.cluster),
		PeerAddr: at(l.peer), HTTPAddr: at(l.http), Version: n.cfg.Version,
	}
}
