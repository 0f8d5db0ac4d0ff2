package blackbox

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// enough is more bytes than a node may take from a stranger before it refuses.
const enough = 8 << 20

// TestHostileBytes: whatever is sent, at worst its own connection ends.
func TestHostileBytes(t *testing.T) {
	c := startCluster(t, 1)
	s := c.n(1)
	attacks := map[string]string{
		"bulk length near 2^63":    "*1\r\n$9223372036854775807\r\n",
		"bulk length beyond 2^63":  "*1\r\n$92233720368547758070\r\n",
		"negative bulk length":     "*1\r\n$-5\r\n",
		"bulk length of a GiB":     "*2\r\n$3\r\nGET\r\n$1073741824\r\n",
		"10^9 arguments":           "*1000000000\r\n",
		"count near 2^63":          "*9223372036854775807\r\n",
		"count of letters":         "*abc\r\n$3\r\nGET\r\n",
		"bulk without its end":     "*1\r\n$4\r\nPINGxx",
		"no dollar":                "*1\r\nPING\r\n",
		"nulls":                    strings.Repeat("\x00", 1<<16),
		"a flood without an end":   strings.Repeat("x", enough),
		"a count without an end":   "*" + strings.Repeat("1", enough),
		"a length without an end":  "*1\r\n$" + strings.Repeat("1", enough),
		"empty commands":           strings.Repeat("*0\r\n", 1000) + strings.Repeat("\r\n", 1000),
		"unbalanced quotes":        "SET \"k v\r\n",
		"null bulks":               "*2\r\n$-1\r\n$-1\r\n",
		"a TLS hello":              "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"HTTP":                     "GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\n\r\n",
		"tiny bulks in great many": "*1000000\r\n" + strings.Repeat("$0\r\n\r\n", 1<<19),
	}
	for name, bytes := range attacks {
		for _, addr := range []string{s.addr(), s.clusterAddr()} {
			t.Run(name, func(t *testing.T) {
				attack(t, addr, []byte(bytes))
				if got := s.do("PING"); got != "PONG" {
					t.Fatalf("PING = %v", got)
				}
			})
		}
	}
	for _, port := range []int{s.port + 10000, s.port + 1000, s.port + 2000} {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		attack(t, addr, []byte("*1\r\n$9223372036854775807\r\n"))
		attack(t, addr, bytes.Repeat([]byte{0xff}, 1<<20))
		attack(t, addr, bytes.Repeat([]byte{0}, 1<<20))
	}
	if got := s.do("PING"); got != "PONG" {
		t.Fatalf("PING = %v", got)
	}
	if !s.alive() {
		t.Fatal("the node has ended")
	}
}

// attack sends bytes for as long as the server takes them, and reads whatever
// comes back for a moment.
func attack(t *testing.T, addr string, data []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = conn.Write(data) // refused or cut short: both are fine
	}()
	_, _ = io.Copy(io.Discard, conn)
	<-sent
}

// TestUnboundedInputIsCutOff: a line or a bulk without an end is refused long
// before it fills the memory.
func TestUnboundedInputIsCutOff(t *testing.T) {
	s := newServer(t, "n1", freePorts(t, 1), "--requirepass", "secret")
	s.pass = "secret"
	s.start()
	eventually(t, "n1 serves", func() error { return s.sees(1) })
	for name, head := range map[string]string{
		"line":  "",
		"count": "*",
		"bulk":  "*2\r\n$4\r\nAUTH\r\n$1000000000\r\n",
	} {
		conn, err := net.Dial("tcp", s.addr())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, head)
		chunk := bytes.Repeat([]byte("1"), 1<<16)
		taken := 0
		for taken < 1<<30 {
			n, err := conn.Write(chunk)
			taken += n
			if err != nil {
				break
			}
		}
		conn.Close()
		if taken > 64<<20 {
			t.Errorf("%s: the node took %d MiB from somebody it does not know", name, taken>>20)
		}
	}
	if got := s.do("PING"); got != "PONG" {
		t.Errorf("PING = %v", got)
	}
}

// TestMistakesKeepTheConnection: a wrong command is an error, never the end of
// the connection.
func TestMistakesKeepTheConnection(t *testing.T) {
	c := startCluster(t, 1)
	conn, err := net.Dial("tcp", c.n(1).addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for _, exchange := range [][2]string{
		{"SURF now", "-ERR unknown command 'SURF', with args beginning with: 'now' "},
		{"GET", "-ERR wrong number of arguments for 'get' command"},
		{"SET k v EX", "-ERR syntax error"},
		{"SET k v EX abc", "-ERR value is not an integer or out of range"},
		{"SET k v EX 0", "-ERR invalid expire time in 'set' command"},
		{"SELECT 1", "-ERR DB index is out of range"},
		{"SET k v", "+OK"},
		{"INCR k", "-ERR value is not an integer or out of range"},
		{"DPUT k v CONTEXT x", "-BADCONTEXT "},
		{"PING", "+PONG"},
	} {
		fmt.Fprintf(conn, "%s\r\n", exchange[0])
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: %v", exchange[0], err)
		}
		line = strings.TrimSuffix(line, "\r\n")
		if line != exchange[1] && !(strings.HasSuffix(exchange[1], " ") && strings.HasPrefix(line, exchange[1])) {
			t.Errorf("%s answers %q, want %q", exchange[0], line, exchange[1])
		}
	}
}

// TestPipelines: commands of one connection are answered in their order, and
// those on one key are run in their order.
func TestPipelines(t *testing.T) {
	c := startCluster(t, 3)
	for _, s := range c.nodes {
		conn, err := net.Dial("tcp", s.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		var out, want strings.Builder
		for i := range 500 {
			k := fmt.Sprintf("%s:%d", s.name, i%7)
			v := fmt.Sprintf("%05d", i)
			fmt.Fprintf(&out, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$5\r\n%s\r\n", len(k), k, v)
			fmt.Fprintf(&out, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(k), k)
			fmt.Fprintf(&out, "*2\r\n$4\r\nINCR\r\n$%d\r\n%s:n\r\n", len(s.name)+2, s.name)
			fmt.Fprintf(&want, "+OK\r\n$5\r\n%s\r\n:%d\r\n", v, i+1)
		}
		go func() { _, _ = io.WriteString(conn, out.String()) }()
		got := make([]byte, want.Len())
		if n, err := io.ReadFull(conn, got); err != nil {
			t.Fatalf("%s: %v after %d of %d bytes, which end %q", s.name, err, n, want.Len(), got[max(0, n-80):n])
		}
		if string(got) != want.String() {
			i := 0
			for got[i] == want.String()[i] {
				i++
			}
			from, to := max(0, i-40), min(i+40, len(got))
			t.Errorf("%s: the replies differ at byte %d: %q, want %q", s.name, i, got[from:to], want.String()[from:to])
		}
	}
}
