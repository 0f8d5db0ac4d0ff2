package sim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Errors of a client's request. After ErrNotSent the request cannot have had
// an effect; after ErrLost it may have.
var (
	ErrNotSent = errors.New("not sent")
	ErrLost    = errors.New("no answer")
)

// ReplyError is an error that the node answered.
type ReplyError string

// Error returns the text, its code first.
func (e ReplyError) Error() string { return string(e) }

// Code returns the error's first word.
func (e ReplyError) Code() string {
	code, _, _ := strings.Cut(string(e), " ")
	return code
}

// Bounds of what a client reads, against a node that talks nonsense.
const (
	maxReplyBytes = 64 << 20
	maxReplyItems = 1 << 20
)

// Client speaks RESP2 to one node at a time, over the simulated network. It is
// for one goroutine.
type Client struct {
	host    *Host
	addr    string
	timeout time.Duration
	conn    net.Conn
	in      *bufio.Reader
}

// NewClient returns a client on a host, for the node at addr. Each request,
// connecting included, takes at most timeout.
func NewClient(host *Host, addr string, timeout time.Duration) *Client {
	return &Client{host: host, addr: addr, timeout: timeout}
}

// Addr returns the node's address.
func (c *Client) Addr() string { return c.addr }

// Close hangs up. The next request connects again.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// Do sends a command and returns its reply: nil, string, int64 or []any. An
// error is a ReplyError, or wraps ErrNotSent or ErrLost.
func (c *Client) Do(args ...string) (any, error) {
	replies, err := c.Pipeline(args)
	if err != nil {
		return nil, err
	}
	if e, ok := replies[0].(ReplyError); ok {
		return nil, e
	}
	return replies[0], nil
}

// Pipeline sends commands at once and returns their replies, errors among
// them. If an error is returned, any of them may have been executed, or, after
// ErrNotSent, none.
func (c *Client) Pipeline(commands ...[]string) ([]any, error) {
	deadline := time.Now().Add(c.timeout)
	if err := c.connect(deadline); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	replies, err := c.exchange(commands, deadline)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%w: %w", ErrLost, err)
	}
	return replies, nil
}

func (c *Client) connect(deadline time.Time) (err error) {
	if c.conn != nil {
		return nil
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	if c.conn, err = c.host.Dial(ctx, c.addr); err != nil {
		c.conn = nil
		return err
	}
	c.in = bufio.NewReader(c.conn)
	return nil
}

func (c *Client) exchange(commands [][]string, deadline time.Time) ([]any, error) {
	if err := c.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	var out []byte
	for _, args := range commands {
		out = appendCommand(out, args)
	}
	if _, err := c.conn.Write(out); err != nil {
		return nil, err
	}
	replies := make([]any, len(commands))
	for i := range replies {
		var err error
		if replies[i], err = readReply(c.in, 0); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

func appendCommand(dst []byte, args []string) []byte {
	dst = fmt.Appendf(dst, "*%d\r\n", len(args))
	for _, a := range args {
		dst = fmt.Appendf(dst, "$%d\r\n%s\r\n", len(a), a)
	}
	return dst
}

// maxReplyDepth bounds how deep arrays lie in arrays.
const maxReplyDepth = 8

// readReply reads one RESP2 reply.
func readReply(in *bufio.Reader, depth int) (any, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	kind, rest := line[0], strings.TrimSuffix(line[1:], "\r\n")
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return ReplyError(rest), nil
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	switch {
	case err != nil:
		return nil, fmt.Errorf("malformed reply %q", line)
	case kind == ':':
		return n, nil
	case n == -1 && (kind == '$' || kind == '*'):
		return nil, nil
	case kind == '$' && n >= 0 && n <= maxReplyBytes:
		bulk := make([]byte, n+2)
		_, err := io.ReadFull(in, bulk)
		return string(bulk[:n]), err
	case kind == '*' && n >= 0 && n <= maxReplyItems && depth < maxReplyDepth:
		items := make([]any, n)
		for i := range items {
			if items[i], err = readReply(in, depth+1); err != nil {
				return nil, err
			}
		}
		return items, nil
	}
	return nil, fmt.Errorf("malformed reply %q", line)
}

// FormatReply prints a reply as redis-cli does, in one line.
func FormatReply(reply any, err error) string {
	if err != nil {
		var said ReplyError
		if errors.As(err, &said) {
			return "-" + said.Error()
		}
		if errors.Is(err, ErrNotSent) {
			return "not sent"
		}
		return "no answer"
	}
	switch r := reply.(type) {
	case nil:
		return "(nil)"
	case string:
		return r
	case int64:
		return fmt.Sprintf("(integer) %d", r)
	case ReplyError:
		return "-" + r.Error()
	case []any:
		items := make([]string, len(r))
		for i := range r {
			items[i] = FormatReply(r[i], nil)
		}
		return "[" + strings.Join(items, " ") + "]"
	}
	return fmt.Sprint(reply)
}
