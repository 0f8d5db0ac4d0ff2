package node

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/resp"
	"github.com/dynaring/dynaring/ring"
)

const (
	flushPage  = 512 // keys that Flush deletes at a time
	flushTries = 5   // of a page, whose owners may just be failing
	flushPause = 100 * time.Millisecond
)

// Flush deletes every key of ranges of slots, or all, that is alive when its
// slot's turn comes. It takes as long as it takes; where a page of keys cannot
// be read or deleted it tries again, as to delete twice is to delete.
func (c cluster) Flush(ctx context.Context, in ...ring.Range) error {
	if len(in) == 0 {
		in = []ring.Range{{Lo: 0, Hi: ring.Slots - 1}}
	}
	for _, r := range in {
		at := coordinator.Position{Slot: r.Lo}
		for done := false; !done; {
			var err error
			for range flushTries {
				var next coordinator.Position
				if next, done, err = c.flushPage(ctx, at, r.Hi); err == nil {
					at = next
					break
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(flushPause):
				}
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// flushPage deletes the keys of a page, and returns where the next one begins.
func (c cluster) flushPage(ctx context.Context, at coordinator.Position, last uint16) (next coordinator.Position, done bool, err error) {
	page, err := c.n.coordinator.ScanPage(ctx, at, last, flushPage)
	if err == nil {
		err = c.deleteAll(ctx, page.Keys)
	}
	return page.Next, page.Done && err == nil, err
}

// delCommand is how a key is deleted on its own owner.
var delCommand = []byte("DEL")

// deleteAll deletes keys, each through one of its owners, all owners side by
// side.
func (c cluster) deleteAll(ctx context.Context, keys []replica.Key) error {
	byNode := map[string]*coordinator.Exec{}
	for _, k := range keys {
		node, err := c.n.coordinator.Route(k.Slot, coordinator.RMW)
		if err != nil {
			return err
		}
		x := byNode[node]
		if x == nil {
			x = &coordinator.Exec{Proto: 2}
			byNode[node] = x
		}
		x.Commands = append(x.Commands, coordinator.Command{
			Slot: k.Slot, Class: coordinator.RMW, Args: [][]byte{delCommand, k.Key},
		})
	}
	var all sync.WaitGroup
	for node, x := range byNode {
		all.Go(func() {
			if node == "" {
				c.n.resp.Execute(ctx, x)
			} else {
				c.n.coordinator.Forward(ctx, node, x)
			}
		})
	}
	all.Wait()
	for _, x := range byNode {
		for i := range x.Commands {
			if cmd := &x.Commands[i]; cmd.Err != nil {
				return cmd.Err
			} else if bytes.HasPrefix(cmd.Reply, []byte("-")) {
				return resp.Fault(string(bytes.TrimSpace(cmd.Reply[1:])))
			}
		}
	}
	return nil
}
