package resp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/redcon"

	"github.com/dynaring/dynaring/coordinator"
)

// Server serves Redis clients, and the commands that other nodes pass on. Its
// methods may be called from any goroutine.
type Server struct {
	opts     Options
	log      *slog.Logger
	table    *table
	cursors  cursors
	started  time.Time
	lastID   atomic.Int64 // of clients
	clients  clients
	hub      hub
	monitors monitors
	pause    pause

	config   *config
	stats    stats
	errors   errorCodes
	slowLog  slowLog
	denials  denials
	latency  latencyEvents
	saves    saves
	memory   memoryUse
	keyspace [views]keyspaceCount
	runID    string // 40 hex digits, of this process
	maxReply int    // maxReply; less in tests

	batches sync.Pool // the Server's own: in a test's bubble, nothing is shared with others
}

// New returns a server, or what is wrong with its options. It serves clients
// while Serve runs, and Execute at once.
func New(o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{opts: o, log: o.Logger, started: o.Now(), maxReply: maxReply}
	s.table = newTable(
		connectionCommands(),
		serverCommands(),
		adminCommands(),
		configCommands(),
		latencyCommands(),
		aclCommands(),
		stringCommands(),
		rangeCommands(),
		bitmapCommands(),
		hyperloglogCommands(),
		genericCommands(),
		keyspaceCommands(),
		objectCommands(),
		dumpCommands(),
		slotCommands(),
		pubsubCommands(),
		siblingCommands(),
		internalCommands(),
	)
	s.cursors.init()
	s.saves.init(s.started)
	s.memory.read()
	s.runID = newRunID()
	if err := s.configure(); err != nil {
		return nil, err
	}
	return s, nil
}

// Serve serves the clients of a listener, which it closes, until ctx ends: they
// see the node by the view.
// Then it stops accepting, lets what has been read be answered within
// Options.Drain, and returns nil when every client's goroutine has ended. It
// may be called for several listeners.
func (s *Server) Serve(ctx context.Context, ln net.Listener, view View) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	g := newGate(s, ln, view, work)
	var clients sync.WaitGroup
	server := redcon.NewServer("", serveClient, func(c redcon.Conn) bool {
		gd := c.NetConn().(*guard)
		gd.conn = c
		clients.Add(1)
		return true
	}, func(c redcon.Conn, _ error) {
		g.left(c.NetConn().(*guard))
		clients.Done()
	})
	shut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		g.shut(s.opts.Drain)
		cancel() // what is still running has had its time
		close(shut)
	})
	err := server.Serve(g)
	if !stop() {
		<-shut
	}
	clients.Wait()
	return err
}

// serveClient is redcon's handler: its command is the guard's token.
func serveClient(c redcon.Conn, _ redcon.Command) {
	c.NetConn().(*guard).serve()
}

// Execute carries out commands that another node passed on: a
// coordinator.Executor. Each is on one key, and runs here whatever the ring
// says; what this node may not coordinate comes back as not started.
func (s *Server) Execute(ctx context.Context, x *coordinator.Exec) {
	ss := &Session{profile: profile{proto: resp2}, authed: true, forwarded: true, r: x.R, w: x.W}
	if x.Proto == resp3 {
		ss.proto = resp3
	}
	b := s.take(ctx, ss)
	b.passed = x.Commands
	reqs := make([]Request, len(x.Commands))
	for i := range reqs {
		reqs[i].Args = x.Commands[i].Args
	}
	b.run(reqs)
	from := 0
	for i, end := range b.ends {
		x.Commands[i].Reply = b.buf[from:end:end]
		from = end
	}
	b.buf = nil // the replies' now
	s.give(b)
}

// take returns an empty batch.
func (s *Server) take(ctx context.Context, ss *Session) *batch {
	b, _ := s.batches.Get().(*batch)
	if b == nil {
		b = &batch{s: s}
	}
	b.ctx, b.ss, b.proto, b.mark = ctx, ss, ss.proto, s.opts.Now()
	b.now = b.mark.UnixMilli()
	b.special = ss.client != nil && b.isSpecial()
	return b
}

// give takes a batch back, with whatever of its room is worth keeping.
func (s *Server) give(b *batch) {
	b.ctx, b.ss, b.send, b.passed, b.last = nil, nil, nil, nil, nil
	b.ends = b.ends[:0]
	b.failed, b.hits, b.misses = 0, 0, 0
	b.buf = b.buf[:0]
	if cap(b.buf) > replyKeep {
		b.buf = nil
	}
	if cap(b.units) > batchKeep || cap(b.steps) > batchKeep || cap(b.ends) > batchKeep {
		return
	}
	s.batches.Put(b)
}

// newRunID returns what tells this start of a server from all others.
func newRunID() string {
	const size = 20
	id := make([]byte, size)
	rand.Read(id) // never fails
	return hex.EncodeToString(id)
}
