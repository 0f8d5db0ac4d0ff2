package antientropy

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
)

// each asks all members of the ring something at once, this node by local.
func (c *Collect) each(ctx context.Context, v *gossip.View, kind uint8, body []byte, local func() error, take func(node string, body []byte) error) error {
	var mu sync.Mutex
	failed := silence{}
	var g errgroup.Group
	for _, m := range v.Ring.Members() {
		g.Go(func() error {
			var err error
			if m.Name == c.opts.Self {
				err = local()
			} else {
				var answer []byte
				if answer, err = ask(ctx, c.peers, m.Name, kind, body); err != nil {
					err = fmt.Errorf("does not answer: %w", cmp.Or(errors.Unwrap(err), err)) // without its name
				} else {
					err = take(m.Name, answer)
				}
			}
			if err != nil {
				mu.Lock()
				failed[m.Name] = err
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait() // what failed is in failed
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case len(failed) > 0:
		return failed
	}
	return nil
}

// certify asks all members what they hold of the cells.
func (c *Collect) certify(ctx context.Context, v *gossip.View, cells []candidate) (certificate, error) {
	var mu sync.Mutex
	found := map[string][]replica.Inspected{}
	keep := func(node string, answers []replica.Inspected) {
		mu.Lock()
		defer mu.Unlock()
		found[node] = answers
	}
	err := c.each(ctx, v, replica.KindInspect, replica.AppendInspect(nil, cells), func() error {
		done := make(chan error, 1)
		b := &replica.InspectBatch{Asks: cells, Done: func(err error) { done <- err }}
		c.store.Inspect(b)
		err := <-done
		keep(c.opts.Self, b.Found)
		return err
	}, func(node string, body []byte) error {
		answers, err := replica.DecodeInspected(body, len(cells))
		keep(node, answers)
		return err
	})
	if err != nil {
		return certificate{}, err
	}
	return certify(v.Ring, cells, found), nil
}

// errHistory: a member knows of changes of the ring that this node does not,
// or has yet to hear of some.
var errHistory = errors.New("knows another history of the ring")

// fence asks all members whether they know the same ring, so that nobody is a
// member who has not been asked, and to put on disk what they hold.
func (c *Collect) fence(ctx context.Context, v *gossip.View) error {
	nothing := func() error { return nil }
	err := c.each(ctx, v, replica.KindHistory, nil, nothing, func(_ string, body []byte) error {
		if len(body) != 8 || binary.LittleEndian.Uint64(body) != v.History.Digest() {
			return errHistory
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.each(ctx, v, replica.KindProbe, nil, c.store.Sync, func(string, []byte) error { return nil })
}

// drop has every owner drop cells that are certain, this node too. Those that
// an owner keeps come back from there, as they are, and are found again.
func (c *Collect) drop(ctx context.Context, r *ring.Ring, cells []candidate) error {
	byOwner := map[string][]candidate{}
	for _, cell := range cells {
		for _, owner := range r.Lookup(cell.Key.Slot).Owners {
			byOwner[owner] = append(byOwner[owner], cell)
		}
	}
	failed := silence{}
	var mu sync.Mutex
	var g errgroup.Group
	for owner, cells := range byOwner {
		g.Go(func() error {
			if err := c.dropAt(ctx, owner, cells); err != nil {
				mu.Lock()
				failed[owner] = fmt.Errorf("does not collect: %w", err)
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait() // what failed is in failed
	if len(failed) > 0 {
		c.finder.lost(cells)
		return failed
	}
	return ctx.Err()
}

// dropAt has one owner drop cells.
func (c *Collect) dropAt(ctx context.Context, owner string, cells []candidate) error {
	if owner != c.opts.Self {
		_, err := ask(ctx, c.peers, owner, replica.KindCollect, replica.AppendCollect(nil, cells))
		return err
	}
	done := make(chan error, 1)
	b := &replica.CollectBatch{Asks: cells, Done: func(err error) { done <- err }}
	c.store.Collect(b)
	if err := <-done; err != nil {
		return err
	}
	n := uint64(0)
	for _, gone := range b.Collected {
		if gone {
			n++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Collected += n
	c.status.Expired += uint64(b.Expired.Load())
	return nil
}

// askBytes is about what asking all members about cells moves.
func askBytes(cells []candidate) (n int) {
	for i := range cells {
		n += len(cells[i].Key.Key) + len(cells[i].Key.Field) + 16
	}
	return n
}
