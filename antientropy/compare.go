package antientropy

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/dynaring/dynaring/replica"
)

// Bounds of one request of a compare.
const (
	maxRanges    = 256 // hashes asked for at once
	maxLeafSlots = 64  // slots whose leaves are asked for at once
	// compareLanes is how many differing slots are looked into at a time.
	compareLanes = 4
	// maxRepair bounds the cells that are repaired at once.
	maxRepair = 128
)

// side is one of the two replicas that are compared.
type side interface {
	hashes(ctx context.Context, ranges []replica.SlotRange) ([]uint64, error)
	leaves(ctx context.Context, slots []uint16) ([]leaves, error)
	list(ctx context.Context, slot, set uint16, after []byte) (replica.Listing, error)
}

// comparison finds what differs between this node's replica and another's, top
// down, and has it repaired. The other is asked first, each time: what this
// node then holds is at least what it held when the compare began, and so is
// what the other's answer covers.
type comparison struct {
	mine, theirs side
	// repair makes both sides hold the same of these cells. It is not sure
	// where they did by the time it looked.
	repair func(ctx context.Context, keys []replica.Key) (sure bool, err error)
	outcome
	differed func(slot uint16) // told of the slots whose leaves differ
}

// outcome is told what became of the slots, of each once, by several
// goroutines.
type outcome struct {
	stepped, unsure func(slots []uint16)
	// failed says whether the compare ends with this error.
	failed func(slot uint16, err error) error
}

// run compares slots; those that are neighbours should be next to each other.
func (c *comparison) run(ctx context.Context, slots []uint16) error {
	for part := range slices.Chunk(chunks(slots), maxRanges) {
		exact, wide, err := c.unequal(ctx, part)
		if err != nil {
			return err
		}
		for narrow := range slices.Chunk(singles(wide), maxRanges) {
			more, _, err := c.unequal(ctx, narrow)
			if err != nil {
				return err
			}
			exact = append(exact, more...)
		}
		if err := c.slots(ctx, exact); err != nil {
			return err
		}
	}
	return nil
}

// unequal asks both sides for the hashes of ranges. It returns the slots of
// the ranges that differ: exact, those that are known to; wide, those of which
// some do.
func (c *comparison) unequal(ctx context.Context, ranges []replica.SlotRange) (exact, wide []uint16, err error) {
	theirs, err := c.theirs.hashes(ctx, ranges)
	if err != nil {
		return nil, nil, err
	}
	mine, err := c.mine.hashes(ctx, ranges)
	if err != nil {
		return nil, nil, err
	}
	var same []uint16
	for i, r := range ranges {
		switch {
		case mine[i] == theirs[i]:
			same = appendSlots(same, r)
		case r.First == r.Last:
			exact = append(exact, r.First)
		default:
			wide = appendSlots(wide, r)
		}
	}
	c.stepped(same)
	return exact, wide, nil
}

// slots compares slots that differ by their leaves.
func (c *comparison) slots(ctx context.Context, slots []uint16) error {
	for part := range slices.Chunk(slots, maxLeafSlots) {
		theirs, err := c.theirs.leaves(ctx, part)
		if err != nil {
			return err
		}
		mine, err := c.mine.leaves(ctx, part)
		if err != nil {
			return err
		}
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(compareLanes)
		for i, slot := range part {
			if set := leafSet(&mine[i], &theirs[i]); set != 0 {
				g.Go(func() error {
					if err := c.leaves(gctx, slot, set); err != nil {
						return c.failed(slot, err)
					}
					return nil
				})
			} else {
				c.stepped([]uint16{slot})
			}
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// leaves lists what both sides hold of a slot's leaves, and has repaired what
// is not the same.
func (c *comparison) leaves(ctx context.Context, slot, set uint16) error {
	c.differed(slot)
	var mine, theirs listing
	var keys []replica.Key
	allSure := true
	for !mine.ended() || !theirs.ended() || len(keys) > 0 {
		if err := turn(ctx, &theirs, c.theirs, slot, set); err != nil {
			return err
		}
		if err := turn(ctx, &mine, c.mine, slot, set); err != nil {
			return err
		}
		keys = differing(keys, &mine, &theirs)
		ended := mine.ended() && theirs.ended()
		for len(keys) >= maxRepair || ended && len(keys) > 0 {
			n := min(len(keys), maxRepair)
			sure, err := c.repair(ctx, keys[:n])
			if err != nil {
				return err
			}
			keys, allSure = keys[n:], allSure && sure
		}
	}
	if allSure {
		c.stepped([]uint16{slot})
	} else {
		c.unsure([]uint16{slot})
	}
	return nil
}

// turn fetches the listing's next page, where it has none left.
func turn(ctx context.Context, l *listing, from side, slot, set uint16) error {
	if !l.wants() {
		return nil
	}
	p, err := from.list(ctx, slot, set, l.next)
	if err == nil {
		l.add(p)
	}
	return err
}
