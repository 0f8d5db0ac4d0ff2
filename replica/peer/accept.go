package peer

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// accept serves the connections that other nodes open, until ctx ends and the
// listener is closed. It returns an error if that was closed by somebody else.
func (p *Peers) accept(ctx context.Context, wg *sync.WaitGroup) error {
	handshakes := make(chan struct{}, maxHandshakes)
	pause := backoffMin
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		conn, err := p.opt.Listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // out of file descriptors, say
			p.opt.Logger.Warn("cannot accept a peer's connection", "error", err)
			timer.Reset(pause)
			pause = min(2*pause, backoffMax)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			continue
		}
		pause = backoffMin
		select {
		case handshakes <- struct{}{}:
		default:
			conn.Close() // it will try again
			continue
		}
		wg.Go(func() { p.admit(ctx, conn, handshakes) })
	}
}

// admit finds out who opened a connection, and serves it until it ends.
func (p *Peers) admit(ctx context.Context, raw net.Conn, handshakes <-chan struct{}) {
	conn := raw
	var who Identity
	var class Class
	err := within(ctx, raw, func() (err error) {
		if conn, err = p.opt.secure(ctx, raw, ""); err != nil {
			return err
		}
		who, class, err = answer(conn, &p.opt)
		return err
	})
	<-handshakes
	if err != nil {
		raw.Close()
		p.logRefused(raw.RemoteAddr(), err)
		return
	}
	l := newLink(conn, who, class, &p.opt, p.now)
	l.accepted, l.handler, l.receive = true, p.handler, l.receiveRequest
	if !p.add(l) {
		raw.Close()
		p.logRefused(raw.RemoteAddr(), errors.New("too many connections, or shutting down"))
		return
	}
	defer p.remove(l)
	p.pokeDialler(who.Name)
	err = l.run()
	p.opt.Logger.Debug("connection from peer ended", "peer", who.Name, "class", class, "error", err)
}

// logRefused logs that a connection was not accepted, at most once a second:
// anybody can open one.
func (p *Peers) logRefused(from net.Addr, err error) {
	now := p.now()
	p.mu.Lock()
	loud := p.mu.refused == 0 || now-p.mu.refused >= int64(time.Second)
	if loud {
		p.mu.refused = now
	}
	p.mu.Unlock()
	if loud {
		p.opt.Logger.Warn("refused a peer's connection", "from", from, "error", err)
	}
}
