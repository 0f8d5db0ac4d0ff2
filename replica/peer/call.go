package peer

import (
	"fmt"

	"github.com/dynaring/dynaring/storage/version"
)

// This file is the dialling end of a link: it sends requests and is told how
// they ended.

// Reply is how a call ended.
type Reply struct {
	Body []byte // valid only inside done
	Err  error  // nil, or one of this package's call errors, or a *RemoteError
}

// call sends a request and keeps done until it is answered. It returns an
// error, and forgets done, when the request certainly is not sent.
func (l *link) call(kind uint8, body []byte, stamp version.Timestamp, now, deadline int64, done func(Reply)) error {
	if len(body) > l.opt.maxBody() {
		return ErrTooLarge
	}
	f := frame{typ: frameRequest, kind: kind, clock: stamp, body: body}
	l.mu.Lock()
	switch {
	case l.mu.err != nil || l.mu.draining:
		l.mu.Unlock()
		return ErrUnreachable
	case l.mu.calls.n >= l.opt.MaxInFlight || l.full(len(body)):
		l.mu.overloads++
		l.mu.Unlock()
		return ErrOverloaded
	}
	if heard := l.heard.Load(); l.asked.Load() < heard {
		l.asked.Store(max(now, heard))
	}
	f.id = l.mu.calls.add(call{done: done, sent: now, deadline: deadline, pos: l.mu.queued, kind: kind})
	wake := l.enqueue(f)
	l.mu.Unlock()
	if wake {
		signal(l.wake)
	}
	return nil
}

// maxBody is the largest body that fits into a frame.
func (o *Options) maxBody() int { return o.MaxFrame - maxOverhead + prefixLen }

// receiveReply handles a frame that came to the dialling end.
func (l *link) receiveReply(f frame, at int64) error {
	switch f.typ {
	case framePong:
		return nil
	case frameReply, frameFailure, frameRefusal, frameLost:
	default:
		return &ProtocolError{fmt.Sprintf("frame of type %d from the accepting end", f.typ)}
	}
	l.mu.Lock()
	c, ok := l.mu.calls.take(f.id)
	l.mu.Unlock()
	if !ok {
		return nil // the call has timed out
	}
	switch {
	case f.typ == frameReply:
		l.latency.observe(c.kind, at-c.sent)
	case f.typ == frameRefusal && f.kind == refusedStopping:
		l.leaving.Store(true)
	}
	c.done(f.reply())
	return nil
}

// reply returns what a frame that ends a call tells its caller.
func (f *frame) reply() Reply {
	switch f.typ {
	case frameReply:
		return Reply{Body: f.body}
	case frameFailure:
		return Reply{Err: &RemoteError{Code: Code(f.kind), Text: string(f.body)}}
	case frameRefusal:
		if f.kind == refusedStopping {
			return Reply{Err: ErrUnreachable}
		}
		return Reply{Err: ErrOverloaded}
	default:
		return Reply{Err: fmt.Errorf("%w: the reply was larger than the peer may queue", ErrLost)}
	}
}

// expire answers the calls whose deadline is over, using scratch, and listens
// for signs of life: tick is how much of the time since it last did counts. It
// reports whether it has to be called again soon.
func (l *link) expire(now, tick int64, scratch []call) (busy bool, _ []call) {
	l.mu.Lock()
	expired := l.mu.calls.expire(now, scratch[:0])
	l.mu.timeouts += uint64(len(expired))
	busy = l.mu.calls.n > 0
	l.mu.Unlock()

	silent := false
	for i := range expired {
		c := &expired[i]
		l.latency.observe(c.kind, now-c.sent)
		silent = silent || l.heard.Load() <= c.sent
		c.done(Reply{Err: ErrTimeout})
		c.done = nil
	}
	return l.listen(now, tick, busy, silent), expired
}

// keepAlive pings a peer that has been quiet and, if it may, gives up one that
// stays so.
// The dialler pings also when only it has been quiet, so each end hears
// something once in keepAliveEvery or two.
func (l *link) keepAlive(now int64, mayFail bool) {
	since := l.reading.Load()
	switch quiet := now - since; {
	case since == 0: // the reader is busy, or holds back
	case quiet >= int64(deadAfter) && mayFail:
		l.fail(errSilent)
		return
	case !l.accepted && quiet >= int64(keepAliveEvery):
		l.send(frame{typ: framePing})
		return
	}
	if !l.accepted && now-l.wrote.Load() >= int64(keepAliveEvery) {
		l.send(frame{typ: framePing})
	}
}
