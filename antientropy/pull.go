package antientropy

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
)

// pullFrom merges every cell that owner holds in the range into this replica,
// page by page; the next page is asked for when the last is stored.
func (t *Takeover) pullFrom(ctx context.Context, owner string, slots ring.Range) error {
	req := replica.ScanRequest{First: slots.Lo, Last: slots.Hi, Limit: pageCells}
	for {
		body, err := t.ask(ctx, owner, replica.KindScan, replica.AppendScan(nil, req))
		if err != nil {
			return err
		}
		page, err := replica.DecodePage(body)
		if err != nil {
			return err
		}
		if err := t.store(ctx, page.Cells); err != nil {
			return err
		}
		t.advance(0, len(page.Cells))
		if len(page.Next) == 0 {
			return nil
		}
		req.After = page.Next
	}
}

// store merges cells into the local replica and waits until they are as
// durable as a replica's have to be.
func (t *Takeover) store(ctx context.Context, cells []replica.KeyedCell) error {
	if len(cells) == 0 {
		return nil
	}
	done := make(chan error, 1)
	t.replica.Apply(&replica.ApplyBatch{Cells: cells, Done: func(err error) { done <- err }})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask calls another node and waits for a copy of what it answers.
func (t *Takeover) ask(ctx context.Context, node string, kind uint8, body []byte) ([]byte, error) {
	type answer struct {
		body []byte
		err  error
	}
	answers := make(chan answer, 1)
	t.peers.Call(node, peer.Bulk, kind, body, time.Now().Add(callTimeout), func(r peer.Reply) {
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
