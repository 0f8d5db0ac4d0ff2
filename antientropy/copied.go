package antientropy

import (
	"context"
	"fmt"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
)

// Forgetful is this node's replica, as Forget needs it. *replica.Replica is
// one.
type Forgetful interface {
	Keeper
	ClearRange(ctx context.Context, first, last uint16) error
	HintStats() []replica.HintStats
	Hints(ctx context.Context, owner string, after []byte, limit int) (replica.Page, error)
}

// Forget drops what an old copy of a data directory holds of slots that have
// owners without it: its own cells, unless it is an owner itself, and hints.
// The owners may have collected the tombstones of what is still alive in the
// copy (law 7); so they, and not it, are asked for the slots' contents. Slots
// without a present owner, as all are where a whole cluster comes out of
// copies, are left as they are.
func Forget(ctx context.Context, r *ring.Ring, self string, store Forgetful) error {
	for _, s := range r.Ranges() {
		if len(s.Preference.Owners) == 0 || s.Preference.Role(self) == ring.Owner {
			continue
		}
		if err := store.ClearRange(ctx, s.Range.Lo, s.Range.Hi); err != nil {
			return fmt.Errorf("forgetting the copied slots %v: %w", s.Range, err)
		}
	}
	for _, h := range store.HintStats() {
		if err := forgetHints(ctx, r, h.Owner, store); err != nil {
			return fmt.Errorf("forgetting the copied hints for %s: %w", h.Owner, err)
		}
	}
	return nil
}

func forgetHints(ctx context.Context, r *ring.Ring, owner string, store Forgetful) error {
	var after []byte
	for {
		page, err := store.Hints(ctx, owner, after, pageCells)
		if err != nil {
			return err
		}
		var old []replica.KeyedCell
		for _, kc := range page.Cells {
			if len(r.Lookup(kc.Key.Slot).Owners) > 0 {
				old = append(old, kc)
			}
		}
		if err := dropCells(ctx, store, owner, old); err != nil {
			return err
		}
		if len(page.Next) == 0 {
			return nil
		}
		after = page.Next
	}
}
