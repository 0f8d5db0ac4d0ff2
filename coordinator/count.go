package coordinator

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	// countTimeout bounds counting, which reads every cell of the slots, where
	// the caller's context does not.
	countTimeout = 30 * time.Second
	// countSlots is how many slots are compared at once: where owners differ, it
	// is so many whose cells are read from R of them.
	countSlots = 16
)

// block is neighbouring slots with the same owners, R of which say what they
// hold. The first of them counts; the others' hashes tell whether they know of
// anything that it does not.
type block struct {
	slots  ring.Range
	owners []string // "" is this node
	hashes []uint64 // as the owners answer
	keys   replica.KeyCount
}

// Count returns how many keys of ranges of slots, or of all, are alive, and how
// long they live, as R owners of each slot know them: what was acknowledged
// before is counted. It fails with *NoQuorumError where fewer than R of a slot's
// owners can be reached, as a read would, and with ErrLoading.
func (c *Coordinator) Count(ctx context.Context, in ...ring.Range) (total replica.KeyCount, err error) {
	v := c.views.View()
	if v.Ring == nil {
		return total, ErrLoading
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, countTimeout)
		defer cancel()
	}
	var failed []string // nodes that did not answer, for any slot
	var apart []ring.Range
	for todo := slices.Clone(orAllSlots(in)); len(todo) > 0; {
		blocks, err := c.blocks(&v, todo, failed, "count")
		if err != nil {
			return replica.KeyCount{}, err
		}
		failed = append(failed, c.countBlocks(ctx, blocks)...)
		todo = todo[:0]
		for _, b := range blocks {
			switch {
			case slices.ContainsFunc(b.owners, func(n string) bool { return slices.Contains(failed, n) }):
				todo = append(todo, b.slots)
			case slices.ContainsFunc(b.hashes, func(h uint64) bool { return h != b.hashes[0] }):
				apart = appendRange(apart, b.slots)
			default:
				total.Add(b.keys)
			}
		}
	}
	for _, r := range apart {
		n, err := c.countMerged(ctx, r)
		if err != nil {
			return replica.KeyCount{}, err
		}
		total.Add(n)
	}
	return total, nil
}

// appendRange appends a range of slots, to the last one if it goes on there.
func appendRange(to []ring.Range, r ring.Range) []ring.Range {
	if n := len(to); n > 0 && to[n-1].Hi+1 == r.Lo {
		to[n-1].Hi = r.Hi
		return to
	}
	return append(to, r)
}

// orAllSlots returns ranges of slots, or, if there are none, all slots.
func orAllSlots(in []ring.Range) []ring.Range {
	if len(in) == 0 {
		return []ring.Range{{Lo: 0, Hi: ring.Slots - 1}}
	}
	return in
}

// blocks cuts ranges of slots into blocks, each with R owners that can be
// reached and have not failed, this node first.
func (c *Coordinator) blocks(v *View, ranges []ring.Range, failed []string, op string) (out []block, err error) {
	for _, r := range ranges {
		for lo, hi := int(r.Lo), 0; lo <= int(r.Hi); lo = hi + 1 {
			hi = int(stretch(v.Ring, uint16(lo), r.Hi))
			owners, err := c.quorumOf(v, uint16(lo), failed, op)
			if err != nil {
				return nil, err
			}
			for first := lo; first <= hi; first += countSlots {
				last := min(first+countSlots-1, hi)
				out = append(out, block{slots: ring.Range{Lo: uint16(first), Hi: uint16(last)},
					owners: owners, hashes: make([]uint64, len(owners))})
			}
		}
	}
	return out, nil
}

// quorumOf returns R owners of a slot that can be reached and have not failed,
// "", this node, first. It fails with *NoQuorumError.
func (c *Coordinator) quorumOf(v *View, slot uint16, failed []string, op string) ([]string, error) {
	p := v.Ring.Lookup(slot)
	usable := c.reachable(nil, v, c.others(v.Ring, p))
	if slices.Contains(p.Owners, c.opts.Self) {
		usable = slices.Insert(usable, 0, "")
	}
	usable = slices.DeleteFunc(usable, func(n string) bool { return slices.Contains(failed, n) })
	need := quorum(0, c.opts.R, p.Width)
	if len(usable) < need {
		c.counters.noQuorum.Add(1)
		return nil, &NoQuorumError{Op: op, Need: need, Got: len(usable)}
	}
	return usable[:need], nil
}

// task is what one node is asked about blocks: to count them, or for their
// hashes.
type task struct {
	node   string
	counts bool
}

// countBlocks has each block counted by its first owner and hashed by the
// others, all at once, and returns the nodes that did not answer.
func (c *Coordinator) countBlocks(ctx context.Context, blocks []block) (failed []string) {
	tasks := map[task][]int{} // to the indexes of blocks
	for i := range blocks {
		for pos, node := range blocks[i].owners {
			t := task{node, pos == 0}
			tasks[t] = append(tasks[t], i)
		}
	}
	type answer struct {
		task
		counted []replica.Counted
		err     error
	}
	now := c.opts.Now().UnixMilli()
	deadline, _ := ctx.Deadline()
	answers := make(chan answer, len(tasks))
	for t, of := range tasks {
		if t.node == "" {
			continue
		}
		request := replica.AppendCount(nil, t.request(blocks, of, now))
		c.peers.Call(t.node, peer.Bulk, replica.KindCount, request, deadline, func(r peer.Reply) {
			counted, err := []replica.Counted(nil), r.Err
			if err == nil {
				counted, err = replica.DecodeCounted(r.Body, len(of))
			}
			answers <- answer{t, counted, err}
		})
	}
	for t, of := range tasks {
		if t.node == "" {
			counted, err := c.replica.Count(ctx, t.request(blocks, of, now))
			answers <- answer{t, counted, err}
		}
	}
	for range tasks {
		a := <-answers
		if a.err != nil {
			failed = append(failed, a.node)
			continue
		}
		for j, i := range tasks[a.task] {
			b := &blocks[i]
			b.hashes[slices.Index(b.owners, a.node)] = a.counted[j].Hash
			if a.counts {
				b.keys = a.counted[j].KeyCount
			}
		}
	}
	return failed
}

func (t task) request(blocks []block, of []int, now int64) replica.CountRequest {
	n := replica.CountRequest{Now: now, Hashes: !t.counts}
	for _, i := range of {
		n.Ranges = append(n.Ranges, replica.SlotRange{First: blocks[i].slots.Lo, Last: blocks[i].slots.Hi})
	}
	return n
}

// countMerged counts the keys of slots whose owners differ: what R of them hold
// is merged.
func (c *Coordinator) countMerged(ctx context.Context, in ring.Range) (n replica.KeyCount, err error) {
	now := c.opts.Now().UnixMilli()
	var last []byte // the key that was counted, whatever its field
	found := func(key replica.Key, copies []*version.Cell) {
		if (last == nil || !bytes.Equal(last, key.Key)) && n.See(mergeCopies(copies), now) {
			last = key.Key
		}
	}
	left := func() int { return replica.MaxPage } // there is no limit
	for at, done := (Position{Slot: in.Lo}), false; !done; {
		if at, done, err = c.eachStretch(ctx, at, in.Hi, false, left, found); err != nil {
			return replica.KeyCount{}, err
		}
	}
	return n, nil
}
