package resp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dynaring/dynaring/resp/fidelity"
)

// TestLikeRedis sends the scripts of testdata/redis to a real redis-server and
// to this one, in both protocols. cmd/internal/blackbox does so with a cluster.
func TestLikeRedis(t *testing.T) {
	scripts, err := fidelity.Load(filepath.Join("testdata", "redis"))
	if err != nil {
		t.Fatal(err)
	}
	type pair struct{ real, ours fidelity.Dial }
	servers := map[fidelity.Needs]pair{}
	for i := range scripts {
		s := &scripts[i]
		p, ok := servers[s.Needs]
		if !ok {
			p = pair{unixDial(startRedisFor(t, s.Needs)), unixDial(startOursFor(t, s.Needs))}
			servers[s.Needs] = p
		}
		for _, proto := range []int{resp2, resp3} {
			diffs, err := fidelity.Compare(p.real, p.ours, s, proto)
			if err != nil {
				t.Errorf("%s: %v", s, err)
			}
			for _, d := range diffs {
				t.Error(d)
			}
		}
	}
}

func unixDial(socket string) fidelity.Dial {
	return func() (net.Conn, error) { return net.Dial("unix", socket) }
}

// TestProtocolLikeRedis does so with what is not, or barely, the protocol.
// Each is followed by a PING, which tells whether the connection was closed.
func TestProtocolLikeRedis(t *testing.T) {
	open := []string{
		"*-5\r\n", "*0\r\n", "*1\r\n$-1\r\n", "*1\r\n$536870913\r\n", "*1\r\nPING\r\n", "*abc\r\n", "*2147483648\r\n",
		"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n", "\"a\r\n", "PING \"a b\"\r\n", "PING 'a'x\r\n", " \r\n\r\nPING\n",
		"*1\r\n\r\n", "*01\r\n$4\r\nPING\r\n", "*1\r\n$04\r\nPING\r\n", "*1\rx$4\rxPINGxx", "$4\r\nPING\r\n",
		"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$9223372036854775807\r\n", "*1\r\n$9223372036854775807\r\n", "*1\r\n$0\r\n\r\n",
		"\r\n*\r\n", "get a\\x41 b\r\n", "*+1\r\n$4\r\nPING\r\n", "PING\rPING\r\n", "*1\r\n$4\nPING\r\n",
		`ping "\x41\n\b\q\a\r\t\x4"` + "\r\n", `ping 'a\'b\n'` + "\r\n", `ping a"b c"` + "\r\n", `ping "a"b` + "\r\n",
		"ping\vx\v\"y\"\r\n", "*1\r\n+4\r\n", "*1\r\n\r\r\n", "*1\r\n\n\r\n", "*-0\r\n", "*-1\r\n", "*\r\n", "*1\r\n$\r\n",
		"PING\r\n*1\r\nx\r\n", "PING\r\nPING\r\n\"\r\n", "QUIT\r\n", "*1\r\n$4\r\nQUIT\r\n*1\r\nx", "PING 'it\\'s' \"\\\"\"\r\n",
		"*1\r\n$" + strings.Repeat("1", 100) + "\r\n", "ECHO " + strings.Repeat("a ", 20) + "\r\n", "x " + strings.Repeat("a ", 20000) + "\r\n",
		"ECHO " + strings.Repeat("b", 60000) + "\r\n",
	}
	unauth := []string{
		"*11\r\n", "*10\r\n$4\r\nPING\r\n", "*1\r\n$16385\r\n", "*1\r\n$16384\r\n", "AUTH secret\r\n*1\r\n$16385\r\n" + strings.Repeat("x", 16387),
		"AUTH secret\r\n*11\r\n" + strings.Repeat("$1\r\na\r\n", 11),
	}
	// Redis looks for the line's end before it minds the length, so what it
	// says to a line that does end depends on how it was cut.
	endless := []string{"*" + strings.Repeat("1", 65*1024), "*1\r\n$" + strings.Repeat("1", 65*1024), strings.Repeat("a", 65*1024)}
	for _, mode := range []struct {
		password string
		inputs   []string
	}{{"", open}, {"secret", append(unauth, open...)}} {
		real, ours := startRedis(t, mode.password), startOurs(t, Options{Password: mode.password})
		for _, in := range mode.inputs {
			compare(t, real, ours, []byte(in+"PING\r\n"))
		}
		for _, in := range endless {
			compare(t, real, ours, []byte(in))
		}
	}
}

