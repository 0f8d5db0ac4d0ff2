package coordinator

import (
	"context"
	"sync/atomic"
	"time"
)

// driver is what the drivers of a batch have in common: a caller that waits
// on one channel and one timer, and answers that may come after it has left.
// Whoever may still touch the driver holds it; the last to let go recycles it.
type driver struct {
	held    atomic.Int32
	wake    chan struct{} // of one; a token means: look again
	timer   *time.Timer
	recycle func()
}

func (d *driver) init(recycle func()) {
	d.wake = make(chan struct{}, 1)
	d.timer = time.NewTimer(time.Hour)
	d.timer.Stop()
	d.recycle = recycle
}

func (d *driver) hold() { d.held.Add(1) }

func (d *driver) release() {
	if d.held.Add(-1) > 0 {
		return
	}
	select { // a token from after the caller left
	case <-d.wake:
	default:
	}
	d.recycle()
}

// nudge wakes the caller, or keeps it from sleeping. It never blocks.
func (d *driver) nudge() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// sleep waits for a nudge, until at most the given time. The zero time means
// for as long as it takes.
func (d *driver) sleep(ctx context.Context, until time.Time) {
	select {
	case <-d.wake:
		return
	default:
	}
	if until.IsZero() {
		<-d.wake
		return
	}
	d.timer.Reset(time.Until(until))
	select {
	case <-d.wake:
	case <-d.timer.C:
	case <-ctx.Done():
	}
	d.timer.Stop()
}

// deadline returns when a request that starts now must be answered.
func (c *Coordinator) deadline(ctx context.Context, now time.Time) time.Time {
	end := now.Add(c.opts.Timeout)
	if t, ok := ctx.Deadline(); ok && t.Before(end) {
		return t
	}
	return end
}

// What a request that carries much is given beyond its bound: no disk or
// network that a node lives on is slower, and what is smaller needs nothing.
const (
	slowestBytes = 16 << 20 // a second
	smallRequest = 1 << 20  // bytes
)

// allowance returns how much longer a request of n bytes may take.
func allowance(n int) time.Duration {
	if n < smallRequest {
		return 0
	}
	return time.Duration(n) * time.Second / slowestBytes
}

// quorum returns how many owners a request needs: what it asks for, or the
// node's own quorum, but never more than the list is wide.
func quorum(asked, own, width int) int {
	if asked <= 0 {
		asked = own
	}
	return max(1, min(asked, width))
}
