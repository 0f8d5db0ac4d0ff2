package fidelity

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	// patience bounds one script's conversation.
	patience = 60 * time.Second
	// leaving is how long earlier subscribers may take to be gone.
	leaving = 2 * time.Second
	// silence is how long a push is waited for that does not come.
	silence = 4 * time.Second
)

// Dial opens a connection to a server.
type Dial func() (net.Conn, error)

// Talk has a server answer a script, in RESP2 or 3, and returns its replies in
// order: one a step, where steps have connections; what the server sent to the
// pipeline where not.
func Talk(dial Dial, s *Script, proto int) ([][]byte, error) {
	if err := empty(dial, s.Password); err != nil {
		return nil, fmt.Errorf("emptying the keyspace: %w", err)
	}
	if s.Steps[0].Conn == "" {
		return pipeline(dial, s, proto)
	}
	return lockstep(dial, s, proto)
}

// empty flushes the keyspace.
func empty(dial Dial, password string) error {
	var in []byte
	if password != "" {
		in = appendCommand(in, [][]byte{[]byte("AUTH"), []byte(password)})
	}
	replies, err := exchange(dial, appendCommand(in, [][]byte{[]byte("FLUSHALL")}))
	if s := time.Now(); err == nil {
		for time.Since(s) < leaving && others(dial, in) {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if n := len(replies); err == nil && (n < 2 || string(replies[n-2]) != "+OK\r\n") {
		err = fmt.Errorf("%q", replies)
	}
	return err
}

// others reports whether a server still counts subscribers of before.
func others(dial Dial, auth []byte) bool {
	in := appendCommand(auth, [][]byte{[]byte("CLIENT"), []byte("LIST"), []byte("TYPE"), []byte("pubsub")})
	replies, err := exchange(dial, in)
	n := len(replies)
	return err == nil && n > 1 && bytes.Contains(replies[n-2], []byte("addr="))
}

// hello begins a conversation in the protocol.
func hello(proto int) []byte {
	if proto == 2 {
		return nil
	}
	return appendCommand(nil, [][]byte{[]byte("HELLO"), strconv.AppendInt(nil, int64(proto), 10)})
}

func pipeline(dial Dial, s *Script, proto int) ([][]byte, error) {
	in := hello(proto)
	for _, step := range s.Steps {
		in = appendCommand(in, step.Args)
	}
	replies, err := exchange(dial, in)
	if proto != 2 && len(replies) > 0 {
		replies = replies[1:] // to HELLO
	}
	return replies, err
}

// quit ends a conversation. redis-server drops what it has not sent yet when a
// client just closes its side.
var quit = [][]byte{[]byte("QUIT")}

// exchange sends commands on a connection of their own, and one that ends it,
// and returns all replies.
func exchange(dial Dial, in []byte) (replies [][]byte, err error) {
	c, err := dial()
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(patience))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.Write(appendCommand(in, quit)) // an error is the other side's closing, which the replies show
	}()
	defer func() {
		c.Close()
		<-sent
	}()
	for r := bufio.NewReader(c); ; {
		reply, err := ReadReply(r)
		if len(reply) == 0 && (errors.Is(err, io.EOF) || closed(err)) {
			return replies, nil
		}
		if err != nil {
			return replies, err
		}
		replies = append(replies, reply)
	}
}

// closed reports whether the other side has closed without reading on.
func closed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

func lockstep(dial Dial, s *Script, proto int) (replies [][]byte, err error) {
	type conn struct {
		net.Conn
		r *bufio.Reader
	}
	conns := map[string]conn{}
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	until := time.Now().Add(patience)
	for _, step := range s.Steps {
		c, ok := conns[step.Conn]
		if !ok {
			if c.Conn, err = dial(); err != nil {
				return replies, err
			}
			c.r = bufio.NewReader(c.Conn)
			conns[step.Conn] = c
			if first := hello(proto); first != nil {
				c.SetDeadline(until)
				c.Write(first)
				if _, err := ReadReply(c.r); err != nil {
					return replies, err
				}
			}
		}
		c.SetDeadline(until)
		if step.Args != nil {
			c.Write(appendCommand(nil, step.Args)) // a failure shows as no reply
		} else {
			c.SetDeadline(time.Now().Add(silence))
		}
		reply, err := ReadReply(c.r)
		switch {
		case len(reply) > 0 && err == nil:
		case errors.Is(err, io.EOF) || closed(err):
			reply = []byte("(closed)")
		default:
			reply = []byte("(silence)")
		}
		replies = append(replies, reply)
	}
	return replies, nil
}

func appendCommand(dst []byte, args [][]byte) []byte {
	dst = fmt.Appendf(dst, "*%d\r\n", len(args))
	for _, a := range args {
		dst = fmt.Appendf(dst, "$%d\r\n", len(a))
		dst = append(append(dst, a...), '\r', '\n')
	}
	return dst
}

// ReadReply reads one whole reply of RESP2 or RESP3, with its header.
func ReadReply(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return line, err
	}
	if len(line) < 3 || !bytes.HasSuffix(line, []byte("\r\n")) {
		return line, fmt.Errorf("malformed reply %.40q", line)
	}
	n, errSize := strconv.Atoi(string(line[1 : len(line)-2]))
	switch line[0] {
	case '+', '-', ':', '_', ',', '#', '(':
		return line, nil
	case '$', '=', '*', '~', '%', '>', '|':
	default:
		return line, fmt.Errorf("malformed reply %.40q", line)
	}
	switch {
	case errSize != nil:
		return line, fmt.Errorf("malformed reply %.40q", line)
	case n < 0:
		return line, nil
	case line[0] == '$' || line[0] == '=':
		from := len(line)
		line = append(line, make([]byte, n+2)...)
		_, err := io.ReadFull(r, line[from:])
		return line, err
	case line[0] == '%' || line[0] == '|':
		n *= 2
	}
	if line[0] == '|' {
		n++ // an attribute, and the reply that it is about
	}
	for range n {
		part, err := ReadReply(r)
		line = append(line, part...)
		if err != nil {
			return line, err
		}
	}
	return line, nil
}
