package replica

import "sync"

// Bounds of the pools that serve peers what the cache cannot.
const (
	pointWorkers = 8
	bulkWorkers  = 2
	maxJobs      = 256 // queued in a pool
)

// pool is a bounded queue of jobs; its owner starts the workers.
type pool struct {
	mu     sync.Mutex
	filled sync.Cond
	jobs   []func()
	closed bool
}

func (p *pool) init() { p.filled.L = &p.mu }

// try queues job unless the pool is full or closed.
func (p *pool) try(job func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.jobs) >= maxJobs {
		return false
	}
	p.jobs = append(p.jobs, job)
	p.filled.Signal()
	return true
}

// work runs jobs until the pool is closed and drained.
func (p *pool) work() {
	for {
		job := p.next()
		if job == nil {
			return
		}
		job()
	}
}

func (p *pool) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.jobs) == 0 {
		if p.closed {
			return nil
		}
		p.filled.Wait()
	}
	job := p.jobs[0]
	p.jobs[0] = nil
	p.jobs = p.jobs[1:]
	return job
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
