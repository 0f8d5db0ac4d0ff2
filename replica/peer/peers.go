package peer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Peers is this node's end of its connections to all other nodes. All methods
// may be used concurrently, and before and after Run: then every peer is
// unreachable.
type Peers struct {
	opt     Options
	handler Handler
	epoch   time.Time // what link times count from

	table    atomic.Pointer[map[string]*remote] // by name; replaced whole by SetPeers
	changed  chan struct{}                      // capacity 1: table was replaced
	sweeping atomic.Bool                        // calls may be in flight
	nudge    chan struct{}                      // capacity 1: the sweeper has something to do

	mu struct {
		sync.Mutex
		running  bool
		stopping bool
		links    map[*link]struct{} // every open connection
		refused  int64              // when a refused inbound connection was last logged
	}
}

// remote is a peer at an address.
type remote struct {
	name, addr string
	latency    latency
	lanes      [classes]lane
}

// lane is where a remote's connection of one class is.
type lane struct {
	link atomic.Pointer[link] // nil: not connected; set under the mutex
	poke chan struct{}        // capacity 1: try now; empty when link is set

	mu struct {
		sync.Mutex
		dials   uint64
		lastErr error // why the last connection ended or could not be made
	}
}

// New returns a Peers that does nothing until Run, which reports what is wrong
// with the options. Requests of other nodes go to h.
func New(o Options, h Handler) *Peers {
	p := &Peers{
		opt: o.withDefaults(), handler: h, epoch: time.Now(),
		changed: make(chan struct{}, 1), nudge: make(chan struct{}, 1),
	}
	p.table.Store(&map[string]*remote{})
	p.mu.links = make(map[*link]struct{})
	return p
}

// now returns the time that links count in: ns since p was made, never 0.
func (p *Peers) now() int64 { return int64(time.Since(p.epoch)) + 1 }

// SetPeers says which nodes there are, by name, and where: the peers that are
// dialled from now on. This node's own name is skipped. A peer whose address
// changed is disconnected and dialled at the new one at once; one that is left
// out is disconnected, though it may still dial this node.
func (p *Peers) SetPeers(addrs map[string]string) {
	p.mu.Lock()
	old := *p.table.Load()
	table := make(map[string]*remote, len(addrs))
	for name, addr := range addrs {
		if name == p.opt.Self.Name {
			continue
		}
		r := old[name]
		if r == nil || r.addr != addr {
			r = &remote{name: name, addr: addr}
			for i := range r.lanes {
				r.lanes[i].poke = make(chan struct{}, 1)
			}
		}
		table[name] = r
	}
	if !maps.Equal(old, table) {
		p.table.Store(&table)
	}
	p.mu.Unlock()
	signal(p.changed)
}

// Call sends a request to a peer and never blocks. body is copied. done is
// told, exactly once, how the call ended; it must not block. It runs on the
// goroutine that reads the peer's replies or that watches the deadlines, or,
// when the request certainly is not sent (see [NotSent]) or the deadline is
// over already, on the caller's before Call returns. Calls of one class reach
// the peer in the order they were made. A zero deadline means one minute.
// Calling this node itself is a programming error and panics.
func (p *Peers) Call(to string, class Class, kind uint8, body []byte, deadline time.Time, done func(Reply)) {
	if to == p.opt.Self.Name {
		panic("peer: a node called itself")
	}
	l := p.link(to, class)
	if l == nil {
		done(Reply{Err: ErrUnreachable})
		return
	}
	// The stamp comes before the look at the deadline: a process that is frozen
	// between the two sends nothing, or an old stamp, never old data under a
	// fresh one.
	stamp := l.stamp()
	now := p.now()
	until := now + int64(maxWait)
	if !deadline.IsZero() {
		until = min(until, int64(deadline.Sub(p.epoch)))
	}
	if until <= now {
		done(Reply{Err: ErrTimeout})
		return
	}
	if err := l.call(kind, body, stamp, now, until, done); err != nil {
		done(Reply{Err: err})
		return
	}
	if !p.sweeping.Load() && p.sweeping.CompareAndSwap(false, true) {
		signal(p.nudge)
	}
}

func (p *Peers) link(name string, class Class) *link {
	r := (*p.table.Load())[name]
	if r == nil {
		return nil
	}
	return r.lanes[class].link.Load()
}

