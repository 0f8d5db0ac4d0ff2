package replica

import (
	"context"
	"fmt"
)

// ClearRange drops the cells that this replica holds as its own in slots first
// to last, both included. Cells that change meanwhile stay: they are not what
// was to be cleared.
func (r *Replica) ClearRange(ctx context.Context, first, last uint16) error {
	s := ScanRequest{First: first, Last: last}
	for {
		page, err := r.Scan(ctx, s)
		if err != nil {
			return fmt.Errorf("clearing slots: %w", err)
		}
		done := make(chan error, 1)
		r.Drop(&DropBatch{Cells: page.Cells, Done: func(err error) { done <- err }})
		select {
		case err = <-done:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("clearing slots: %w", err)
		}
		if len(page.Next) == 0 {
			return nil
		}
		s.After = page.Next
	}
}
