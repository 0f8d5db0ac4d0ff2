package peer

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// The two ends prove themselves under different labels, so that neither's
// proof can be sent back to it as the other's.
const (
	labelDialler  = "dynaring peer dialler"
	labelAcceptor = "dynaring peer acceptor"
)

// prove returns HMAC-SHA256(secret, label ‖ 0 ‖ dialler's hello ‖ acceptor's
// hello). Both hellos are whole messages and carry their length, so the
// transcript binds both nonces, both identities, the class and the version.
// Without a secret it is only a checksum.
func prove(secret []byte, label string, dialler, acceptor []byte) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(label))
	m.Write([]byte{0})
	m.Write(dialler)
	m.Write(acceptor)
	return m.Sum(nil)
}

// greet does the dialler's part of the handshake with whom.
func greet(conn net.Conn, o *Options, whom string, class Class) (Identity, error) {
	mine := hello{class: class, secret: len(o.Secret) > 0, self: o.Self, whom: whom}
	rand.Read(mine.nonce[:])
	ours := mine.encode()
	if _, err := conn.Write(ours); err != nil {
		return Identity{}, fmt.Errorf("handshake: %w", err)
	}
	theirs, body, err := readMessage(conn, msgHello)
	if err != nil {
		return Identity{}, refuse(conn, err)
	}
	h, err := decodeHello(body)
	if err == nil {
		err = o.accepts(&h)
	}
	switch {
	case err != nil:
	case h.self.Name != whom:
		err = &HandshakeError{Reason: ErrWrongName, Detail: fmt.Sprintf("expected %q, found %q", whom, h.self.Name)}
	case h.class != class:
		err = &HandshakeError{Reason: ErrNotPeer, Detail: "another class in its hello"}
	}
	if err != nil {
		return Identity{}, refuse(conn, err)
	}
	if _, err := conn.Write(message(msgProof, prove(o.Secret, labelDialler, ours, theirs))); err != nil {
		return Identity{}, fmt.Errorf("handshake: %w", err)
	}
	_, proof, err := readMessage(conn, msgProof)
	if err != nil {
		return Identity{}, err
	}
	if !hmac.Equal(proof, prove(o.Secret, labelAcceptor, ours, theirs)) {
		return Identity{}, &HandshakeError{Reason: ErrWrongSecret, Detail: "its proof does not match --cluster-secret"}
	}
	return h.self, nil
}

// answer does the acceptor's part of the handshake.
func answer(conn net.Conn, o *Options) (Identity, Class, error) {
	theirs, body, err := readMessage(conn, msgHello)
	if err != nil {
		return Identity{}, 0, refuse(conn, err)
	}
	h, err := decodeHello(body)
	if err == nil {
		err = o.accepts(&h)
	}
	switch {
	case err != nil:
	case h.whom != o.Self.Name:
		err = &HandshakeError{Reason: ErrWrongName, Detail: fmt.Sprintf("expected %q, found %q", h.whom, o.Self.Name)}
	case h.self.Name == o.Self.Name:
		err = &HandshakeError{Reason: ErrWrongName, Detail: fmt.Sprintf("both nodes are called %q", h.self.Name)}
	}
	if err != nil {
		return Identity{}, 0, refuse(conn, err)
	}
	mine := hello{class: h.class, secret: len(o.Secret) > 0, self: o.Self, whom: h.self.Name}
	rand.Read(mine.nonce[:])
	ours := mine.encode()
	if _, err := conn.Write(ours); err != nil {
		return Identity{}, 0, fmt.Errorf("handshake: %w", err)
	}
	_, proof, err := readMessage(conn, msgProof)
	if err != nil {
		return Identity{}, 0, err
	}
	if !hmac.Equal(proof, prove(o.Secret, labelDialler, theirs, ours)) {
		return Identity{}, 0, refuse(conn, &HandshakeError{Reason: ErrWrongSecret, Detail: "its proof does not match --cluster-secret"})
	}
	if _, err := conn.Write(message(msgProof, prove(o.Secret, labelAcceptor, theirs, ours))); err != nil {
		return Identity{}, 0, fmt.Errorf("handshake: %w", err)
	}
	return h.self, h.class, nil
}

// accepts checks what both ends ask of the other's hello.
func (o *Options) accepts(h *hello) error {
	switch {
	case h.self.Cluster != o.Self.Cluster:
		return &HandshakeError{Reason: ErrWrongCluster, Detail: fmt.Sprintf("node %q is not of this node's cluster", h.self.Name)}
	case h.secret && len(o.Secret) == 0:
		return &HandshakeError{Reason: ErrWrongSecret, Detail: "one node has a --cluster-secret, the other has none"}
	case !h.secret && len(o.Secret) > 0:
		return &HandshakeError{Reason: ErrWrongSecret, Detail: "one node has a --cluster-secret, the other has none"}
	}
	return nil
}

// refuse tells the other end why it is refused, as far as it may know, and
// returns err. That the telling fails does not matter: the connection is
// closed either way.
func refuse(conn net.Conn, err error) error {
	var h *HandshakeError
	if errors.As(err, &h) {
		if m := refusal(h); m != nil {
			_, _ = conn.Write(m)
		}
	}
	return err
}

// within runs a handshake on conn, bounded by connectTimeout and ctx. Only
// then it returns, so conn's deadlines are the caller's again.
func within(ctx context.Context, conn net.Conn, handshake func() error) error {
	conn.SetDeadline(time.Now().Add(connectTimeout))
	aborted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetDeadline(time.Unix(1, 0))
		close(aborted)
	})
	err := handshake()
	if !stop() {
		<-aborted
		if err == nil {
			err = ctx.Err()
		}
	}
	conn.SetDeadline(time.Time{})
	return err
}

// secure wraps conn into TLS if that is asked for. addr is the address dialled,
// or empty on the accepting end.
func (o *Options) secure(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	if o.TLS == nil {
		return conn, nil
	}
	var t *tls.Conn
	if addr == "" {
		t = tls.Server(conn, o.TLS)
	} else {
		c := o.TLS.Clone()
		if c.ServerName == "" {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				host = addr
			}
			c.ServerName = host
		}
		t = tls.Client(conn, c)
	}
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return t, nil
}
