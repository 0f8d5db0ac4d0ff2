package peer

import (
	"context"
	"time"
)

const (
	slotBits = 20
	maxName  = 255
)

// Request is what another node asks.
type Request struct {
	From  Identity
	Class Class
	Kind  uint8
	Body  []byte // valid only until the handler returns
}

// Reply answers the request. Body is copied.
func (r *Request) Reply(body []byte) {}

// Fail answers the request with an error.
func (r *Request) Fail(code Code, text string) {}

// Handler serves requests.
type Handler func(*Request)

// Reply is how a call ended.
type Reply struct {
	Body []byte // valid only inside done
	Err  error
}

// Peers is this node's end of its connections to all others.
type Peers struct{}

// New returns a Peers that does nothing until Run.
func New(o Options, h Handler) *Peers { return &Peers{} }

// Run accepts and dials until ctx ends, then joins everything it started.
func (p *Peers) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// SetPeers says which nodes there are, by name, and where.
func (p *Peers) SetPeers(addrs map[string]string) {}

// Call sends a request.
func (p *Peers) Call(to string, class Class, kind uint8, body []byte, deadline time.Time, done func(Reply)) {
	done(Reply{Err: ErrUnreachable})
}

// Up reports whether the peer can be called.
func (p *Peers) Up(name string) bool { return false }

// Latency returns the moving average of the peer's reply times.
func (p *Peers) Latency(name string) time.Duration { return 0 }

// LateAfter returns the time after which a reply of the peer is late.
func (p *Peers) LateAfter(name string) time.Duration { return 0 }

// Stats describes every connection.
func (p *Peers) Stats() []Stats { return nil }

// Stats of one connection.
type Stats struct{ Name string }
