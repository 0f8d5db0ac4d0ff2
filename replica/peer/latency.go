package peer

import (
	"sync"
	"time"
)

// latency follows a peer's reply times, all of them together and by the kind
// of the request, with the mean and deviation that TCP keeps of its round trips
// (Jacobson 1988; RFC 6298). A timeout counts with the time it took.
type latency struct {
	mu    sync.Mutex
	all   average
	kinds [latencyKinds]average
}

// latencyKinds is how many kinds are told apart; the others share by remainder.
const latencyKinds = 16

// average is an exponentially weighted mean and mean deviation, in ns; zero
// until the first sample.
type average struct{ mean, dev int64 }

func (a *average) add(ns int64) {
	ns = max(ns, 1)
	if a.mean == 0 {
		a.mean, a.dev = ns, ns/2
		return
	}
	diff := ns - a.mean
	a.mean = max(a.mean+diff/8, 1)
	if diff < 0 {
		diff = -diff
	}
	a.dev += (diff - a.dev) / 4
}

func (a average) late() time.Duration { return time.Duration(a.mean + 2*a.dev) }

func (l *latency) observe(kind uint8, ns int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.add(ns)
	l.kinds[kind%latencyKinds].add(ns)
}

func (l *latency) overall() average {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

func (l *latency) of(kind uint8) average {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kinds[kind%latencyKinds]
}
