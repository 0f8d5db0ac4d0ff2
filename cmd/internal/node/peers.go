package node

import (
	"sync/atomic"
	"time"

	"github.com/dynaring/dynaring/replica/peer"
)

// latePeers stands for the peers of a node that does not know its cluster yet:
// until then nobody can be reached, which is what every caller is told.
type latePeers struct{ now atomic.Pointer[peer.Peers] }

func (l *latePeers) set(p *peer.Peers) { l.now.Store(p) }

func (l *latePeers) Call(to string, class peer.Class, kind uint8, body []byte, deadline time.Time, done func(peer.Reply)) {
	if p := l.now.Load(); p != nil {
		p.Call(to, class, kind, body, deadline, done)
		return
	}
	done(peer.Reply{Err: peer.ErrUnreachable})
}

func (l *latePeers) Up(name string) bool {
	p := l.now.Load()
	return p != nil && p.Up(name)
}

// stats describes every connection.
func (l *latePeers) stats() []peer.Stats {
	if p := l.now.Load(); p != nil {
		return p.Stats()
	}
	return nil
}
