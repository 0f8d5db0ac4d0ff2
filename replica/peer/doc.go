// Package peer is the transport between nodes: requests and replies as framed,
// checksummed, multiplexed binary messages over connections that it keeps up
// by itself.
//
// Each node dials every other node once per [Class]. Requests travel on the
// connections a node dialled, their replies come back on the same one, and
// what it accepted carries the other node's requests. Frames are coalesced: a
// sender only appends to its connection's buffer, one goroutine per connection
// writes whatever has gathered, and the reader handles every whole frame it
// has before it asks the kernel for more.
//
// What it promises: a call's done function runs exactly once; the error tells
// whether the request certainly had no effect ([NotSent]) or may have had one;
// nothing is ever sent twice; whatever goes wrong on a connection ends that
// connection and nothing else; every queue has a bound.
//
// What it must never do: know what a request means, repeat a request, block a
// caller, hold a lock across I/O or a callback, or decide who is a member.
//
// # Wire form
//
// A connection opens with the handshake drawn in hello.go: magic, protocol
// version, cluster, name, actor and class of both ends and, when a secret is
// set, an HMAC-SHA256 challenge in both directions. The secret itself never
// travels. The challenge proves who opened the connection; it does not encrypt
// or sign what follows, which is what [Options].TLS is for. Then come frames,
// drawn in frame.go, each with the sender's hybrid clock and a checksum.
package peer
