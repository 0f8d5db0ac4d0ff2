package node

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dynaring/dynaring/antientropy"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring/gossip"
	"github.com/dynaring/dynaring/storage"
)

// background is what a node does without having been asked: all that keeps the
// owners of a slot the same. It yields to requests by one pacer.
type background struct {
	pacer    *antientropy.Pacer
	exchange *antientropy.Exchange
	scrubber *antientropy.Scrubber
	mender   *antientropy.Mender
	takeover *antientropy.Takeover
	handoff  *antientropy.Handoff
	strays   *antientropy.Strays
	collect  *antientropy.Collect
}

func (n *Node) newBackground() background {
	self, settle := n.cfg.Name, 2*n.cfg.Timeout
	// Where replicas acknowledge from memory, nothing is dropped here before
	// whoever has it has synced.
	probe := n.cfg.Durability != storage.Always.String()
	var b background
	b.pacer = antientropy.NewPacer(antientropy.PacerOptions{
		Threshold: n.cfg.BackgroundP99, Unlimited: n.cfg.BackgroundP99 == 0,
		P99: n.replica.ReadP99, Probe: n.probeDisk,
	})
	b.exchange = antientropy.NewExchange(antientropy.ExchangeOptions{
		Self: self, Pace: b.pacer, Logger: n.log.With("part", "exchange"),
	}, n.replica, &n.peers, n.gossip)
	b.scrubber = antientropy.NewScrubber(n.replica, b.pacer, b.exchange.Mark, n.log.With("part", "scrub"))
	b.mender = antientropy.NewMender(antientropy.MenderOptions{
		Self: self, W: n.cfg.W, Pace: b.pacer, Logger: n.log.With("part", "mend"),
	}, n.replica, &n.peers, n.gossip)
	b.takeover = antientropy.NewTakeover(antientropy.TakeoverOptions{
		Self: self, W: n.cfg.W, Settle: settle, Pace: b.pacer, Logger: n.log.With("part", "takeover"),
	}, n.replica, &n.peers, n.gossip, b.exchange)
	b.handoff = antientropy.NewHandoff(antientropy.HandoffOptions{
		Self: self, Pace: b.pacer, Probe: probe, Logger: n.log.With("part", "handoff"),
	}, n.replica, &n.peers, n.gossip)
	b.strays = antientropy.NewStrays(antientropy.StraysOptions{
		Self: self, Pace: b.pacer, Settle: settle, Probe: probe,
	}, n.replica, &n.peers, n.gossip)
	b.collect = antientropy.NewCollect(antientropy.CollectOptions{
		Self: self, Clock: n.clock, Pace: b.pacer,
	}, n.replica, &n.peers, n.gossip)
	return b
}

// probeDisk reads something, for how long that takes.
func (n *Node) probeDisk(ctx context.Context) error {
	slot := uint16(time.Now().UnixMilli()) % storage.Slots
	_, err := n.replica.Scan(ctx, replica.ScanRequest{First: slot, Last: storage.Slots - 1, Limit: 1, Stripped: true})
	return err
}

// runBackground does all of it, from when the node is a member on.
func (n *Node) runBackground(ctx context.Context) error {
	if !n.fit(ctx) {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	b := &n.background
	for _, run := range []func(context.Context) error{
		b.pacer.Run, b.exchange.Run, b.takeover.Run, b.handoff.Run, b.strays.Run, b.collect.Run, b.scrubber.Run,
		b.mender.Run,
	} {
		g.Go(func() error { return run(ctx) })
	}
	return g.Wait()
}

// forgetKey is set from when a copied data directory is opened until what is
// out of date in it is forgotten.
const forgetKey = "node/forget"

// noteCopy remembers, across a crash too, that this data directory is a copy.
// Where there is somebody to join, it comes back under its name as an empty one
// does: what it knew of its place is of the directory that it was copied from.
func (n *Node) noteCopy() error {
	if !n.store.Copied() {
		return nil
	}
	if err := n.store.PutMeta(forgetKey, []byte{1}); err != nil || len(n.cfg.Join) == 0 {
		return err
	}
	return gossip.Unjoin(n.store)
}

// forget makes a copied data directory fit to be a member's again, before any
// client or other node is let near it.
func (n *Node) forget(ctx context.Context) error {
	copied, err := n.store.GetMeta(forgetKey)
	if err != nil || len(copied) == 0 {
		return err
	}
	if err := antientropy.Forget(ctx, n.gossip.View().Ring, n.cfg.Name, n.replica); err != nil {
		return err
	}
	n.log.Info("what an old copy of a data directory held is forgotten where others have the present state")
	return n.store.PutMeta(forgetKey, nil)
}

// fit waits until the node is a member whose data can be served, and reports
// whether it is.
func (n *Node) fit(ctx context.Context) bool {
	select {
	case <-n.ready:
		return true
	case <-ctx.Done():
		return false
	}
}
