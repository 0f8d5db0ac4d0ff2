package gossip

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/hashicorp/memberlist"

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
	Seeds  []string // gossip addresses of any members; none and no history: found a cluster
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
	opts      Options
	published atomic.Pointer[published]
	joined    chan struct{}
}

// published is a view, and the channel that is closed when it is replaced.
type published struct {
	view    View
	changed chan struct{}
}

// New checks the options and loads what the store holds, so that after a
// restart View answers before Run. It starts nothing. It fails with a
// *MismatchError, a *RenamedError, or an error wrapping [ErrSecretNeeded],
// [ring.ErrBadConfig] or [ErrBadMeta].
func New(o Options) (*Gossip, error) {
	g := &Gossip{opts: o, joined: make(chan struct{})}
	g.published.Store(&published{changed: make(chan struct{})})
	return g, nil
}

// Run founds or joins the cluster, or takes up its place again, and gossips
// until ctx ends; then it says goodbye (down, not gone) and returns nil. It
// fails with a *MismatchError, *NameTakenError or *ForeignError where the node
// must not go on under this name in this cluster.
func (g *Gossip) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// View returns the present view.
func (g *Gossip) View() *View { return &g.published.Load().view }

// Changed returns a channel that is closed at the next change of the view. To
// miss none, take it before View.
func (g *Gossip) Changed() <-chan struct{} { return g.published.Load().changed }

// Joined returns a channel that is closed once the history holds this node.
func (g *Gossip) Joined() <-chan struct{} { return g.joined }

// Add persists an event and spreads it. A zero ID and a zero Time are filled
// in. It fails with [ErrNotRunning], [ErrNotJoined], or an error of the
// history or the store; then nothing was added.
func (g *Gossip) Add(e ring.Event) error { return ErrNotRunning }

// Merge takes in another node's [Gossip.Encoded]. It reports whether it held
// anything new. Errors wrap [ErrNotRunning], [ErrNotJoined] or those of
// [ring.DecodeHistory] and [ring.History.Merge].
func (g *Gossip) Merge(history []byte) (changed bool, err error) { return false, ErrNotRunning }

// Encoded returns the encoding of the present history, not to be changed.
func (g *Gossip) Encoded() []byte { return g.View().History.Encoded() }
