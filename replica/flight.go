package replica

import (
	"sync/atomic"
	"time"

	"github.com/dynaring/dynaring/storage"
)

// Bounds of the commits that a lane may have under way to the disk.
const (
	// easyFlights may be at any time. Beyond them the lane waits for one to
	// land, which makes its next group a larger one.
	easyFlights = 64
	// slowLanding is how long it waits. A disk that takes longer is slow, and
	// no reason to hold up what can be applied, and sent to the other owners,
	// who may be a quorum without it.
	slowLanding = 20 * time.Millisecond
	// maxFlights and maxFlightBytes are never exceeded, but for one group.
	maxFlights     = 1024
	maxFlightBytes = 256 << 20
)

// flight is a group on its way to the disk.
type flight struct {
	works  []work
	bytes  int64
	commit storage.Commit
	synced bool // commit is to be waited for
}

// runway is where flights start, in order. One goroutine launches them and
// one lands them.
type runway struct {
	flights chan flight
	landed  chan struct{} // of one; a token means: something has landed
	aloft   atomic.Int64  // bytes
}

func (r *runway) init() {
	r.flights = make(chan flight, maxFlights)
	r.landed = make(chan struct{}, 1)
}

// launch starts f, as soon as there is room.
func (r *runway) launch(f flight) {
	if len(r.flights) >= easyFlights || r.aloft.Load() >= maxFlightBytes {
		r.hold()
	}
	r.aloft.Add(f.bytes)
	r.flights <- f
}

// hold waits for what is under way.
func (r *runway) hold() {
	timer := time.NewTimer(slowLanding)
	defer timer.Stop()
	for slow := false; len(r.flights) >= easyFlights && !slow; {
		select {
		case <-r.landed:
		case <-timer.C:
			slow = true
		}
	}
	for r.aloft.Load() >= maxFlightBytes {
		<-r.landed
	}
}

// land notes that f is on disk, or will never be.
func (r *runway) land(f flight) {
	r.aloft.Add(-f.bytes)
	select {
	case r.landed <- struct{}{}:
	default:
	}
}
