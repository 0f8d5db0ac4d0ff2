package netlab

import (
	"math/rand/v2"
	"time"
)

// Condition is how the packets of one direction between two hosts fare. The
// zero Condition passes all of them on at once.
type Condition struct {
	Cut    bool          // nothing passes, nobody is told
	Delay  time.Duration // of every packet
	Jitter time.Duration // more of it, at random up to so much; packets keep their order
	Loss   float64       // the share of packets that are lost, 0 to 1
	Rate   int           // bytes a second; 0: no limit
}

// wire is one direction between two hosts. Times count from the lab's begin.
type wire struct {
	free    time.Duration // when it has sent what it was given
	arrived time.Duration // when the last of that is there
}

// send returns when a packet of that size arrives, if it does.
func (w *wire) send(c Condition, now time.Duration, size int, rng *rand.Rand) (at time.Duration, ok bool) {
	if c.Cut || c.Loss > 0 && rng.Float64() < c.Loss {
		return 0, false
	}
	at = now
	if c.Rate > 0 {
		w.free = max(w.free, now) + time.Duration(size)*time.Second/time.Duration(c.Rate)
		at = w.free
	}
	at += c.Delay
	if c.Jitter > 0 {
		at += time.Duration(rng.Int64N(int64(c.Jitter)))
	}
	w.arrived = max(w.arrived, at)
	return w.arrived, true
}

// table holds the conditions between n hosts. One that is in use is never
// changed.
type table struct {
	n          int
	conditions []Condition // from*n + to
}

func newTable(n int) *table { return &table{n: n, conditions: make([]Condition, n*n)} }

func (t *table) get(from, to int) Condition { return t.conditions[from*t.n+to] }

// with returns a table with one direction changed.
func (t *table) with(from, to int, c Condition) *table {
	u := newTable(t.n)
	copy(u.conditions, t.conditions)
	u.conditions[from*t.n+to] = c
	return u
}