// TestTableLikeRedis compares COMMAND's answers on every command that Redis
// has too.
func TestTableLikeRedis(t *testing.T) {
	real, ours := startRedis(t, ""), startOurs(t, Options{})
	s := newFake(t, 1, Options{}).nodes[0].server
	for _, r := range s.table.rows {
		if r.since == "0.1.0" || r.since >= "7.2" {
			continue
		}
		names := []string{r.name}
		if r.subs != nil && r.name != "command" {
			names = nil // the others' containers have more in Redis
		}
		for _, sub := range r.subs {
			if sub.since < "7.2" {
				names = append(names, sub.name)
			}
		}
		for _, name := range names {
			if name == "client|help" || name == "command" {
				continue
			}
			compare(t, real, ours, fmt.Appendf(nil, "COMMAND INFO %s\r\nCOMMAND DOCS %s\r\n", name, name))
			if name != "command" { // Redis's subcommands are in no order
				compare(t, real, ours, fmt.Appendf(nil, "HELLO 3 SETNAME x\r\nCOMMAND INFO %s\r\nCOMMAND DOCS %s\r\n", name, name))
			}
		}
	}
}

// startRedis starts a redis-server for the test and returns its socket.
func startRedis(t *testing.T, password string) string {
	return startRedisFor(t, fidelity.Needs{Password: password})
}

func startRedisFor(t *testing.T, needs fidelity.Needs) string {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("SKIPPED: redis-server is not installed, nothing to compare with")
	}
	socket, stop, err := fidelity.Start(path, t.TempDir(), needs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return socket
}

// startOurs serves a node of its own on a socket.
func startOurs(t *testing.T, opts Options) string { return startView(t, opts, PlainView) }

func startOursFor(t *testing.T, needs fidelity.Needs) string {
	view := PlainView
	if needs.Cluster {
		view = ClusterView
	}
	return startView(t, Options{Password: needs.Password}, view)
}

func startView(t *testing.T, opts Options, view View) string {
	opts.Now = time.Now
	n := newFake(t, 1, opts).nodes[0]
	n.wall = true
	socket := filepath.Join(t.TempDir(), "ours.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	serveUntilEnd(t, n.server, ln, view)
	return socket
}

// serveUntilEnd serves a listener until the test ends.
func serveUntilEnd(t *testing.T, s *Server, ln net.Listener, view View) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln, view) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// talk sends bytes on a connection of their own and returns the answer.
func talk(t *testing.T, socket string, in []byte) []byte {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	go func() {
		c.Write(in) // an error is the other side's closing, which the answer shows
		c.(*net.UnixConn).CloseWrite()
	}()
	out, err := io.ReadAll(c)
	if err != nil && len(out) == 0 {
		t.Fatalf("%q: %v", in[:min(len(in), 80)], err)
	}
	return out
}

func compare(t *testing.T, real, ours string, in []byte) {
	t.Helper()
	want, got := mask(talk(t, real, in)), mask(talk(t, ours, in))
	if !bytes.Equal(want, got) {
		t.Errorf("%s\nredis: %s\nours:  %s", fidelity.Clip(in), fidelity.Clip(want), fidelity.Clip(got))
	}
}

// clientIDs are where HELLO's answers have a connection's id.
var clientIDs = regexp.MustCompile(`\$2\r\nid\r\n:\d+\r\n`)

func mask(out []byte) []byte { return clientIDs.ReplaceAll(out, []byte("$$2\r\nid\r\n:1\r\n")) }
