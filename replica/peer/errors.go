package peer

import (
	"errors"
	"fmt"
)

// What a call's done function is told, to be compared with errors.Is. After
// those that [NotSent] reports the request had certainly no effect; after the
// others it may have had, and the caller must not repeat it.
var (
	// ErrUnreachable: no connection to the peer is up, or it went down before
	// the request was handed to it, or the peer is shutting down.
	ErrUnreachable = errors.New("peer is not reachable")
	// ErrOverloaded: a limit of this end or of the other was reached (queued
	// bytes, requests in flight), so the request was not run.
	ErrOverloaded = errors.New("peer is overloaded")
	// ErrTooLarge: the body does not fit into a frame ([Options].MaxFrame).
	ErrTooLarge = errors.New("message is larger than a frame may be")
	// ErrLost: the connection, or the reply, was lost after the request had
	// been handed over.
	ErrLost = errors.New("connection to peer lost before its reply came")
	// ErrTimeout: the deadline passed without a reply.
	ErrTimeout = errors.New("peer did not reply in time")
)

// NotSent reports whether err says that the request certainly had no effect.
func NotSent(err error) bool {
	return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrOverloaded) || errors.Is(err, ErrTooLarge)
}

// Code says how a handler failed. The layers above give the codes meaning; the
// transport only carries them.
type Code uint8

// RemoteError is a handler's answer by [Request.Fail].
type RemoteError struct {
	Code Code
	Text string // at most 1024 bytes
}

func (e *RemoteError) Error() string {
	return fmt.Sprintf("peer answered error %d: %s", e.Code, e.Text)
}

// Why a handshake failed, to be compared with errors.Is.
var (
	ErrNotPeer      = errors.New("not a dynaring peer port")
	ErrWrongVersion = errors.New("peer speaks another protocol version")
	ErrWrongCluster = errors.New("peer belongs to another cluster")
	ErrWrongName    = errors.New("peer has another name than expected")
	ErrWrongSecret  = errors.New("peer has another cluster secret")
)

// HandshakeError says why a connection was refused. Reason is one of the
// sentinels above.
type HandshakeError struct {
	Reason error
	Detail string // what was found and what to do about it
	Remote bool   // the other end refused, this is what it said
}

func (e *HandshakeError) Error() string {
	by := ""
	if e.Remote {
		by = "refused by peer: "
	}
	if e.Detail == "" {
		return by + e.Reason.Error()
	}
	return by + e.Reason.Error() + ": " + e.Detail
}

func (e *HandshakeError) Unwrap() error { return e.Reason }

// ProtocolError is a frame that must not be: damaged, too large, of an unknown
// type, or not for this end. It ends its connection.
type ProtocolError struct{ Detail string }

func (e *ProtocolError) Error() string { return "protocol error: " + e.Detail }

// Why a connection ended, other than an error of the network.
var (
	errSilent   = errors.New("nothing heard from peer, although it was asked")
	errStopped  = errors.New("this node is shutting down")
	errRemoved  = errors.New("peer was removed or its address changed")
	errReplaced = errors.New("peer opened a newer connection")
)
