package antientropy

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
)

// Membership is what a takeover asks of the gossip.
type Membership interface {
	View() *gossip.View
	Changed() <-chan struct{}
	Encoded() []byte
	Add(ring.Event) error
}

// Comparer compares slots with another node, and has both hold the same of
// them. *Exchange is one.
type Comparer interface {
	Compare(ctx context.Context, peer string, slots []uint16) error
}

// TakeoverOptions configure a Takeover.
type TakeoverOptions struct {
	Self string
	// W is the node's write quorum: a slot is taken over from so many of its
	// owners that every write acknowledged at W is among what they hold.
	W int
	// Settle is longer than any request can take: a write that began before
	// its coordinator knew of this node has ended after it.
	Settle time.Duration
	Pace   Pace         // nil: as fast as the others hand over
	Logger *slog.Logger // nil: discard
}

const (
	// retryEvery is how long a takeover that failed waits before it resumes.
	retryEvery = 500 * time.Millisecond
	// warnAfter is the failures in a row from which on they are worth a warning.
	warnAfter = 4
	// pageCells bounds one page of cells on its way.
	pageCells = 512
	// pullers is how many ranges are pulled at once: background work leaves
	// room for requests.
	pullers = 2
)

// Takeover makes this node an owner of the slots that the ring has it coming
// to own. Slots that it has taken over stay so across restarts: the Ready
// event says it.
type Takeover struct {
	opts     TakeoverOptions
	log      *slog.Logger
	replica  Applier
	peers    Peers
	members  Membership
	comparer Comparer

	mu        sync.Mutex
	progress  Progress
	positions map[source]position
}

// Progress is how far a takeover is.
type Progress struct {
	Slots  int // that this node is coming to own; 0: none
	Pulled int // of those, held by now
	Cells  int // received since the start
}

// NewTakeover returns a takeover that does nothing before Run.
func NewTakeover(o TakeoverOptions, r Applier, peers Peers, members Membership, comparer Comparer) *Takeover {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Pace == nil {
		o.Pace = unpaced{}
	}
	return &Takeover{
		opts: o, log: o.Logger, replica: r, peers: peers, members: members, comparer: comparer,
		positions: map[source]position{},
	}
}

// Progress returns how far the present takeover is.
func (t *Takeover) Progress() Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.progress
}

func (t *Takeover) advance(slots, cells int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress.Pulled += slots
	t.progress.Cells += cells
}

// Run takes over whatever the ring assigns to this node, until ctx ends. What
// fails is tried again.
func (t *Takeover) Run(ctx context.Context) error {
	failures := 0 // in a row
	for ctx.Err() == nil {
		changed := t.members.Changed()
		coming := t.members.View().Ring.ComingOf(t.opts.Self)
		var retry <-chan time.Time
		if len(coming) > 0 {
			if err := t.take(ctx, coming); err != nil && ctx.Err() == nil {
				level := slog.LevelInfo // connections take a moment when a node starts
				if failures++; failures >= warnAfter {
					level = slog.LevelWarn
				}
				t.log.Log(ctx, level, "taking over slots is delayed, will try again", "err", err)
				retry = time.After(retryEvery)
			} else {
				failures = 0
			}
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-retry:
		}
	}
	return nil
}

// take runs one takeover: everybody sends new writes here too; then what was
// there before is pulled; then all of it is compared with who has it; then the
// node announces itself ready.
func (t *Takeover) take(ctx context.Context, coming []ring.Assignment) error {
	if err := t.tellEverybody(ctx); err != nil {
		return err
	}
	if err := sleep(ctx, t.opts.Settle); err != nil {
		return err
	}
	t.begin(coming)
	if err := each(ctx, coming, t.pull); err != nil {
		return err
	}
	if err := each(ctx, coming, t.compare); err != nil {
		return err
	}
	return t.announce(coming)
}

func (t *Takeover) begin(coming []ring.Assignment) {
	t.keepPositions(coming)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress = Progress{Cells: t.progress.Cells}
	for _, a := range coming {
		t.progress.Slots += a.Range.Len()
	}
}

// tellEverybody hands the history, which has this node coming, to every
// member that is alive, and has each confirm it.
func (t *Takeover) tellEverybody(ctx context.Context) error {
	history := t.members.Encoded()
	g, ctx := errgroup.WithContext(ctx)
	for name, alive := range t.members.View().Alive {
		if !alive || name == t.opts.Self {
			continue
		}
		g.Go(func() error {
			_, err := ask(ctx, t.peers, name, replica.KindHistory, history)
			return err
		})
	}
	return g.Wait()
}

// announce appends a Ready event for each change that made the node coming.
func (t *Takeover) announce(coming []ring.Assignment) error {
	bySince := map[ring.EventID][]ring.Range{}
	for _, a := range coming {
		bySince[a.Since] = append(bySince[a.Since], a.Range)
	}
	for since, slots := range bySince {
		if err := t.members.Add(ring.Event{Kind: ring.Ready, Name: t.opts.Self, Since: since, Slots: slots}); err != nil {
			return fmt.Errorf("announce the slots as taken over: %w", err)
		}
	}
	p := t.Progress()
	t.log.Info("took over slots", "slots", p.Slots, "cells", p.Cells)
	return nil
}
