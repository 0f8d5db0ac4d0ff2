package peer

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// dialling is a remote whose connections are being kept up.
type dialling struct {
	*remote
	cancel context.CancelFunc
}

// dialAll keeps a connection of each class to each remote of the table, until
// ctx ends or the listener failed.
func (p *Peers) dialAll(ctx context.Context, wg *sync.WaitGroup, failed <-chan error) error {
	running := make(map[string]dialling)
	for {
		table := *p.table.Load()
		for name, d := range running {
			if table[name] != d.remote {
				delete(running, name)
				d.cancel()
				for i := range d.lanes {
					if l := d.lanes[i].link.Load(); l != nil {
						l.fail(errRemoved)
					}
				}
			}
		}
		for name, r := range table {
			if _, ok := running[name]; ok {
				continue
			}
			rctx, cancel := context.WithCancel(ctx)
			running[name] = dialling{r, cancel}
			for class := range Class(classes) {
				wg.Go(func() { p.keepConnected(rctx, r, class) })
			}
		}
		select {
		case <-p.changed:
		case err := <-failed:
			cancelAll(running)
			return err
		case <-ctx.Done():
			cancelAll(running)
			return nil
		}
	}
}

func cancelAll(running map[string]dialling) {
	for _, d := range running {
		d.cancel()
	}
}

// keepConnected dials until ctx ends: again at once when the peer has shown up
// here, or else after a pause that doubles with every failure.
func (p *Peers) keepConnected(ctx context.Context, r *remote, class Class) {
	lane := &r.lanes[class]
	pause := backoffMin
	timer := time.NewTimer(0)
	defer timer.Stop()
	logged := ""
	for {
		began := p.now()
		connected, err := p.connect(ctx, r, class)
		if ctx.Err() != nil {
			return
		}
		lane.mu.Lock()
		lane.mu.dials++
		lane.mu.lastErr = err
		lane.mu.Unlock()
		if connected || err.Error() != logged {
			logged = err.Error()
			p.opt.Logger.Warn("no connection to peer", "peer", r.name, "addr", r.addr, "class", class,
				"error", err, "was_connected", connected)
		}
		if connected && p.now()-began > int64(backoffMax) {
			pause = backoffMin
		}
		timer.Reset(pause/2 + rand.N(pause/2)) // jitter: a restarted node is not hit by all at once
		pause = min(2*pause, backoffMax)
		select {
		case <-timer.C:
		case <-lane.poke:
		case <-ctx.Done():
			return
		}
	}
}

// connect dials, introduces itself, and serves the connection until it ends.
// It returns whether it was established, and why it is not any more.
func (p *Peers) connect(ctx context.Context, r *remote, class Class) (bool, error) {
	dctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	raw, err := p.opt.Dial(dctx, r.addr)
	if err != nil {
		return false, err
	}
	conn := raw
	var who Identity
	err = within(dctx, raw, func() (err error) {
		if conn, err = p.opt.secure(dctx, raw, r.addr); err != nil {
			return err
		}
		who, err = greet(conn, &p.opt, r.name, class)
		return err
	})
	if err != nil {
		raw.Close()
		return false, err
	}
	l := newLink(conn, who, class, &p.opt, p.now)
	l.receive, l.latency = l.receiveReply, &r.latency
	if !p.add(l) {
		raw.Close()
		return false, errStopped
	}
	defer p.remove(l)
	lane := &r.lanes[class]
	lane.connected(l)
	defer lane.link.CompareAndSwap(l, nil)
	if ctx.Err() != nil { // who cancelled may have looked before the link was there
		l.fail(errRemoved)
	}
	p.opt.Logger.Info("connected to peer", "peer", r.name, "addr", r.addr, "class", class)
	return true, l.run()
}

// pokeDialler lets a dialler that pauses try now: its peer has just been here.
func (p *Peers) pokeDialler(name string) {
	if r := (*p.table.Load())[name]; r != nil {
		for i := range r.lanes {
			r.lanes[i].tryNow()
		}
	}
}

// connected makes l the lane's link. A poke from before has its answer in it:
// left over, it would cancel the pause after the link ends.
func (n *lane) connected(l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link.Store(l)
	select {
	case <-n.poke:
	default:
	}
}

// tryNow ends the pause, or the next one, of a lane that is not connected.
func (n *lane) tryNow() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.link.Load() == nil {
		signal(n.poke)
	}
}
