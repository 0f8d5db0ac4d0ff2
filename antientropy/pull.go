package antientropy

import (
	"context"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
)

// pullFrom merges every cell that owner holds in the range into this replica,
// page by page; the next page is asked for when the last is stored.
func (t *Takeover) pullFrom(ctx context.Context, owner string, slots ring.Range) error {
	req := replica.ScanRequest{First: slots.Lo, Last: slots.Hi, Limit: pageCells}
	for {
		body, err := ask(ctx, t.peers, owner, replica.KindScan, replica.AppendScan(nil, req))
		if err != nil {
			return err
		}
		page, err := replica.DecodePage(body)
		if err != nil {
			return err
		}
		if err := apply(ctx, t.replica, page.Cells); err != nil {
			return err
		}
		t.advance(0, len(page.Cells))
		if len(page.Next) == 0 {
			return nil
		}
		req.After = page.Next
	}
}
