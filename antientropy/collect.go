package antientropy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring/gossip"
	"github.com/dynaring/dynaring/storage/version"
)

// CollectStore is this node's replica, as far as collection needs it.
type CollectStore interface {
	Slot(slot uint16) replica.SlotState
	Uptime() time.Duration
	Scan(context.Context, replica.ScanRequest) (replica.Page, error)
	Inspect(*replica.InspectBatch)
	Collect(*replica.CollectBatch)
	Sync() error
}

// CollectOptions configure a Collect.
type CollectOptions struct {
	Self  string
	Clock *version.Clock // the one that the peers' frames carry
	Pace  Pace           // nil: as fast as the members answer
}

const (
	// collectPoll is how often a Collect looks whether there is something to do.
	collectPoll = 500 * time.Millisecond
	// batchCells and batchBytes bound the candidates of one certificate.
	batchCells = 256
	batchBytes = 1 << 20
	// fenceHolds is how long what the members said of the ring and of their
	// disks serves for second certificates. It is far below collectAfter: what
	// happened before the first certificate is before the fence.
	fenceHolds = 2 * time.Second
)

// Collect drops tombstones and expired versions, in slots whose first owner
// this node is, once every owner holds them and no member may hold, or have on
// its way, anything older (law 7). DESIGN.md has the protocol and its proof.
type Collect struct {
	opts  CollectOptions
	store CollectStore
	peers Peers
	views Views

	// Run's own.
	finder  finder
	state   *collection
	pending []candidate // found, not certified yet
	fenced  moment      // when the members were last asked what fence asks
	silent  map[string]time.Time
	refused refusals

	mu     sync.Mutex
	status CollectStatus
}

// CollectStatus is how far collection is.
type CollectStatus struct {
	Collected uint64 // cells, since the start
	Expired   uint64 // of them, those that had expired
	Refused   uint64 // candidates that some member was not ready for
	Waiting   int    // cells that every member has certified once
	// HeldUp says who keeps the rest from being collected, why and since when;
	// "" if nobody does.
	HeldUp string
}

// NewCollect returns a Collect that does nothing before Run.
func NewCollect(o CollectOptions, store CollectStore, peers Peers, views Views) *Collect {
	if o.Pace == nil {
		o.Pace = unpaced{}
	}
	if o.Clock == nil {
		o.Clock = version.NewClock(nil)
	}
	return &Collect{
		opts: o, store: store, peers: peers, views: views,
		finder: finder{self: o.Self, store: store, pace: o.Pace, clock: o.Clock},
		state:  newCollection(), silent: map[string]time.Time{},
	}
}

// Status returns how far collection is.
func (c *Collect) Status() CollectStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Run collects until ctx ends.
func (c *Collect) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		v := c.views.View()
		if _, member := v.Ring.Member(c.opts.Self); member {
			err := c.round(ctx, v)
			c.note(err)
		}
		if sleep(ctx, collectPoll) != nil {
			return nil
		}
	}
	return nil
}

// silence is why a member, or several, hold collection up.
type silence map[string]error

func (s silence) Error() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		out = append(out, fmt.Sprintf("%s %v", name, s[name]))
	}
	return strings.Join(out, "; ")
}

// round does what can be done now: second certificates that are due, and first
// ones as long as there is room.
func (c *Collect) round(ctx context.Context, v *gossip.View) error {
	if c.state.history != v.History {
		c.state.follow(v.History)
		c.finder.forget()
		c.pending, c.fenced, c.refused = nil, moment{}, refusals{}
	}
	if down := c.unreachable(v); down != nil {
		// Whether they hold anything up is worth one look.
		if c.state.cells == 0 && len(c.pending) == 0 {
			var err error
			if c.pending, err = c.finder.find(ctx, v.Ring, c.state.slots); err != nil {
				return err
			}
		}
		if c.state.cells > 0 || len(c.pending) > 0 {
			return down
		}
		return nil
	}
	if err := c.finish(ctx, v); err != nil {
		return err
	}
	return c.begin(ctx, v)
}

// now returns the present moment.
func (c *Collect) now() moment {
	return moment{up: c.store.Uptime(), clock: c.opts.Clock.Now().Millis()}
}

var errAway = errors.New("cannot be reached")

// unreachable returns a silence if some member cannot be reached, else nil.
func (c *Collect) unreachable(v *gossip.View) error {
	down := silence{}
	for _, m := range v.Ring.Members() {
		if m.Name != c.opts.Self && !c.peers.Up(m.Name) {
			down[m.Name] = errAway
		}
	}
	if len(down) == 0 {
		return nil
	}
	return down
}

// begin finds candidates and has them certified for the first time.
func (c *Collect) begin(ctx context.Context, v *gossip.View) error {
	for c.state.room() {
		cells := c.pending
		if c.pending = nil; cells == nil {
			var err error
			if cells, err = c.finder.find(ctx, v.Ring, c.state.slots); err != nil || len(cells) == 0 {
				return err
			}
		}
		cert, err := c.certify(ctx, v, cells)
		if err != nil {
			c.pending = cells
			return err
		}
		c.state.add(slices.Concat(cert.pick(cells, certain), cert.pick(cells, young)), c.now())
		c.refuse(cert, cells)
		if err := c.opts.Pace.Wait(ctx, askBytes(cells)); err != nil {
			return err
		}
	}
	return nil
}

// errClock: messages are as young as the cluster's clock says, and that does
// not move.
var errClock = errors.New("sees the cluster's clock stand still: some node's wall clock was set back")

// finish has those certified again whose time has come, and drops what all
// members agree on.
func (c *Collect) finish(ctx context.Context, v *gossip.View) error {
	for {
		cells, ok, stuck := c.state.due(c.now())
		if stuck {
			return silence{c.opts.Self: errClock}
		}
		if !ok {
			return nil
		}
		if now := c.now(); c.fenced == (moment{}) || now.up-c.fenced.up > fenceHolds {
			if err := c.fence(ctx, v); err != nil {
				return err
			}
			c.fenced = now
		}
		cert, err := c.certify(ctx, v, cells)
		if err != nil {
			return err
		}
		if c.views.View().History != v.History {
			return nil // the next round begins anew
		}
		sure := c.state.settle(cert, c.now())
		c.refuse(cert, cells)
		if err := c.drop(ctx, v.Ring, sure); err != nil {
			return err
		}
		if err := c.opts.Pace.Wait(ctx, askBytes(cells)); err != nil {
			return err
		}
	}
}

// refuse notes what was refused, to be looked at again after a while.
func (c *Collect) refuse(cert certificate, cells []candidate) {
	c.finder.lost(cert.pick(cells, refused))
	c.refused.take(cells, &cert, c.store.Uptime(), time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Refused += uint64(cert.refused)
}

// note shows how a round ended.
func (c *Collect) note(err error) {
	var held string
	var s silence
	switch {
	case err == nil:
		clear(c.silent)
		c.refused.forget(c.finder.over)
		held = c.refused.text(time.Now())
	case errors.As(err, &s):
		held = c.since(s)
	default:
		held = err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.HeldUp, c.status.Waiting = held, c.state.cells
}

// since prints who holds collection up, and since when each of them does.
func (c *Collect) since(s silence) string {
	maps.DeleteFunc(c.silent, func(name string, _ time.Time) bool { return s[name] == nil })
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if c.silent[name].IsZero() {
			c.silent[name] = time.Now()
		}
		out = append(out, fmt.Sprintf("%s %v (since %s)", name, s[name], c.silent[name].UTC().Format(time.RFC3339)))
	}
	return strings.Join(out, "; ")
}
