package peer

import (
	"cmp"
	"slices"
	"time"
)

// Stats describes one connection: for each peer and class the one that this
// node dials, up or not, and every one that it accepted.
type Stats struct {
	Name     string
	Actor    uint64 // as of the last handshake; 0 while not connected
	Class    Class
	Accepted bool   // else dialled
	Addr     string // dialled: the peer's; accepted: where it came from

	Connected bool
	Suspect   bool          // connected, but Peers.Up says no
	For       time.Duration // connected for so long

	InFlight    int // dialled: calls without a reply; accepted: requests being served
	QueuedBytes int // to be written

	FramesIn, FramesOut uint64 // of this connection
	BytesIn, BytesOut   uint64
	Writes              uint64 // by which FramesOut were written
	Timeouts            uint64
	Overloads           uint64 // requests refused, or replies dropped, for a limit

	Dials     uint64 // dialled: attempts that ended, in a failure or later
	LastError string // dialled: why the last one ended
	Latency   time.Duration
	LateAfter time.Duration
}

// Stats returns the connections by name, class, and dialled before accepted.
func (p *Peers) Stats() []Stats {
	var all []Stats
	for name, r := range *p.table.Load() {
		for class := range Class(classes) {
			s := Stats{Name: name, Addr: r.addr, Class: class}
			lane := &r.lanes[class]
			if l := lane.link.Load(); l != nil {
				l.describe(&s)
			}
			lane.mu.Lock()
			s.Dials = lane.mu.dials
			if lane.mu.lastErr != nil {
				s.LastError = lane.mu.lastErr.Error()
			}
			lane.mu.Unlock()
			a := r.latency.overall()
			s.Latency, s.LateAfter = time.Duration(a.mean), a.late()
			all = append(all, s)
		}
	}
	for _, l := range p.links(nil) {
		if l.accepted {
			s := Stats{Name: l.who.Name, Class: l.class, Accepted: true}
			if a := l.conn.RemoteAddr(); a != nil {
				s.Addr = a.String()
			}
			l.describe(&s)
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b Stats) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Class, b.Class), cmpBool(a.Accepted, b.Accepted))
	})
	return all
}

func cmpBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// describe fills in what the connection itself knows.
func (l *link) describe(s *Stats) {
	s.Actor = l.who.Actor
	s.Connected, s.Suspect = true, l.suspect.Load() || l.leaving.Load()
	s.For = time.Duration(l.now() - l.since)
	s.FramesIn, s.BytesIn = l.framesIn.Load(), l.bytesIn.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	s.InFlight = l.mu.calls.n + l.mu.serving
	s.QueuedBytes = len(l.mu.out) + l.mu.writing
	s.FramesOut, s.BytesOut, s.Writes = l.mu.framesOut, l.mu.queued, l.mu.writes
	s.Timeouts, s.Overloads = l.mu.timeouts, l.mu.overloads
}
