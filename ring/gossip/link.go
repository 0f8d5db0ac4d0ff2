package gossip

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// maxInbound bounds the streams that others hold open; beyond it new ones are
// closed.
const maxInbound = 256

// link is memberlist's transport, made so that Shutdown ends and joins every
// stream: memberlist would leave them to their timeouts.
type link struct {
	memberlist.Transport
	dialer  *net.Dialer // nil: the Transport dials
	ctx     context.Context
	cancel  context.CancelFunc
	streams chan net.Conn
	stopped chan struct{}  // closed when the transport has stopped
	relay   sync.WaitGroup // the goroutine that passes streams on
	open    sync.WaitGroup // streams that memberlist has not closed

	mu    sync.Mutex
	down  bool
	conns map[*stream]struct{}
}

var _ memberlist.NodeAwareTransport = (*link)(nil)

// newLink starts a goroutine that Shutdown joins.
func newLink(t memberlist.Transport, dialer *net.Dialer) *link {
	l := &link{Transport: t, dialer: dialer, streams: make(chan net.Conn), stopped: make(chan struct{}), conns: map[*stream]struct{}{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.relay.Go(l.relayStreams)
	return l
}

// relayStreams gives memberlist the streams that come in, as ones that are
// kept count of. From the end on it throws away what the transport still has,
// which may have to get rid of it before it can stop.
func (l *link) relayStreams() {
	for l.ctx.Err() == nil {
		select {
		case c := <-l.Transport.StreamCh():
			s := l.track(c, true)
			if s == nil {
				continue
			}
			select {
			case l.streams <- s:
			case <-l.ctx.Done():
				s.Close()
			}
		case <-l.ctx.Done():
		}
	}
	for {
		select {
		case c := <-l.Transport.StreamCh():
			c.Close()
		case <-l.Transport.PacketCh():
		case <-l.stopped:
			return
		}
	}
}

// track keeps count of a stream until it is closed. It closes the stream and
// returns nil where there are too many, or after Shutdown.
func (l *link) track(c net.Conn, inbound bool) *stream {
	l.mu.Lock()
	if l.down || inbound && len(l.conns) >= maxInbound {
		l.mu.Unlock()
		c.Close()
		return nil
	}
	s := &stream{Conn: c, link: l}
	l.conns[s] = struct{}{}
	l.open.Add(1)
	l.mu.Unlock()
	return s
}

// stream is a connection that its link knows of.
type stream struct {
	net.Conn
	link *link
	once sync.Once
}

// Close implements net.Conn.
func (s *stream) Close() error {
	err := s.Conn.Close()
	s.once.Do(func() {
		s.link.mu.Lock()
		delete(s.link.conns, s)
		s.link.mu.Unlock()
		s.link.open.Done()
	})
	return err
}

// StreamCh implements memberlist.Transport.
func (l *link) StreamCh() <-chan net.Conn { return l.streams }

// WriteToAddress implements memberlist.NodeAwareTransport.
func (l *link) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return l.WriteTo(b, a.Addr)
}

// DialTimeout implements memberlist.Transport.
func (l *link) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	c, err := l.dial(addr, timeout)
	if err != nil {
		return nil, err
	}
	if s := l.track(c, false); s != nil {
		return s, nil
	}
	return nil, net.ErrClosed
}

func (l *link) dial(addr string, timeout time.Duration) (net.Conn, error) {
	if l.dialer == nil {
		return l.Transport.DialTimeout(addr, timeout)
	}
	ctx, cancel := context.WithTimeout(l.ctx, timeout)
	defer cancel()
	return l.dialer.DialContext(ctx, "tcp", addr)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (l *link) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return l.DialTimeout(a.Addr, timeout)
}

// Shutdown implements memberlist.Transport. It ends all streams and dials.
func (l *link) Shutdown() error {
	l.cancel()
	err := l.Transport.Shutdown()
	close(l.stopped)
	l.relay.Wait()
	l.mu.Lock()
	l.down = true
	conns := l.conns
	l.conns = map[*stream]struct{}{}
	l.mu.Unlock()
	for s := range conns {
		s.Conn.Close() // whoever uses it gets an error and closes it
	}
	return err
}

// wait returns when memberlist has closed all streams, after Shutdown.
func (l *link) wait() { l.open.Wait() }
