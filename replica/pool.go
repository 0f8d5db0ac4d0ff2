package replica

import (
	"context"
	"sync"
)

// Bounds of the pools that serve peers what the cache cannot.
const (
	pointWorkers = 8
	bulkWorkers  = 2
	maxJobs      = 256 // queued in a pool
)

// job answers one request. Its context ends with the replica's Run.
type job func(context.Context)

// pool is a bounded queue of jobs; its owner starts the workers.
type pool struct {
	mu     sync.Mutex
	filled sync.Cond
	jobs   []job
	closed bool
}

func (p *pool) init() { p.filled.L = &p.mu }

// try queues j unless the pool is full or closed.
func (p *pool) try(j job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.jobs) >= maxJobs {
		return false
	}
	p.jobs = append(p.jobs, j)
	p.filled.Signal()
	return true
}

// work runs jobs until the pool is closed and drained.
func (p *pool) work(ctx context.Context) {
	for {
		j := p.next()
		if j == nil {
			return
		}
		j(ctx)
	}
}

func (p *pool) next() job {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.jobs) == 0 {
		if p.closed {
			return nil
		}
		p.filled.Wait()
	}
	j := p.jobs[0]
	p.jobs[0] = nil
	p.jobs = p.jobs[1:]
	return j
}

// close refuses further jobs.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.filled.Broadcast()
}

func (p *pool) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.jobs)
}
