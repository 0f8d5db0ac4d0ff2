package coordinator

import (
	"context"
	"slices"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
)

// countTimeout bounds counting, which reads every cell of the slots, where the
// caller's context does not.
const countTimeout = 30 * time.Second

// share is a range of slots that one node counts; "" is this one.
type share struct {
	node  string
	slots ring.Range
}

// Count returns how many keys of ranges of slots, or of all, are alive, and how
// long they live, each slot counted once, by one present owner that can be
// reached: what that replica knows. It fails with *NoQuorumError where fewer than
// R of a slot's can be, as a read would, and with ErrLoading.
func (c *Coordinator) Count(ctx context.Context, in ...ring.Range) (total replica.KeyCount, err error) {
	v := c.views.View()
	if v.Ring == nil {
		return total, ErrLoading
	}
	deadline := time.Now().Add(countTimeout)
	if t, ok := ctx.Deadline(); ok && t.Before(deadline) {
		deadline = t
	}
	var failed []string // nodes that did not answer, for any slot
	todo := slices.Clone(orAllSlots(in))
	for len(todo) > 0 {
		shares, err := c.plan(&v, todo, failed, "count")
		if err != nil {
			return replica.KeyCount{}, err
		}
		n, lost := c.countShares(ctx, shares, deadline)
		total.Add(n)
		todo = todo[:0]
		for _, s := range lost {
			todo = append(todo, s.slots)
			if !slices.Contains(failed, s.node) {
				failed = append(failed, s.node)
			}
		}
	}
	return total, nil
}

// orAllSlots returns ranges of slots, or, if there are none, all slots.
func orAllSlots(in []ring.Range) []ring.Range {
	if len(in) == 0 {
		return []ring.Range{{Lo: 0, Hi: ring.Slots - 1}}
	}
	return in
}

// plan divides ranges of slots among owners that can be reached and have not
// failed: as much as can be to this node, and neighbouring slots to one node.
func (c *Coordinator) plan(v *View, ranges []ring.Range, failed []string, op string) ([]share, error) {
	var shares []share
	for _, r := range ranges {
		for lo, hi := int(r.Lo), 0; lo <= int(r.Hi); lo = hi + 1 {
			hi = int(stretch(v.Ring, uint16(lo), r.Hi))
			p := v.Ring.Lookup(uint16(lo))
			usable := c.reachable(nil, v, c.others(v.Ring, p))
			if slices.Contains(p.Owners, c.opts.Self) {
				usable = slices.Insert(usable, 0, "")
			}
			got, need := len(usable), quorum(0, c.opts.R, p.Width)
			usable = slices.DeleteFunc(usable, func(n string) bool { return slices.Contains(failed, n) })
			if got < need || len(usable) == 0 {
				c.counters.noQuorum.Add(1)
				return nil, &NoQuorumError{Op: op, Need: need, Got: min(got, len(usable))}
			}
			if n := len(shares); n > 0 && int(shares[n-1].slots.Hi)+1 == lo && slices.Contains(usable, shares[n-1].node) {
				shares[n-1].slots.Hi = uint16(hi)
				continue
			}
			shares = append(shares, share{usable[0], ring.Range{Lo: uint16(lo), Hi: uint16(hi)}})
		}
	}
	return shares, nil
}

// countShares has all shares counted at once, and returns those that were not.
func (c *Coordinator) countShares(ctx context.Context, shares []share, deadline time.Time) (total replica.KeyCount, lost []share) {
	type counted struct {
		share
		n   replica.KeyCount
		err error
	}
	now := c.opts.Now().UnixMilli()
	answers := make(chan counted, len(shares))
	for _, s := range shares {
		if s.node == "" {
			continue
		}
		request := replica.AppendCount(nil, s.slots.Lo, s.slots.Hi, now)
		c.peers.Call(s.node, peer.Bulk, replica.KindCount, request, deadline, func(r peer.Reply) {
			n, err := replica.KeyCount{}, r.Err
			if err == nil {
				n, err = replica.DecodeCounted(r.Body)
			}
			answers <- counted{s, n, err}
		})
	}
	for _, s := range shares {
		if s.node == "" {
			n, err := c.replica.Count(ctx, s.slots.Lo, s.slots.Hi, now)
			answers <- counted{s, n, err}
		}
	}
	for range shares {
		if a := <-answers; a.err == nil {
			total.Add(a.n)
		} else {
			lost = append(lost, a.share)
		}
	}
	return total, lost
}
