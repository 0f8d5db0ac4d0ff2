package peer

import "time"

// A peer that does not answer is told from one that takes its time by the pings
// that every live process answers at once: frozen processes, half-open
// connections and loss in one direction all look like this.
const (
	// pingAfter is for how long nothing has been heard since a call was sent,
	// when the peer is pinged.
	pingAfter = 100 * time.Millisecond
	// suspectAfter is the same for taking it for down, though no call has timed
	// out yet.
	suspectAfter = 300 * time.Millisecond
	// maxTick is how much of the time between two looks counts. Where this
	// process itself was held up, what the peer sent meanwhile is still to be
	// read.
	maxTick = 2 * sweepEvery
)

// silence is how long a peer has not been heard while calls wait for it. It is
// the sweeper's own.
type silence struct {
	from   int64 // when the first call was sent since the peer was last heard
	quiet  int64 // how long that is, as far as it counts
	pinged bool
	ping   uint64 // where in the connection's stream the ping ends
	wrote  int64  // when bytes were last written, at the last look
}

// listen pings a dialled peer that is silent, and suspects one that stays so.
// inFlight tells whether calls wait, timedOut whether one that has ended heard
// nothing. It reports whether it has to be called again soon.
func (l *link) listen(now, tick int64, inFlight, timedOut bool) (again bool) {
	asked := l.asked.Load()
	l.mu.Lock()
	written := l.mu.queued - uint64(len(l.mu.out)+l.mu.writing)
	l.mu.Unlock()
	s := &l.silence
	if l.heard.Load() > asked || !inFlight && !timedOut && !s.pinged {
		s.pinged = false
		return inFlight
	}
	if s.from != asked {
		*s = silence{from: asked}
	}
	wrote := l.wrote.Load()
	if s.pinged && s.ping > written && wrote != s.wrote {
		tick = 0 // the ping still waits behind what the connection takes in
	}
	s.wrote = wrote
	s.quiet += max(0, min(tick, now-asked))
	switch {
	case l.suspect.Load():
		s.pinged = false
		return inFlight
	case s.quiet >= int64(suspectAfter), timedOut && s.quiet >= int64(pingAfter):
		l.doubt(asked)
		s.pinged = false
		return inFlight
	case !s.pinged && (timedOut || s.quiet >= int64(pingAfter)):
		s.pinged, s.ping = true, l.send(frame{typ: framePing})
	}
	return true
}

// doubt takes the peer for down, unless it has been heard since. It is pinged:
// whatever it answers, it is up again.
func (l *link) doubt(since int64) {
	l.suspect.Store(true)
	l.send(frame{typ: framePing})
	if l.heard.Load() > since {
		l.trust()
	}
}
