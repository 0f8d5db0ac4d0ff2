package resp

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/coordinator"
)

// pipeListener accepts what dial makes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 6379} }

// from is a connection with a remote address.
type from struct {
	net.Conn
	addr net.Addr
}

func (c from) RemoteAddr() net.Addr { return c.addr }

func (l *pipeListener) dial(ip string) net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- from{theirs, &net.TCPAddr{IP: net.ParseIP(ip), Port: 50000}}
	return ours
}

// readReply reads one reply.
func readReply(r *bufio.Reader) (string, error) {
	var got []byte
	for {
		line, err := r.ReadBytes('\n')
		got = append(got, line...)
		if err != nil {
			return string(got), err
		}
		if n, err := replyLen(got); err == nil && n == len(got) {
			return string(got), nil
		}
	}
}

// begin serves a cluster's first node in a bubble.
func begin(t *testing.T, opts Options) (l *pipeListener, n *fakeNode, stop func() error) {
	n = newFake(t, 1, opts).nodes[0]
	l = newPipeListener()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.server.Serve(ctx, l, PlainView) }()
	return l, n, func() error {
		cancel()
		return <-ended
	}
}

func TestShutdownAnswersWhatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n, stop := begin(t, Options{})
		n.fault = func(string, []byte) error { time.Sleep(time.Second); return nil }
		busy, idle := l.dial("127.0.0.1"), l.dial("127.0.0.1")
		fmt.Fprint(busy, "SET k v\r\n")
		synctest.Wait()
		began := time.Now()
		answer := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(busy)
			answer <- string(b)
		}()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := <-answer; got != "+OK\r\n" {
			t.Errorf("the busy client got %q", got)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("the end took %v, the command needs a second", took)
		}
		if b, err := io.ReadAll(idle); len(b) != 0 || err != nil {
			t.Errorf("the idle client got %q, %v", b, err)
		}
		if c := n.server.Stats(); c.Clients != 0 || c.Connections != 2 {
			t.Errorf("%+v", c)
		}
	})
}

func TestShutdownCutsWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, stop := begin(t, Options{Drain: 3 * time.Second})
		c := l.dial("127.0.0.1")
		fmt.Fprint(c, "PING\r\n") // whose reply nobody reads
		synctest.Wait()
		began := time.Now()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("the end took %v", took)
		}
	})
}

func TestClientLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n, stop := begin(t, Options{MaxClients: 2})
		first := l.dial("127.0.0.1")
		l.dial("127.0.0.1")
		if b, _ := io.ReadAll(l.dial("127.0.0.1")); string(b) != "-ERR max number of clients reached\r\n" {
			t.Errorf("the third client got %q", b)
		}
		first.Close()
		synctest.Wait()
		c := l.dial("127.0.0.1")
		fmt.Fprint(c, "PING\r\n")
		if got, err := readReply(bufio.NewReader(c)); got != "+PONG\r\n" {
			t.Errorf("after one left: %q, %v", got, err)
		}
		if c := n.server.Stats(); c.Rejected != 1 || c.Clients != 2 {
			t.Errorf("%+v", c)
		}
		stop()
	})
}

func TestProtectedMode(t *testing.T) {
	for _, c := range []struct {
		opts   Options
		ip     string
		denied bool
	}{
		{Options{}, "192.0.2.1", true},
		{Options{}, "2001:db8::1", true},
		{Options{}, "127.0.0.2", false},
		{Options{}, "::1", false},
		{Options{}, "::ffff:127.0.0.1", false},
		{Options{Password: "x"}, "192.0.2.1", false},
		{Options{Unprotected: true}, "192.0.2.1", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			l, _, stop := begin(t, c.opts)
			conn := l.dial(c.ip)
			go fmt.Fprint(conn, "PING\r\n")
			got, _ := readReply(bufio.NewReader(conn))
			if denied := strings.HasPrefix(got, "-DENIED Redis is running in protected mode"); denied != c.denied {
				t.Errorf("%s with %+v: %q", c.ip, c.opts, got)
			}
			conn.Close()
			stop()
		})
	}
}

// A pipeline is one call to the backend, of whatever size it is.
func TestPipelineIsOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n, stop := begin(t, Options{})
		c := l.dial("127.0.0.1")
		r := bufio.NewReader(c)
		for round := range 40 { // more than redcon's buffer holds
			var in bytes.Buffer
			for i := range 16 {
				fmt.Fprintf(&in, "*3\r\n$3\r\nSET\r\n$4\r\nk%03d\r\n$200\r\n%s\r\n", i, strings.Repeat("x", 200))
			}
			c.Write(in.Bytes())
			for range 16 {
				if got, err := readReply(r); got != "+OK\r\n" {
					t.Fatalf("%q, %v", got, err)
				}
			}
			if n.calls.writes > round+2 { // the first does not fit the first read
				t.Fatalf("%d calls for %d pipelines", n.calls.writes, round+1)
			}
		}
		c.Close()
		stop()
	})
}

