package coordinator

import (
	"sync"
	"time"
)

// When a peer is late. The bounds keep one noisy measurement from hedging
// everything, and a slow peer from never being hedged.
const (
	minLate     = 2 * time.Millisecond
	maxLate     = 100 * time.Millisecond
	lateUnknown = 20 * time.Millisecond // of a peer that has not answered yet
	// maxEstimates bounds the peers remembered: beyond, all are forgotten.
	maxEstimates = 4096
)

// estimate follows one peer's answers as TCP follows its round trips (RFC
// 6298): a mean and a mean deviation, both exponentially weighted.
type estimate struct {
	mean, dev time.Duration
}

// observe takes in one answer's time.
func (e *estimate) observe(d time.Duration) {
	if e.mean == 0 {
		e.mean, e.dev = max(d, 1), d/2
		return
	}
	off := d - e.mean
	if off < 0 {
		off = -off
	}
	e.dev += (off - e.dev) / 4
	e.mean = max(1, e.mean+(d-e.mean)/8)
}

// late returns from when on an answer is later than about 19 of 20 are. For
// exponential answer times the mean deviation is 2/e of the mean, so that mean
// and three deviations are the 96th percentile.
func (e *estimate) late() time.Duration {
	if e == nil || e.mean == 0 {
		return lateUnknown
	}
	return min(max(e.mean+3*e.dev, minLate), maxLate)
}

// lateness holds the estimates of all peers, "" being this node's own disk.
type lateness struct {
	mu    sync.Mutex
	peers map[string]*[lateKinds]estimate // by kind of request
}

// lateKinds is more than the kinds of requests that there are.
const lateKinds = 16

// of returns an estimate, nil if there is none of the node. l.mu is held.
func (l *lateness) of(node string, kind uint8) *estimate {
	if of := l.peers[node]; of != nil {
		return &of[kind%lateKinds]
	}
	return nil
}

// observe notes that node took d to answer a request of kind, or to fail it.
// Requests that wait for the disk and those that do not are of different
// kinds, which is why a peer's average over all of them is no use here.
func (l *lateness) observe(node string, kind uint8, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.of(node, kind)
	if e == nil {
		if l.peers == nil || len(l.peers) >= maxEstimates {
			l.peers = make(map[string]*[lateKinds]estimate)
		}
		l.peers[node] = new([lateKinds]estimate)
		e = l.of(node, kind)
	}
	e.observe(d)
}

// after returns how long to wait for node before it counts as late.
func (l *lateness) after(node string, kind uint8) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(node, kind).late()
}

// afterEach appends to dst what after returns of each of nodes.
func (l *lateness) afterEach(dst []time.Duration, kind uint8, nodes ...string) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range nodes {
		dst = append(dst, l.of(n, kind).late())
	}
	return dst
}

// mean returns how long node usually takes to answer a request of kind; 0:
// unknown.
func (l *lateness) mean(node string, kind uint8) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.of(node, kind); e != nil {
		return e.mean
	}
	return 0
}
