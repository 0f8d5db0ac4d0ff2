package resp

import "encoding/binary"

// Publish/subscribe crosses the cluster: what is published at one node is told
// to every other (Cluster.Tell), which delivers it to its own subscribers (Hear)
// and answers how many there were. At most once: a node that cannot be reached
// has missed it. Questions about subscriptions go the same way.
//
// A message is a byte that says what it is, and parts: each its length as an
// unsigned varint, and its bytes. So is an answer, without that byte.
//
//	op  parts             answer
//	p   channel, message  number
//	s   channel, message  number    of a shard channel
//	c   pattern?          channels  that have subscribers
//	h   pattern?          channels  shard channels
//	n   channels          numbers   of subscribers
//	m   channels          numbers   of a shard channel's
//	a                     patterns
const (
	tellPublish       = 'p'
	tellShardPublish  = 's'
	tellChannels      = 'c'
	tellShardChannels = 'h'
	tellCount         = 'n'
	tellShardCount    = 'm'
	tellPatterns      = 'a'
)

func appendParts(dst []byte, parts ...[]byte) []byte {
	for _, p := range parts {
		dst = append(binary.AppendUvarint(dst, uint64(len(p))), p...)
	}
	return dst
}

func appendNumber(dst []byte, n int64) []byte {
	var room [binary.MaxVarintLen64]byte
	return appendParts(dst, binary.AppendUvarint(room[:0], uint64(n)))
}

// splitParts takes parts apart, which alias b; ok is false for what is none.
func splitParts(b []byte) (parts [][]byte, ok bool) {
	for len(b) > 0 {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return nil, false
		}
		parts = append(parts, b[w:w+int(n)])
		b = b[w+int(n):]
	}
	return parts, true
}

// number reads a part that is one; 0 if it is none.
func number(part []byte) int64 {
	n, w := binary.Uvarint(part)
	if w <= 0 || w != len(part) {
		return 0
	}
	return int64(n)
}

// Hear takes in what another node told (Cluster.Tell), and returns the answer,
// without ever waiting. What it cannot read, as from a newer version, it answers
// with nothing. The message is the caller's again when it returns.
func (s *Server) Hear(message []byte) (answer []byte) {
	if len(message) == 0 {
		return nil
	}
	parts, ok := splitParts(message[1:])
	if !ok {
		return nil
	}
	switch op := message[0]; {
	case (op == tellPublish || op == tellShardPublish) && len(parts) == 2:
		return appendNumber(nil, s.hub.publish(kindOf(op), parts[0], parts[1]))
	case op == tellChannels || op == tellShardChannels || op == tellPatterns:
		for _, name := range s.hub.names(kindOf(op)) {
			if len(parts) == 0 || glob(parts[0], []byte(name)) {
				answer = appendParts(answer, []byte(name))
			}
		}
	case op == tellCount || op == tellShardCount:
		for _, channel := range parts {
			answer = appendNumber(answer, int64(s.hub.count(kindOf(op), channel)))
		}
	}
	return answer
}

// kindOf returns the namespace that a message is about.
func kindOf(op byte) channelKind {
	switch op {
	case tellShardPublish, tellShardChannels, tellShardCount:
		return shardChannel
	case tellPatterns:
		return channelPattern
	}
	return plainChannel
}

// everywhere asks this node and all others that answer in time, and calls each
// with the parts of every answer.
func (s *Server) everywhere(op byte, parts [][]byte, each func(answer [][]byte)) {
	message := appendParts([]byte{op}, parts...)
	answers := s.opts.Cluster.Tell(message)
	for _, answer := range append(answers(), s.Hear(message)) {
		if parts, ok := splitParts(answer); ok {
			each(parts)
		}
	}
}