// Up reports whether a peer can be expected to answer: its foreground
// connection is established, the peer is not shutting down, and it has been
// heard since the calls on it were sent, or they are too recent to tell. A peer
// that is silent is pinged, down soon after, before its calls time out, and up
// again with the first byte it sends.
func (p *Peers) Up(name string) bool {
	l := p.link(name, Foreground)
	return l != nil && !l.suspect.Load() && !l.leaving.Load()
}

// Latency returns the moving average of a peer's reply times on both classes,
// timeouts included; 0 while there was none.
func (p *Peers) Latency(name string) time.Duration {
	if r := (*p.table.Load())[name]; r != nil {
		return time.Duration(r.latency.overall().mean)
	}
	return 0
}

// LateAfter returns the time after which a reply of a peer is later than most
// (mean and two deviations, about the 95th percentile); 0 while unknown.
func (p *Peers) LateAfter(name string) time.Duration {
	if r := (*p.table.Load())[name]; r != nil {
		return r.latency.overall().late()
	}
	return 0
}

// KindLatency returns Latency and LateAfter of the requests of one kind alone.
// Kinds that are equal modulo 16 share.
func (p *Peers) KindLatency(name string, kind uint8) (mean, late time.Duration) {
	if r := (*p.table.Load())[name]; r != nil {
		a := r.latency.of(kind)
		return time.Duration(a.mean), a.late()
	}
	return 0, 0
}

// Run accepts and dials until ctx ends. Then it takes no further requests,
// gives those that are being served a second to be answered, answers the calls
// in flight with ErrLost, closes the listener and every connection, and
// returns nil when all that it started is done. It returns an error if the
// options are wrong, if it is called twice, or if the listener fails.
func (p *Peers) Run(ctx context.Context) error {
	if err := p.opt.validate(); err != nil {
		return err
	}
	if p.opt.Listener != nil && p.handler == nil {
		return errors.New("peer: a listener without a handler")
	}
	p.mu.Lock()
	twice := p.mu.running
	p.mu.running = true
	p.mu.Unlock()
	if twice {
		return errors.New("peer: Run was called twice")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sctx, stopSweeper := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSweeper()

	var inbound, outbound, sweeper sync.WaitGroup
	sweeper.Go(func() { p.sweep(sctx) })
	failed := make(chan error, 1)
	if p.opt.Listener != nil {
		inbound.Go(func() {
			if err := p.accept(ctx, &inbound); err != nil {
				failed <- fmt.Errorf("peer: listener: %w", err)
			}
		})
	}
	err := p.dialAll(ctx, &outbound, failed)
	cancel()
	if p.opt.Listener != nil {
		p.opt.Listener.Close()
	}
	p.mu.Lock()
	p.mu.stopping = true
	p.mu.Unlock()
	// What is being served may need the other nodes: they go last.
	p.finish(&inbound, true)
	p.finish(&outbound, false)
	stopSweeper()
	sweeper.Wait()
	return err
}

// finish drains the accepted, or the dialled, connections, fails those that
// take too long, and joins their goroutines.
func (p *Peers) finish(wg *sync.WaitGroup, accepted bool) {
	links := slices.DeleteFunc(p.links(nil), func(l *link) bool { return l.accepted != accepted })
	for _, l := range links {
		l.drain()
	}
	joined := make(chan struct{})
	go func() {
		wg.Wait()
		close(joined)
	}()
	patience := time.NewTimer(drainTimeout)
	defer patience.Stop()
	select {
	case <-joined:
		return
	case <-patience.C:
	}
	for _, l := range links {
		l.fail(errStopped)
	}
	<-joined
}

// add registers an open connection. It reports false if p is shutting down, or
// too many are open.
func (p *Peers) add(l *link) bool {
	p.mu.Lock()
	if p.mu.stopping {
		p.mu.Unlock()
		return false
	}
	var older *link
	inbound := 0
	for o := range p.mu.links {
		if o.accepted && l.accepted {
			inbound++
			if o.who == l.who && o.class == l.class {
				older = o
			}
		}
	}
	if inbound >= maxInbound && older == nil {
		p.mu.Unlock()
		return false
	}
	p.mu.links[l] = struct{}{}
	p.mu.Unlock()
	signal(p.nudge)
	if older != nil {
		// A node has one connection of a class: the other is dead, even if
		// nobody told this end.
		older.fail(errReplaced)
	}
	return true
}

func (p *Peers) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.mu.links, l)
}

// links returns every open connection, in dst.
func (p *Peers) links(dst []*link) []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	dst = dst[:0]
	for l := range p.mu.links {
		dst = append(dst, l)
	}
	return dst
}
