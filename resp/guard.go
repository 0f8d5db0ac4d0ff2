package resp

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/tidwall/redcon"
)

// guard is a client's connection as redcon sees it. What the client sends is
// cut into whole commands here, under limits; redcon is handed one token a
// batch, and its handler takes the batch from the guard. So redcon never parses
// a byte that a client chose: its own reader panics on some lengths, spins on
// others, grows without bound before AUTH, parses from the start on every read
// and cuts pipelines at its buffer's end.
//
// All but drain belongs to the connection's goroutine.
type guard struct {
	net.Conn
	s       *Server
	ctx     context.Context // of its commands
	session *Session
	framer  framer
	conn    redcon.Conn // what redcon made of this

	batch  []Request // handed out with the token
	broken error     // the protocol error behind it; nothing is read any more
	token  string    // what is left of it to hand out

	bounded bool // the next read has a deadline

	draining atomic.Bool
}

// token is what redcon reads instead of a batch: a command of its own form. Its
// length divides redcon's buffers, so that they never hold a part of one.
const token = "*1\r\n$6\r\nbatch!\r\n"

// Read hands redcon a token as soon as there is a batch to serve.
func (g *guard) Read(p []byte) (int, error) {
	if g.token == "" {
		if err := g.fill(); err != nil {
			return 0, err
		}
		g.token = token
	}
	n := copy(p, g.token)
	g.token = g.token[n:]
	return n, nil
}

// fill waits for a batch of whole commands. A client that has not
// authenticated is served one by one, since its limits end with AUTH.
func (g *guard) fill() error {
	if g.broken != nil {
		return io.EOF
	}
	for {
		limit := maxBatch
		if !g.session.authed {
			limit = 1
		}
		g.batch, g.broken = g.framer.take(limit, !g.session.authed)
		if len(g.batch) > 0 || g.broken != nil {
			return nil
		}
		g.session.unread.Store(g.framer.unread())
		g.patience()
		n, err := g.Conn.Read(g.framer.space())
		g.framer.wrote(n)
		g.s.stats.in.Add(int64(n))
		g.s.stats.reads.Add(1)
		switch {
		case n > 0:
		case g.draining.Load():
			return io.EOF
		case err != nil:
			return err
		}
	}
}

// send writes replies, past redcon, whose writer would copy them first.
func (g *guard) send(p []byte) error {
	_, err := g.Write(p)
	return err
}

// Write writes replies. redcon flushes even where there are none.
func (g *guard) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if o := g.session.out.Load(); o != nil {
		return len(p), o.reply(p)
	}
	n, err := g.Conn.Write(p)
	g.s.stats.out.Add(int64(n))
	g.s.stats.writes.Add(1)
	return n, err
}

// patience bounds the time that the client may be silent from now on, if any.
func (g *guard) patience() {
	idle := g.s.settings().idle
	if g.session.subscribed { // it waits to be told something
		idle = 0
	}
	if idle == 0 && !g.bounded {
		return
	}
	var until time.Time
	if g.bounded = idle > 0; g.bounded {
		until = time.Now().Add(idle)
	}
	g.Conn.SetReadDeadline(until)
	if g.draining.Load() { // whose deadline this may have moved
		g.Conn.SetReadDeadline(past)
	}
}

// open makes the connection's outbox.
func (g *guard) open() *outbox {
	return newOutbox(g.Conn, g.s, g.session.proto, func(waiting int) {
		g.s.log.Warn("a client that reads too slowly was cut off", "id", g.session.id, "addr", g.session.addr, "waiting", waiting)
		g.session.kill()
	})
}

// Close lets what is queued be read, and closes the connection.
func (g *guard) Close() error {
	if o := g.session.out.Load(); o != nil {
		o.close()
	}
	return g.Conn.Close()
}

// leave is the end of the connection's goroutine.
func (g *guard) leave() {
	g.s.clients.remove(g.session.client)
	if o := g.session.out.Load(); o != nil {
		g.s.monitors.remove(o)
		g.s.leaveAll(o)
		o.close()
	}
}

// serve carries out the batch that was handed out with the token.
func (g *guard) serve() {
	b := g.s.take(g.ctx, g.session)
	g.session.active.Store(b.now)
	b.send = g.send
	b.run(g.batch)
	if g.broken != nil && !g.session.closed {
		b.error(g.broken.Error())
	}
	b.show()
	g.s.stats.add(b, len(g.batch))
	b.sendNow()
	g.batch = nil
	g.s.give(b)
	if g.broken != nil || g.session.closed {
		g.conn.Close() // which flushes
	}
}
