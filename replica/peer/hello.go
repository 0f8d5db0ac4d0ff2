package peer

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The handshake's messages. The head is the same in every protocol version,
// integers little endian:
//
//	0  magic    "DYNp"
//	4  version  u8
//	5  type     u8   hello, proof or refusal
//	6  length   u16  of what follows
//
// hello:
//
//	0   class    u8
//	1   flags    u8   1: a secret is set
//	2   cluster  u64
//	10  actor    u64
//	18  nonce    32 bytes
//	50  name     u8 length, bytes   whose hello this is
//	    whom     u8 length, bytes   whom it expects at the other end
//
// proof: 32 bytes, see prove. refusal: reason u8, then a text for people.
//
//	dialler  → hello
//	acceptor → hello      or refusal
//	dialler  → proof      or refusal
//	acceptor → proof      or refusal; from here on it reads frames
//	dialler    checks it and sends frames, or closes
//
// The dialler proves itself first, so that who merely finds the port learns
// nothing that a guess at the secret could be checked against.
const (
	magic           = "DYNp"
	protocolVersion = 1

	msgHello   = 1
	msgProof   = 2
	msgRefusal = 3

	headLen  = 8
	nonceLen = 32
	proofLen = 32
	maxName  = 255
	maxHello = 50 + 2*(1+maxName)

	flagSecret = 1
)

// reasons maps a refusal's reason byte, which is the index, to its sentinel.
var reasons = [...]error{ErrNotPeer, ErrWrongVersion, ErrWrongCluster, ErrWrongName, ErrWrongSecret}

// hello is one end's half of the introduction.
type hello struct {
	class  Class
	secret bool
	self   Identity
	nonce  [nonceLen]byte
	whom   string
}

// message returns a whole handshake message.
func message(typ byte, body []byte) []byte {
	m := make([]byte, 0, headLen+len(body))
	m = append(m, magic...)
	m = append(m, protocolVersion, typ)
	m = binary.LittleEndian.AppendUint16(m, uint16(len(body)))
	return append(m, body...)
}

func (h *hello) encode() []byte {
	b := make([]byte, 0, maxHello)
	flags := byte(0)
	if h.secret {
		flags |= flagSecret
	}
	b = append(b, byte(h.class), flags)
	b = binary.LittleEndian.AppendUint64(b, h.self.Cluster)
	b = binary.LittleEndian.AppendUint64(b, h.self.Actor)
	b = append(b, h.nonce[:]...)
	b = append(append(b, byte(len(h.self.Name))), h.self.Name...)
	b = append(append(b, byte(len(h.whom))), h.whom...)
	return message(msgHello, b)
}

// decodeHello decodes the body of a hello.
func decodeHello(b []byte) (hello, error) {
	bad := &HandshakeError{Reason: ErrNotPeer, Detail: "malformed hello"}
	if len(b) < 50 || b[1]&^flagSecret != 0 || b[0] >= classes {
		return hello{}, bad
	}
	h := hello{class: Class(b[0]), secret: b[1]&flagSecret != 0}
	h.self.Cluster = binary.LittleEndian.Uint64(b[2:])
	h.self.Actor = binary.LittleEndian.Uint64(b[10:])
	copy(h.nonce[:], b[18:])
	rest := b[50:]
	for _, to := range []*string{&h.self.Name, &h.whom} {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return hello{}, bad
		}
		*to, rest = string(rest[1:1+rest[0]]), rest[1+rest[0]:]
	}
	if len(rest) != 0 || h.self.Name == "" {
		return hello{}, bad
	}
	return h, nil
}

// readMessage reads one message that must be of type want and returns it
// whole, and its body. It reads not a byte further. A refusal is returned as
// the error it carries.
func readMessage(r io.Reader, want byte) (whole, body []byte, err error) {
	var head [headLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	if string(head[:4]) != magic {
		return nil, nil, &HandshakeError{Reason: ErrNotPeer, Detail: "is it another service's port?"}
	}
	// Read to the end before judging, or else closing the connection could
	// reset it before the other end has read why.
	whole = make([]byte, headLen+int(binary.LittleEndian.Uint16(head[6:])))
	copy(whole, head[:])
	body = whole[headLen:]
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	switch {
	case head[4] != protocolVersion:
		return nil, nil, &HandshakeError{Reason: ErrWrongVersion,
			Detail: fmt.Sprintf("it speaks %d, this node %d; upgrade the older one", head[4], protocolVersion)}
	case head[5] != want && head[5] != msgRefusal:
		return nil, nil, &HandshakeError{Reason: ErrNotPeer, Detail: "unexpected handshake message"}
	}
	if head[5] == msgRefusal {
		return nil, nil, decodeRefusal(body)
	}
	return whole, body, nil
}

// refusal returns the message that tells the other end why it was refused, or
// nil if it need not, or must not, be told.
func refusal(e *HandshakeError) []byte {
	for i, r := range reasons {
		if r == e.Reason && !e.Remote {
			return message(msgRefusal, append([]byte{byte(i)}, e.Detail[:min(len(e.Detail), maxName)]...))
		}
	}
	return nil
}

func decodeRefusal(b []byte) *HandshakeError {
	if len(b) == 0 || int(b[0]) >= len(reasons) {
		return &HandshakeError{Reason: ErrNotPeer, Detail: "malformed refusal", Remote: true}
	}
	return &HandshakeError{Reason: reasons[b[0]], Detail: printable(b[1:]), Remote: true}
}

// printable returns a text from the network with what could confuse a terminal
// or a log replaced.
func printable(b []byte) string {
	out := make([]rune, 0, len(b))
	for _, r := range string(b) {
		if r < ' ' || r == 0x7f {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}
