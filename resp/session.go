package resp

import (
	"crypto/subtle"
	"sync/atomic"
)

// Session is what a connection has said about itself. It belongs to the
// connection's goroutine.
type Session struct {
	*client // nil: another node passed the commands on
	profile

	view   View // of its listener
	authed bool
	r, w   int  // DQUORUM's; 0: the node's own
	closed bool // QUIT: nothing behind it is served

	window int // commands that run together; 0: firstOps

	mute       mute
	subscribed bool           // to something
	open       func() *outbox // the connection's first

	// forwarded: another node passed the commands on, so they run here
	// whatever the ring says, and are never passed on again.
	forwarded bool
}

// newSession returns a client's session as it is before its first command.
func (s *Server) newSession(addr, local string) *Session {
	c := &client{
		id: s.lastID.Add(1), addr: addr, local: local,
		since: s.opts.Now().UnixMilli(), gone: make(chan struct{}),
	}
	c.active.Store(c.since)
	c.mu.profile.proto = resp2
	return &Session{client: c, profile: profile{proto: resp2}, authed: s.settings().password == ""}
}

// outbox returns the connection's outbox, made when it is first needed.
func (ss *Session) outbox() *outbox {
	o := ss.out.Load()
	if o == nil {
		o = ss.open()
		ss.out.Store(o)
	}
	return o
}

// together returns how many commands may run together: what they read is in
// memory at once. Another node passes on no more than it may run itself.
func (ss *Session) together() int {
	switch {
	case ss.forwarded:
		return maxOps
	case ss.window == 0:
		return firstOps
	}
	return ss.window
}

// answered takes the size of replies to commands that ran together for that of
// those to come.
func (ss *Session) answered(commands, size int) {
	const growth = 4
	fits := maxReadSize / max(size/commands, 1)
	ss.window = min(max(fits, leastOps), growth*ss.together(), maxOps)
}

// reset returns the session to its beginning, as RESET does.
func (ss *Session) reset(authed bool) {
	*ss = Session{
		client: ss.client, open: ss.open, view: ss.view, authed: authed,
		profile: profile{proto: resp2, libs: ss.libs, noEvict: ss.noEvict, noTouch: ss.noTouch},
	}
}

// authenticate checks a user's password. There is one user.
func (s *Server) authenticate(user string, password []byte) bool {
	want := s.settings().password
	return user == defaultUser && (want == "" || subtle.ConstantTimeCompare(password, []byte(want)) == 1)
}

const defaultUser = "default"

// Stats counts what clients did since the server was made.
type Stats struct {
	Connections, Rejected int64 // accepted; turned away for the client limit or protected mode
	Clients               int64 // connected now
	Commands, Errors      int64 // executed for clients; answered with an error
	Hits, Misses          int64 // keys that reads found, and did not
	BytesIn, BytesOut     int64
}

type stats struct {
	connections, rejected, clients, commands, errors, hits, misses, in, out atomic.Int64
	reads, writes                                                           atomic.Int64 // of sockets

	pace pace
}

// reset forgets all but how many clients are connected.
func (c *stats) reset() {
	for _, n := range []*atomic.Int64{
		&c.connections, &c.rejected, &c.commands, &c.errors, &c.hits, &c.misses, &c.in, &c.out, &c.reads, &c.writes,
	} {
		n.Store(0)
	}
}

// add counts what came of a client's batch.
func (c *stats) add(b *batch, commands int) {
	c.pace.note(c, b.now)
	c.commands.Add(int64(commands))
	if b.failed > 0 {
		c.errors.Add(b.failed)
	}
	if b.hits > 0 {
		c.hits.Add(b.hits)
	}
	if b.misses > 0 {
		c.misses.Add(b.misses)
	}
}

// Stats returns the counts. It may be called from any goroutine.
func (s *Server) Stats() Stats {
	c := &s.stats
	return Stats{
		Connections: c.connections.Load(), Rejected: c.rejected.Load(), Clients: c.clients.Load(),
		Commands: c.commands.Load(), Errors: c.errors.Load(),
		Hits: c.hits.Load(), Misses: c.misses.Load(),
		BytesIn: c.in.Load(), BytesOut: c.out.Load(),
	}
}
