package antientropy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring/gossip"
)

// Views gives the present view of the cluster. *gossip.Gossip is one.
type Views interface{ View() *gossip.View }

// Keeper is this node's replica, as those need it who hand over what it keeps
// and is not its own.
type Keeper interface {
	Applier
	Drop(*replica.DropBatch)
}

// frameBytes is about what one message carries; a cell that exceeds it goes in
// a message of its own.
const frameBytes = 1 << 20

// delivery hands cells to other nodes, and drops them here once every one of
// them has said that it holds them.
type delivery struct {
	self  string
	store Keeper
	peers Peers
	// probe has every receiver put what it holds on disk before the cells are
	// dropped here: where replicas acknowledge from memory.
	probe bool
}

// parcel is cells of this node for others.
type parcel struct {
	owner string // they are kept for it; "": they are this node's own cells
	to    []string
	cells []replica.KeyedCell
	// read is when the cells were read, or earlier. They are sent within
	// replica.OpLifetime of it or not at all: what is older than that, and not
	// on disk any more, must be nowhere (see DESIGN.md).
	read time.Time
}

// hand delivers a parcel to all its receivers. Nothing is dropped unless all
// have acknowledged, and still, as the caller is asked then, may be dropped.
func (d *delivery) hand(ctx context.Context, p parcel, still func() bool) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, node := range p.to {
		g.Go(func() error { return d.give(gctx, node, &p) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if !still() {
		return errMoved
	}
	return dropCells(ctx, d.store, p.owner, p.cells) // what has changed meanwhile goes once more
}

// errMoved: the ring changed while cells were on their way.
var errMoved = errors.New("the ring has changed meanwhile")

// give has one node merge the parcel's cells. Of a slot that this node lost,
// most is where it belongs: it asks before it sends them.
func (d *delivery) give(ctx context.Context, node string, p *parcel) error {
	if node == d.self {
		return apply(ctx, d.store, p.cells, p.read)
	}
	cells, probe := p.cells, d.probe
	if p.owner == "" {
		var err error
		if cells, err = d.lacking(ctx, node, p.cells); err != nil {
			return err
		}
		// What it has may still be in its memory only.
		probe = probe || len(cells) < len(p.cells)
	}
	if err := d.push(ctx, node, cells, p.read); err != nil {
		return err
	}
	if !probe {
		return nil
	}
	_, err := ask(ctx, d.peers, node, replica.KindProbe, nil)
	return err
}

// lacking returns those of the cells that a node does not hold as they are.
func (d *delivery) lacking(ctx context.Context, node string, cells []replica.KeyedCell) ([]replica.KeyedCell, error) {
	asks := make([]replica.Ask, len(cells))
	for i := range cells {
		asks[i] = replica.Ask{Key: cells[i].Key, Digest: cells[i].Cell.Digest()}
	}
	body, err := ask(ctx, d.peers, node, replica.KindInspect, replica.AppendInspect(nil, asks))
	if err != nil {
		return nil, err
	}
	held, err := replica.DecodeInspected(body, len(asks))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", node, err)
	}
	var out []replica.KeyedCell
	for i := range held {
		if held[i].Digest != asks[i].Digest {
			out = append(out, cells[i])
		}
	}
	return out, nil
}

// push sends cells to a node, in as many messages as they need, and waits
// until it holds them all.
func (d *delivery) push(ctx context.Context, node string, cells []replica.KeyedCell, read time.Time) error {
	frames := frames(cells)
	answers := make(chan error, len(frames))
	for _, f := range frames {
		// The call stamps the message before it looks at the deadline, so no
		// message that is taken for young carries cells that were read long ago.
		d.peers.Call(node, peer.Bulk, replica.KindApply, replica.AppendApply(nil, f), read.Add(replica.OpLifetime),
			func(r peer.Reply) { answers <- r.Err })
	}
	var failed error
	for range frames {
		select {
		case err := <-answers:
			if err != nil && failed == nil {
				failed = fmt.Errorf("%s: %w", node, err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return failed
}

// frames cuts cells into what goes into one message each.
func frames(cells []replica.KeyedCell) [][]replica.KeyedCell {
	var out [][]replica.KeyedCell
	for len(cells) > 0 {
		n, size := 0, 0
		for ; n < len(cells) && (n == 0 || size < frameBytes); n++ {
			size += cellBytes(&cells[n])
		}
		out = append(out, cells[:n:n])
		cells = cells[n:]
	}
	return out
}

// cellBytes is about what a cell takes on its way.
func cellBytes(kc *replica.KeyedCell) int {
	return len(kc.Key.Key) + len(kc.Key.Field) + len(kc.Cell.Bytes())
}

func pageBytes(cells []replica.KeyedCell) (n int) {
	for i := range cells {
		n += cellBytes(&cells[i])
	}
	return n
}

// unpaced is the Pace of who was given none.
type unpaced struct{}

func (unpaced) Wait(ctx context.Context, _ int) error { return ctx.Err() }
