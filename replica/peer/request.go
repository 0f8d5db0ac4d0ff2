package peer

import (
	"fmt"
	"sync/atomic"

	"github.com/dynaring/dynaring/storage/version"
)

// This file is the accepting end of a link: it runs requests and sends what
// their handler answers.

// Request is what another node asks.
type Request struct {
	From  Identity // who asks, as its handshake proved
	Class Class
	Kind  uint8
	Body  []byte // valid only until the handler returns
	// Sent is the sender's clock when it queued the request.
	Sent version.Timestamp

	link     *link
	id       uint64
	answered atomic.Bool
}

// Handler serves a request. It is called by the reader of the connection the
// request came on, in the order the requests were sent: it must not block, or
// nothing that follows on the connection is read. Every request must be
// answered, once, by Reply or Fail, before or after the handler returns, by
// any goroutine.
type Handler func(*Request)

// Reply answers the request. body is copied. A reply that is too large for a
// frame, or that comes when too much is queued for a peer that does not read,
// is dropped, and the caller is told ErrLost.
func (r *Request) Reply(body []byte) {
	r.answer(frame{typ: frameReply, body: body})
}

// Fail answers the request with a *RemoteError. text is cut at 1024 bytes.
func (r *Request) Fail(code Code, text string) {
	r.answer(frame{typ: frameFailure, kind: uint8(code), body: []byte(text[:min(len(text), maxFailureText)])})
}

func (r *Request) answer(f frame) {
	if r.answered.Swap(true) {
		panic("peer: a request was answered twice")
	}
	if r.link == nil {
		panic("peer: answer to a request that nobody asked")
	}
	f.id = r.id
	r.link.answer(f, true)
}

// answer queues the end of a request: of one that was served, or of one that
// was refused.
func (l *link) answer(f frame, served bool) {
	f.clock = l.stamp()
	l.mu.Lock()
	if served {
		l.mu.serving--
	}
	wake := false
	if l.mu.err == nil {
		if len(f.body) > l.opt.maxBody() || len(f.body) > 0 && l.full(len(f.body)) {
			f.typ, f.kind, f.body = frameLost, 0, nil
			l.mu.overloads++
		}
		wake = l.enqueue(f)
	}
	l.mu.Unlock()
	if wake {
		signal(l.wake)
	}
}

// requestSlab is how many requests are allocated at once.
const requestSlab = 32

// receiveRequest handles a frame that came to the accepting end.
func (l *link) receiveRequest(f frame, _ int64) error {
	switch f.typ {
	case framePing:
		l.send(frame{typ: framePong})
		return nil
	case frameRequest:
	default:
		return &ProtocolError{fmt.Sprintf("frame of type %d from the dialling end", f.typ)}
	}
	l.mu.Lock()
	refuse, why := false, uint8(0)
	switch {
	case l.mu.draining:
		refuse, why = true, refusedStopping
	case l.mu.serving >= l.opt.MaxInFlight:
		refuse, why = true, refusedOverload
		l.mu.overloads++
	default:
		l.mu.serving++
	}
	l.mu.Unlock()
	if refuse {
		l.answer(frame{typ: frameRefusal, kind: why, id: f.id}, false)
		return nil
	}
	if len(l.slab) == 0 {
		l.slab = make([]Request, requestSlab)
	}
	r := &l.slab[0]
	l.slab = l.slab[1:]
	r.From, r.Class, r.Kind, r.Body, r.Sent = l.who, l.class, f.kind, f.body, f.clock
	r.link, r.id = l, f.id
	l.handler(r)
	r.Body = nil // whoever keeps it would see it change
	return nil
}
