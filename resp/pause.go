package resp

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// pause is CLIENT PAUSE: the clients of this node wait before their next
// command, or their next that writes.
type pause struct {
	on atomic.Bool // there is one, or one has just ended
	mu struct {
		sync.Mutex
		until   time.Time
		all     bool
		changed chan struct{} // closed when it is ended early
	}
}

// maxPause bounds a pause, so that its end is a time.
const maxPause = 100 * 365 * 24 * time.Hour

// begin pauses clients. A pause is only made longer and wider by another.
func (p *pause) begin(now time.Time, d time.Duration, all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on.Load() || !now.Before(p.mu.until) {
		p.mu.until, p.mu.all, p.mu.changed = now, false, make(chan struct{})
	}
	p.mu.all = p.mu.all || all
	if until := now.Add(min(d, maxPause)); until.After(p.mu.until) {
		p.mu.until = until
	}
	p.on.Store(true)
}

// end lets everybody go on.
func (p *pause) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on.Swap(false) {
		p.mu.until = time.Time{}
		close(p.mu.changed)
	}
}

// left returns how long a command has to wait, and what ends that earlier.
func (p *pause) left(now time.Time, writes bool) (time.Duration, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on.Load() {
		return 0, nil
	}
	d := p.mu.until.Sub(now)
	if d <= 0 {
		p.on.Store(false)
		return 0, nil
	}
	if !p.mu.all && !writes {
		return 0, nil
	}
	return d, p.mu.changed
}

// wait waits before a command until there is no pause for it any more, or one
// of the others ends.
func (p *pause) wait(ctx context.Context, gone <-chan struct{}, writes bool) {
	for {
		d, changed := p.left(time.Now(), writes)
		if d <= 0 {
			return
		}
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
		case <-changed:
		case <-gone:
			timer.Stop()
			return
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}
