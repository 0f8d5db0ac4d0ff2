package peer

import (
	"context"
	"time"
)

// sweep answers the calls whose deadline is over and keeps connections alive,
// until ctx ends. It ticks only as often as there is something to watch:
// every sweepEvery while calls are in flight, every keepAliveEvery while there
// are connections, never else. Calls in between do not put off the latter: the
// other end counts on hearing something in time.
func (p *Peers) sweep(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var (
		links   []*link
		scratch []call
		kept    int64 // when keepAlive last ran
		expired int64 // when expire last ran
	)
	for {
		links = p.links(links)
		switch {
		case p.sweeping.Load():
			timer.Reset(sweepEvery)
		case len(links) > 0:
			timer.Reset(time.Duration(min(kept+int64(keepAliveEvery)-p.now(), int64(keepAliveEvery))))
		default:
			timer.Stop()
		}
		clear(links) // not to keep what is closed
		select {
		case <-timer.C:
		case <-p.nudge:
			continue
		case <-ctx.Done():
			return
		}
		links = p.links(links)
		now := p.now()
		if now-kept >= int64(keepAliveEvery) {
			// After a pause of this node itself, what peers sent meanwhile is
			// still to be read: they are not to blame yet.
			punctual := now-kept < 2*int64(keepAliveEvery)
			kept = now
			for _, l := range links {
				l.keepAlive(now, punctual)
			}
		}
		if p.sweeping.Load() {
			tick := min(now-expired, int64(maxTick))
			expired = now
			scratch = p.expire(now, tick, links, scratch)
		}
	}
}

// expire answers the calls whose deadline is over and notes when none is left
// in flight.
func (p *Peers) expire(now, tick int64, links []*link, scratch []call) []call {
	if p.expireAll(now, tick, links, &scratch) {
		return scratch
	}
	// A call adds itself before it looks at sweeping: one that the first look
	// missed is seen by the second, or sees sweeping false and nudges.
	p.sweeping.Store(false)
	if p.expireAll(now, 0, p.links(links), &scratch) {
		p.sweeping.Store(true)
	}
	return scratch
}

func (p *Peers) expireAll(now, tick int64, links []*link, scratch *[]call) (busy bool) {
	for _, l := range links {
		if l.accepted {
			continue
		}
		var more bool
		more, *scratch = l.expire(now, tick, *scratch)
		busy = busy || more
	}
	return busy
}
