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
	done := make(chan error, 1)
	to.Apply(&replica.ApplyBatch{Cells: cells, Read: read, Done: func(err error) { done <- err }})
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
