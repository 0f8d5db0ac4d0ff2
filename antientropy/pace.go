package antientropy

import (
	"context"
	"sync"
	"time"
)

// Pace is what background work asks before each piece that it does, so that
// it yields to requests. *Pacer is one.
type Pace interface {
	// Wait returns when the node has room for work that moves so many bytes,
	// or with ctx's error when that ends first. It never waits for requests
	// alone: some progress is always granted.
	Wait(ctx context.Context, bytes int) error
}

// DefaultThreshold is the 99th percentile of local storage reads from which on
// background work gives way.
const DefaultThreshold = 10 * time.Millisecond

// Bounds of what background work may move, in bytes a second, and how they are
// approached: additive increase, multiplicative decrease.
const (
	floorRate   = 256 << 10
	ceilingRate = 64 << 20
	startRate   = 8 << 20
	stepRate    = 1 << 20
	decideEvery = 200 * time.Millisecond
	// burst is for how long the budget of an idle time is kept.
	burst = 100 * time.Millisecond
)

// PacerOptions configure a Pacer.
type PacerOptions struct {
	// Threshold is compared with P99; 0: DefaultThreshold.
	Threshold time.Duration
	// Unlimited grants everything at once: to measure what pacing is worth.
	Unlimited bool
	// P99 is the 99th percentile of local storage reads of late; 0: there were
	// none. replica.ReadP99 is one.
	P99 func() time.Duration
	// Probe reads from the storage. It is timed in place of P99 where nobody
	// reads and there is background work, so that a machine that is busy
	// otherwise is noticed. nil: none.
	Probe func(ctx context.Context) error
}

// Pacer is the background controller (Dynamo, SOSP 2007, section 6.5): it
// watches how long local storage reads take, and grants background work more
// or less of the node. Requests never wait for it.
type Pacer struct {
	opts  PacerOptions
	epoch time.Time

	mu     sync.Mutex
	budget budget
	asked  bool // since the last decision
}

// NewPacer returns a pacer that grants at a fixed rate until Run adapts it.
func NewPacer(o PacerOptions) *Pacer {
	if o.Threshold == 0 {
		o.Threshold = DefaultThreshold
	}
	return &Pacer{opts: o, epoch: time.Now(), budget: budget{rate: startRate}}
}

// Run adapts what is granted until ctx ends.
func (p *Pacer) Run(ctx context.Context) error {
	tick := time.NewTicker(decideEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		p.decide(p.reads(ctx) > p.opts.Threshold)
	}
}

// reads returns how long local reads take now.
func (p *Pacer) reads(ctx context.Context) time.Duration {
	if p.opts.P99 != nil {
		if d := p.opts.P99(); d > 0 {
			return d
		}
	}
	if p.opts.Probe == nil || !p.wanted() {
		return 0
	}
	began := time.Now()
	_ = p.opts.Probe(ctx) // a failing disk is for those who need what it holds
	return time.Since(began)
}

// wanted reports whether there was background work since it was last asked.
func (p *Pacer) wanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = false
	return asked
}

func (p *Pacer) decide(busy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.budget.decide(time.Since(p.epoch), busy)
}

// Wait grants work that moves so many bytes: at once where the budget has not
// been overdrawn, for which the next one waits.
func (p *Pacer) Wait(ctx context.Context, bytes int) error {
	for !p.opts.Unlimited {
		delay := p.take(bytes)
		if delay == 0 {
			break
		}
		if err := sleep(ctx, delay); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (p *Pacer) take(bytes int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = true
	return p.budget.take(time.Since(p.epoch), bytes)
}

// Granted returns the share of the most that background work is granted now,
// above 0 and up to 1.
func (p *Pacer) Granted() float64 {
	if p.opts.Unlimited {
		return 1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.budget.rate / ceilingRate
}

// budget is the controller's arithmetic. Times count from any one moment.
type budget struct {
	rate   float64       // bytes a second
	credit float64       // bytes; below 0: overdrawn
	at     time.Duration // as of when
}

func (b *budget) refill(now time.Duration) {
	b.credit = min(b.credit+b.rate*(now-b.at).Seconds(), b.rate*burst.Seconds())
	b.at = now
}

// decide moves the rate: up by a step, or, where reads are slow, down by half.
func (b *budget) decide(now time.Duration, busy bool) {
	b.refill(now)
	if busy {
		b.rate = max(b.rate/2, floorRate)
	} else {
		b.rate = min(b.rate+stepRate, ceilingRate)
	}
}

// take takes bytes off the budget, or says how long to wait before asking
// again: never so long that a change of the rate goes unnoticed.
func (b *budget) take(now time.Duration, bytes int) time.Duration {
	b.refill(now)
	if b.credit < 0 {
		return min(time.Duration(-b.credit/b.rate*float64(time.Second))+time.Millisecond, decideEvery)
	}
	b.credit -= float64(bytes)
	return 0
}
