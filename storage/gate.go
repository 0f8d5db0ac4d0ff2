package storage

import "sync/atomic"

// gate counts the calls inside a store, so that Close can wait for them
// without a lock that they would hold across I/O.
type gate struct {
	state atomic.Int64  // calls inside, plus gateShut
	empty chan struct{} // closed when shut and nobody is inside
	done  atomic.Bool   // empty has been closed
}

const gateShut = 1 << 62

// enter admits a call, unless the gate is shut. An admitted call leaves.
func (g *gate) enter() bool {
	if g.state.Add(1) < gateShut {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.state.Add(-1) == gateShut && g.done.CompareAndSwap(false, true) {
		close(g.empty)
	}
}

// isShut reports whether no new call is admitted.
func (g *gate) isShut() bool { return g.state.Load() >= gateShut }

// shut admits nobody any more and waits until everybody has left. Only the
// first call does so and reports true.
func (g *gate) shut() bool {
	if g.state.Or(gateShut)&gateShut != 0 {
		return false
	}
	g.state.Add(1)
	g.leave() // the last one out closes empty, be it this call
	<-g.empty
	return true
}
