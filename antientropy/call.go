package antientropy

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
)

// Peers are the other nodes, as peer.Peers reaches them.
type Peers interface {
	Call(to string, class peer.Class, kind uint8, body []byte, deadline time.Time, done func(peer.Reply))
	Up(name string) bool
}

// callTimeout bounds one exchange with another node.
const callTimeout = 5 * time.Second

// ask calls another node and waits for a copy of what it answers.
func ask(ctx context.Context, peers Peers, node string, kind uint8, body []byte) ([]byte, error) {
	type answer struct {
		body []byte
		err  error
	}
	answers := make(chan answer, 1)
	timeout := callTimeout
	if kind == replica.KindCompare {
		timeout += compareWait
	}
	peers.Call(node, peer.Bulk, kind, body, time.Now().Add(timeout), func(r peer.Reply) {
		answers <- answer{bytes.Clone(r.Body), r.Err}
	})
	select {
	case a := <-answers:
		if a.err != nil {
			return nil, fmt.Errorf("%s: %w", node, a.err)
		}
		return a.body, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Applier merges cells into this node's replica. *replica.Replica is one.
type Applier interface {
	Apply(*replica.ApplyBatch)
}

// apply merges cells that were read at some time into the local replica, and
// waits until they are as durable as a replica's have to be.
func apply(ctx context.Context, to Applier, cells []replica.KeyedCell, read time.Time) error {
	if len(cells) == 0 {
		return nil
	}
	return await(ctx, func(done func(error)) {
		to.Apply(&replica.ApplyBatch{Cells: cells, Read: read, Done: done})
	})
}

// Dropper drops cells of this node's replica. *replica.Replica is one.
type Dropper interface {
	Drop(*replica.DropBatch)
}

// dropCells drops cells, hints for owner or, where it is "", the replica's own, that
// are still as they are given, and waits until it has.
func dropCells(ctx context.Context, from Dropper, owner string, cells []replica.KeyedCell) error {
	return await(ctx, func(done func(error)) {
		from.Drop(&replica.DropBatch{For: owner, Cells: cells, Done: done})
	})
}

// await hands something to the local replica, and waits until it is done, or
// ctx ends: the replica then still does it.
func await(ctx context.Context, start func(done func(error))) error {
	done := make(chan error, 1)
	start(func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
