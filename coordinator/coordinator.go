package coordinator

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// What holds where Options say nothing.
const (
	DefaultTimeout = 500 * time.Millisecond
	DefaultQuorum  = 2 // R and W
)

// Options configure a Coordinator.
type Options struct {
	Self    string        // this node's name
	R, W    int           // quorums of requests that bring none; 0: DefaultQuorum
	Timeout time.Duration // one request's bound; 0: DefaultTimeout
	// Executor runs commands that other nodes pass on to this one. It may
	// also be set by SetExecutor, before Run.
	Executor Executor
	// Now is the wall clock that expiries are compared with; nil: time.Now.
	Now    func() time.Time
	Logger *slog.Logger // nil: discard
}

// Peers are the other nodes, as peer.Peers reaches them. The coordinator
// never calls its own node.
type Peers interface {
	// Call sends a request and returns at once. done is called exactly once,
	// must not block, and owns the reply's body only until it returns.
	Call(to string, class peer.Class, kind uint8, body []byte, deadline time.Time, done func(peer.Reply))
	// Up reports whether a call has a chance now. It never blocks.
	Up(name string) bool
}

// View is the cluster as this node knows it: immutable.
type View struct {
	Ring *ring.Ring // nil: not known yet
	// Alive tells which members the gossip believes to be alive. It only
	// puts the others last: whether a peer is asked is Peers.Up's word. nil:
	// all are.
	Alive map[string]bool
}

// Views gives the current View: one atomic load.
type Views interface{ View() View }

// Coordinator runs requests' quorums. Its methods may be called from any
// goroutine; they serve from New on, but heal in the background, and serve
// other nodes' commands, only while Run runs.
type Coordinator struct {
	opts     Options
	log      *slog.Logger
	replica  *replica.Replica
	peers    Peers
	views    Views
	counters counters
	chooser  chooser
	late     lateness
	health   health
	repairs  repairs
	served   served
	allMine  everything

	// Pools of drivers. They are the Coordinator's own, never the package's:
	// a driver's timer and channel belong to the bubble of its test.
	readers, writers, forwards sync.Pool
}

// New returns a coordinator over the local replica.
func New(opts Options, r *replica.Replica, peers Peers, views Views) *Coordinator {
	if opts.R <= 0 {
		opts.R = DefaultQuorum
	}
	if opts.W <= 0 {
		opts.W = DefaultQuorum
	}
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Coordinator{opts: opts, log: opts.Logger, replica: r, peers: peers, views: views}
	c.health.init()
	c.repairs.init(&c.counters)
	c.served.init()
	c.SetExecutor(opts.Executor)
	return c
}

// SetExecutor gives the coordinator what runs passed-on commands, where the
// one needs the other to be made. Until then they are refused as loading.
func (c *Coordinator) SetExecutor(x Executor) { c.served.executor.Store(&x) }

// Run heals stale replicas in the background, probes the nodes that are passed
// over, and serves the commands that other nodes pass on, until ctx ends; then it finishes both what it has begun
// and the repairs that are queued, within the request's bound. The replica
// and the peers must outlive it.
func (c *Coordinator) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { c.heal(ctx) })
	wg.Go(func() { c.probe(ctx) })
	for range execWorkers {
		wg.Go(func() { c.served.work(c) })
	}
	<-ctx.Done()
	c.served.close()
	wg.Wait()
	return nil
}

// Read is one cell to be read at R.
type Read struct {
	Key replica.Key // used until Coordinator.Read returns
	R   int         // 0: the node's own; capped by the preference list's width

	// Out. Cell is the merge of what R owners hold, nil if they hold nothing.
	// Fallbacks that keep something for owners count where too few of these
	// answer, but that there is nothing is an owner's word alone.
	Cell *version.Cell
	Err  error // *NoQuorumError, ErrLoading
}

// Write is one operation to be stored at W.
type Write struct {
	Update replica.Update // its key and closures are used until Coordinator.Write returns
	R, W   int            // 0: the node's own; capped by the preference list's width
	// CheckFirst reads the key at R before the operation, as a
	// read-modify-write must: what is newer elsewhere is merged into the
	// local replica first.
	CheckFirst bool
	// StandIn has a node carry it out that is no present owner: who passed it
	// on can reach none.
	StandIn bool

	// Err is nil where W nodes stored it, or nothing was to be stored. Else it
	// is Update.Err (refused, nothing stored), *NoQuorumError or ErrNotOwner
	// or ErrLoading (not started), *UncertainError, or the local replica's
	// refusal. NotStarted tells whether another node may carry it out.
	Err error
}
