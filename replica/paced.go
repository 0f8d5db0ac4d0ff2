package replica

import (
	"context"
	"sync/atomic"
	"time"
)

// paced does what other nodes' background work asks of this replica: transfers
// of whole ranges, listings. It has workers of its own, so that what clients
// wait for never queues behind what is being held back.
type paced struct {
	pool
	wait func(ctx context.Context, bytes int) error // nil: nothing is held back
	owed atomic.Int64                               // bytes read and not yet waited for
}

const (
	pacedWorkers = 2
	// maxHeldBack bounds how long one request is held back: whoever asks does
	// not wait for ever.
	maxHeldBack = 2 * time.Second
)

// servePaced has a job done that returns how many bytes it has read, or refuses
// it.
func (r *Replica) servePaced(a answerer, job func(context.Context) (bytes int)) {
	p := &r.paced
	ok := p.try(func(ctx context.Context) {
		p.hold(ctx)
		p.owed.Add(int64(job(ctx)))
	})
	if !ok {
		a.Fail(CodeOverloaded, "too many transfers are waiting on this node")
	}
}

// hold waits until what was read before is paid for: only then is it known.
func (p *paced) hold(ctx context.Context) {
	if p.wait == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, maxHeldBack)
	defer cancel()
	_ = p.wait(ctx, int(p.owed.Swap(0))) // too long a wait has been one
}
