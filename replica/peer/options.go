package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/dynaring/dynaring/storage/version"
)

// Identity is who one end of a connection is.
type Identity struct {
	Cluster uint64 // the cluster's id
	Name    string // the node's name, 1 to 255 bytes
	Actor   uint64 // the id of its data directory
}

// Class keeps small and urgent messages apart from large and patient ones:
// each has its own connection.
type Class uint8

const (
	Foreground Class = iota // what a client waits for
	Bulk                    // repairs, transfers, scans
	classes    = iota
)

func (c Class) String() string {
	switch c {
	case Foreground:
		return "foreground"
	case Bulk:
		return "bulk"
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// Limits that no one has had to turn yet.
const (
	readBuffer       = 128 << 10 // bytes; larger frames are read into a buffer of their own
	largeStart       = 4 << 20   // bytes such a buffer begins with, at most
	writeChunk       = 1 << 20   // bytes handed to one Write
	writeTimeout     = 4 * time.Second
	connectTimeout   = 3 * time.Second // dial and handshake
	drainTimeout     = time.Second     // shutdown waits so long for requests being served
	backoffMin       = 50 * time.Millisecond
	backoffMax       = time.Second
	sweepEvery       = 20 * time.Millisecond // how late a timeout may be noticed
	keepAliveEvery   = 2 * time.Second       // a connection quiet for so long is pinged
	deadAfter        = 5 * time.Second       // and closed when quiet for so long
	maxWait          = time.Minute           // bound of a call without a deadline
	maxHandshakes    = 128                   // being accepted at once
	maxInbound       = 1024                  // accepted connections
	maxFailureText   = 1024                  // bytes
	maxInFlightLimit = 1 << slotBits
)

// Options of a [Peers]. Zero values mean what is said beside them.
type Options struct {
	Self     Identity
	Listener net.Listener // closed when Run returns; nil: nothing is accepted

	// Dial opens a connection to a peer's address; nil: TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	// Secret, if not empty, must be the same on both ends.
	Secret []byte

	// TLS, if not nil, wraps every connection, dialled and accepted. For both
	// ends to be verified it names Certificates, RootCAs, ClientCAs and
	// ClientAuth. An empty ServerName is taken from the address dialled.
	TLS *tls.Config

	Clock  *version.Clock // sent in every frame and moved by every frame; nil: one of its own
	Logger *slog.Logger   // nil: discard

	MaxFrame    int // bytes of one message; 0: 128 MiB. The same on every node.
	MaxQueued   int // bytes waiting to be written to one connection; 0: 64 MiB
	MaxInFlight int // requests without a reply on one connection; 0: 65536
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	if o.Dial == nil {
		var d net.Dialer
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	if o.Clock == nil {
		o.Clock = version.NewClock(nil)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxFrame == 0 {
		o.MaxFrame = 128 << 20
	}
	if o.MaxQueued == 0 {
		o.MaxQueued = 64 << 20
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 1 << 16
	}
	return o
}

func (o *Options) validate() error {
	switch {
	case o.Self.Name == "" || len(o.Self.Name) > maxName:
		return fmt.Errorf("node name %q must have 1 to %d bytes", o.Self.Name, maxName)
	case o.MaxFrame < 1<<10 || o.MaxFrame > 1<<30:
		return errors.New("peer: MaxFrame must be 1 KiB to 1 GiB")
	case o.MaxQueued < 1<<10:
		return errors.New("peer: MaxQueued must be at least 1 KiB")
	case o.MaxInFlight < 1 || o.MaxInFlight > maxInFlightLimit:
		return fmt.Errorf("peer: MaxInFlight must be 1 to %d", maxInFlightLimit)
	}
	return nil
}
