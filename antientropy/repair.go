package antientropy

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

// ExchangeStatus is what comparing has done since the node's start.
type ExchangeStatus struct {
	Compared uint64 // slots
	Differed uint64 // slots whose hashes were not the same
	Sent     uint64 // cells that others lacked
	Received uint64 // cells that this node lacked
	Bytes    uint64 // moved for all of it, both ways
}

type exchangeCounts struct {
	compared, differed, sent, received, bytes atomic.Uint64
}

// Cells is this node's replica, as far as a repair needs it. *replica.Replica
// is one.
type Cells interface {
	Applier
	Get(k replica.Key) (*version.Cell, error)
}

// repairer makes this node and a peer hold the same of some cells.
type repairer struct {
	mine   Cells
	peer   *remote
	push   func(ctx context.Context, cells []replica.KeyedCell, read time.Time) error
	counts *exchangeCounts
}

// repair asks the peer for each cell with the digest of this node's, merges
// what it has here, and sends it what it lacks. It is not sure of cells that
// turn out to be the same: the listings were, or this answer is, out of date.
func (r *repairer) repair(ctx context.Context, keys []replica.Key) (sure bool, err error) {
	sure = true
	for len(keys) > 0 {
		read := time.Now()
		asks, cells := r.asks(keys)
		sure = sure && len(asks) == len(keys)
		if len(asks) == 0 {
			break
		}
		body, err := r.peer.ask(ctx, replica.KindRead, replica.AppendRead(nil, asks, false))
		if err != nil {
			return false, err
		}
		answers, err := replica.DecodeAnswers(nil, body, len(asks))
		if err != nil {
			return false, fmt.Errorf("%s: %w", r.peer.name, err)
		}
		keys = keys[:0:0]
		var plan repairs
		for i := range answers {
			if answers[i].Status == replica.Later {
				keys = append(keys, asks[i].Key)
				continue
			}
			plan.add(asks[i].Key, cells[i], answers[i])
		}
		sure = sure && !plan.same
		if err := r.carryOut(ctx, &plan, read); err != nil {
			return false, err
		}
	}
	return sure, nil
}

// asks reads this node's cells. Those that cannot be read are left out: the
// mender sees to them.
func (r *repairer) asks(keys []replica.Key) (asks []replica.Ask, cells []*version.Cell) {
	for _, k := range keys {
		c, err := r.mine.Get(k)
		if err != nil {
			continue
		}
		asks, cells = append(asks, replica.Ask{Key: k, Digest: c.Digest()}), append(cells, c)
	}
	return asks, cells
}

// carryOut does what is planned, here and on the peer. What was read too long
// ago is refused, and left to the next compare: it may have been collected
// since.
func (r *repairer) carryOut(ctx context.Context, plan *repairs, read time.Time) error {
	if err := apply(ctx, r.mine, plan.here, read); err != nil {
		return err
	}
	r.counts.received.Add(uint64(len(plan.here)))
	if len(plan.there) == 0 {
		return nil
	}
	if err := r.push(ctx, plan.there, read); err != nil {
		return err
	}
	r.counts.sent.Add(uint64(len(plan.there)))
	return r.peer.moved(ctx, pageBytes(plan.there))
}

// repairs is what makes two replicas hold the same.
type repairs struct {
	here, there []replica.KeyedCell
	same        bool // some cells are the same on both sides
}

// add plans for a cell, as this node has it and as a peer answers for it.
func (p *repairs) add(k replica.Key, mine *version.Cell, theirs replica.Answer) {
	if theirs.Status == replica.Same || theirs.Status == replica.Absent && mine == nil {
		p.same = true
		return
	}
	merged := version.Merge(mine, theirs.Cell)
	if merged.Digest() != mine.Digest() {
		p.here = append(p.here, replica.KeyedCell{Key: k, Cell: merged})
	}
	if merged.Digest() != theirs.Cell.Digest() {
		p.there = append(p.there, replica.KeyedCell{Key: k, Cell: merged})
	}
}
