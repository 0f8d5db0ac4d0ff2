package node

import (
	"context"
	"net"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/memberlist"

	"github.com/dynaring/dynaring/resp"
)

// Deps is the world that a node lives in: time, disk and network. The zero
// value is the real one; a simulation brings its own, so that a whole cluster
// runs in one process under virtual time.
type Deps struct {
	// Now is the wall clock; nil: time.Now. Timers are the time package's.
	Now func() time.Time
	// FS holds the data directory; nil: the operating system's.
	FS vfs.FS
	// Listen opens a TCP-like listener; nil: net.Listen.
	Listen func(addr string) (net.Listener, error)
	// Dial connects to what another node's Listen opened; nil: net.Dialer.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Process is what clients may ask of the process, as far as it is not the
	// node's own: its log's level, its configuration file.
	Process resp.Process
	// Gossip opens memberlist's transport on Config.GossipAddr; nil:
	// memberlist's own, over TCP and UDP.
	Gossip func(addr string) (memberlist.Transport, error)
}

func (d Deps) complete() Deps {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.FS == nil {
		d.FS = vfs.Default
	}
	if d.Listen == nil {
		d.Listen = func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	}
	if d.Dial == nil {
		d.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	return d
}
