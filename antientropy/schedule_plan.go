package antientropy

import (
	"slices"
	"time"
)

// plan is what is known of one peer.
type plan struct {
	up, busy bool
	since    time.Duration // nothing known from before this counts: the peer came back then
	want     time.Duration // everything is to be compared as of this
	full     time.Duration // as of when everything was last in step
	hold     time.Duration // no round before this
	backoff  time.Duration
	began    time.Duration // of the last round: peers take turns by it
	pairs    []pair        // by slot
	blocks   []block       // of them
	from     int           // the block that the next round begins with
	due      []uint16      // to be compared, as of the last scan
	more     bool          // there was more than fits into a round
	open     int           // pairs not in step, as of the last scan
}

// pair is one slot shared with one peer.
type pair struct {
	slot    uint16
	stepped time.Duration // as of when both were last known to hold the same
	tried   time.Duration // when that was last asked
	want    time.Duration // it is to be compared as of this
	dirty   time.Duration // the first change seen since stepped
}

// block is the pairs of neighbouring slots. Most of the time nothing is to be
// done about them, and they are passed over at once.
type block struct {
	pairs []pair
	// still is when they were last looked at, all being in step; never: some
	// are not.
	still time.Duration
}

// block parts the pairs into blocks.
func (p *plan) block() {
	p.blocks = p.blocks[:0]
	for lo, hi := 0, 0; lo < len(p.pairs); lo = hi {
		for hi < len(p.pairs) && p.pairs[hi].slot/chunkSlots == p.pairs[lo].slot/chunkSlots {
			hi++
		}
		p.blocks = append(p.blocks, block{pairs: p.pairs[lo:hi], still: never})
	}
}

// find returns the slot's pair, nil if it is not shared, and the index of its
// block, or of where that would be.
func (p *plan) find(slot uint16) (*pair, int) {
	at, ok := slices.BinarySearchFunc(p.blocks, slot, func(b block, slot uint16) int {
		return int(b.pairs[0].slot/chunkSlots) - int(slot/chunkSlots)
	})
	if !ok {
		return nil, at
	}
	pairs := p.blocks[at].pairs
	i, ok := slices.BinarySearchFunc(pairs, slot, func(pr pair, slot uint16) int { return int(pr.slot) - int(slot) })
	if !ok {
		return nil, at
	}
	return &pairs[i], at
}

// passOver reports whether a block's pairs are all in step, and have been
// since it was last looked at.
func (p *plan) passOver(b *block, changes Changes) bool {
	return b.still > p.since && b.still > p.want && changes.Changed(b.pairs[0].slot, b.pairs[len(b.pairs)-1].slot) < b.still-hindsight
}

// known reports whether the pair is in step for all that p knows, changed
// being its slot's last change.
func (p *plan) known(pr *pair, changed time.Duration) bool {
	return pr.stepped >= p.since && pr.stepped >= pr.want && !pr.changed(changed)
}

// changed reports whether the slot has changed since it was in step, or may
// have.
func (pr *pair) changed(changed time.Duration) bool {
	return changed > 0 && changed >= pr.stepped-hindsight
}

func (p *plan) isDue(pr *pair, now, changed time.Duration) bool {
	switch {
	case pr.stepped < max(p.want, pr.want):
		return pr.tried == never || now-pr.tried >= retryPair
	case !pr.changed(changed):
		return false
	case now-changed >= quietFor:
		return pr.tried == never || now-pr.tried >= retryPair
	}
	return now-max(pr.stepped, pr.tried) >= patience
}

// look looks for what is due in a block. It returns how many of its pairs are
// not known to be in step, and whether all have been since the plan's want.
func (p *plan) look(b *block, now time.Duration, changes Changes) (open int, full bool) {
	b.still, full = never, true
	for i := range b.pairs {
		pr := &b.pairs[i]
		at := changes.Slot(pr.slot).Changed
		if pr.dirty == never && pr.changed(at) {
			pr.dirty = at
		}
		if !p.known(pr, at) || pr.stepped < p.want {
			open++
		}
		full = full && pr.stepped >= p.want
		if p.busy || !p.isDue(pr, now, at) {
			continue
		}
		if len(p.due) == maxRoundSlots {
			p.more = true
			continue
		}
		p.due = append(p.due, pr.slot)
	}
	return open, full
}