// An argument beyond the limit costs its command, not the connection.
func TestTooLargeValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, stop := begin(t, Options{MaxValue: 1000})
		c := l.dial("127.0.0.1")
		go fmt.Fprintf(c, "SET a 1\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100000\r\n%s\r\nGET a\r\n", strings.Repeat("x", 100000))
		r := bufio.NewReader(c)
		for _, want := range []string{
			"+OK\r\n",
			"-ERR argument of 100000 bytes is larger than the limit of 1000 bytes (--max-value)\r\n",
			"$1\r\n1\r\n",
		} {
			if got, err := readReply(r); got != want {
				t.Fatalf("%q, %v; want %q", got, err, want)
			}
		}
		c.Close()
		stop()
	})
}

// Large values go in and out, also more of them than a reply buffer holds.
func TestLargeValues(t *testing.T) {
	socket := startOurs(t, Options{})
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	value := strings.Repeat("0123456789abcdef", 5<<20/16)
	go func() {
		fmt.Fprintf(c, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%d\r\n%s\r\n", len(value), value)
		fmt.Fprint(c, strings.Repeat("GET a\r\n", 10)+"MGET a a\r\nPING\r\n")
	}()
	bulk := fmt.Sprintf("$%d\r\n%s\r\n", len(value), value)
	want := "+OK\r\n" + strings.Repeat(bulk, 10) + "*2\r\n" + bulk + bulk + "+PONG\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("the replies are wrong, or cut: %v", err)
	}
}

// Clients at once, on keys of their own and on a shared counter.
func TestManyClients(t *testing.T) {
	c := newFake(t, 3, Options{})
	const clients, rounds = 8, 50
	var done sync.WaitGroup
	for i := range clients {
		n := c.nodes[i%len(c.nodes)]
		socket := filepath.Join(t.TempDir(), "s")
		ln, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		serveUntilEnd(t, n.server, ln, PlainView)
		done.Go(func() {
			for round := range rounds {
				in := fmt.Sprintf("SET own%d %d\nINCR shared\nGET own%d\nMSET x%d 1 y%d 2\nMGET x%d y%d\n", i, round, i, i, i, i, i)
				got := splitReplies(talk(t, socket, []byte(in)))
				want := fmt.Sprintf("$%d\r\n%d\r\n", len(fmt.Sprint(round)), round)
				if len(got) != 5 || string(got[2]) != want || string(got[4]) != "*2\r\n$1\r\n1\r\n$1\r\n2\r\n" {
					t.Errorf("client %d: %q", i, got)
					return
				}
			}
		})
	}
	done.Wait()
	n := c.nodes[0]
	if got := n.do(n.client(), words("GET shared")); string(got) != fmt.Sprintf("$3\r\n%d\r\n", clients*rounds) {
		t.Errorf("the counter is %q", got)
	}
}

// What another node passes on runs here whatever the ring says, and what this
// node may not coordinate is handed back.
func TestExecute(t *testing.T) {
	c := newFake(t, 3, Options{})
	n := c.nodes[1]
	n.owner = func(uint16, coordinator.Class) string { panic("a passed-on command must not be routed") }
	n.fault = func(op string, key []byte) error {
		if string(key) == "moved" {
			return coordinator.ErrNotOwner
		}
		return nil
	}
	x := &coordinator.Exec{Proto: 3, R: 1, W: 3}
	for _, line := range []string{
		"SET a 1", "GET a", "GET none", "SET moved 1", "INCR a", "MGET a", "DEL a", "SET a", "FLUSHALL", "GET moved", "nonsense",
	} {
		x.Commands = append(x.Commands, coordinator.Command{Args: words(line)})
	}
	n.server.Execute(t.Context(), x)
	want := []string{
		"+OK\r\n", "$1\r\n1\r\n", "_\r\n", "", ":2\r\n", "*1\r\n$1\r\n2\r\n", ":1\r\n",
		"-ERR wrong number of arguments for 'set' command\r\n", "-ERR not a command on one key\r\n", "",
		"-ERR unknown command 'nonsense', with args beginning with: \r\n",
	}
	for i, cmd := range x.Commands {
		switch {
		case want[i] == "" && cmd.Err != coordinator.ErrNotOwner, want[i] != "" && cmd.Err != nil:
			t.Errorf("%s: %v", cmd.Args, cmd.Err)
		case want[i] != "" && string(cmd.Reply) != want[i]:
			t.Errorf("%s: %q, want %q", cmd.Args, cmd.Reply, want[i])
		}
	}
	if n.calls.r != 1 || n.calls.w != 3 {
		t.Errorf("R=%d W=%d, want the session's", n.calls.r, n.calls.w)
	}
}

func TestQuorumsReachTheBackend(t *testing.T) {
	n := newFake(t, 1, Options{}).nodes[0]
	ss := n.client()
	check := func(line string, r, w int) {
		t.Helper()
		n.calls.r, n.calls.w = -1, -1
		n.do(ss, words(line))
		if n.calls.r != r || n.calls.w != w {
			t.Errorf("%s: R=%d W=%d, want %d %d", line, n.calls.r, n.calls.w, r, w)
		}
	}
	check("GET a", 0, -1)
	check("SET a 1", -1, 0)
	check("DGET a R 3", 3, -1)
	check("DPUT a 1 W 1", -1, 1)
	check("DQUORUM R 1 W 3", -1, -1)
	check("GET a", 1, -1)
	check("INCR a", -1, 3)
	check("DGET a R 2", 2, -1)
}
