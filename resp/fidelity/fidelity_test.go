package fidelity

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	scripts, err := Parse("f", `#! requirepass secret
# words
SET k "a\x00b c"
#~ it may
~ TTL {tag}k

@a SUBSCRIBE {ab*3}x{c*2}
@a <
`)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for i := range scripts {
		fmt.Fprintf(&got, "%s %s\n", &scripts[i], scripts[i].Password)
		for _, s := range scripts[i].Steps {
			fmt.Fprintf(&got, "%d %q %q differs=%q near=%v\n", s.Line, s.Conn, s.Args, s.Differs, s.Near)
		}
	}
	want := `f:3 secret
3 "" ["SET" "k" "a\x00b c"] differs="" near=false
5 "" ["TTL" "{tag}k"] differs="it may" near=true
f:7 secret
7 "a" ["SUBSCRIBE" "abababxcc"] differs="" near=false
8 "a" [] differs="" near=false
`
	if got.String() != want {
		t.Errorf("%s\nwant\n%s", got.String(), want)
	}
	for _, bad := range []string{"SET \"a", "@a", "@ x", "GET a\n@b GET a", "GET {a*x}", "GET {abcdefgh*999999999}"} {
		if s, err := Parse("f", bad); err == nil {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

func TestReadReply(t *testing.T) {
	for _, reply := range []string{
		"+OK\r\n", ":1\r\n", "_\r\n", "$-1\r\n", "*-1\r\n", "$0\r\n\r\n", "$4\r\na\r\nb\r\n", ",1.5\r\n", "=5\r\ntxt:a\r\n",
		"*2\r\n:1\r\n*1\r\n+x\r\n", "%1\r\n+k\r\n:2\r\n", "~1\r\n_\r\n", ">2\r\n+a\r\n:1\r\n", "|1\r\n+k\r\n:1\r\n+OK\r\n",
	} {
		if got, err := ReadReply(bufio.NewReader(strings.NewReader(reply + "+next\r\n"))); err != nil || string(got) != reply {
			t.Errorf("%q, %v; want %q", got, err, reply)
		}
	}
	for _, bad := range []string{"", "x\r\n", "\r\n", "$5\r\nab\r\n", "$x\r\n", "*1\r\n", "+OK\n"} {
		if got, err := ReadReply(bufio.NewReader(strings.NewReader(bad))); err == nil {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}

// canned is a server that answers every connection with the same bytes.
func canned(answer string) Dial {
	return func() (net.Conn, error) {
		ours, theirs := net.Pipe()
		go io.Copy(io.Discard, theirs)
		go func() {
			io.WriteString(theirs, answer)
			theirs.Close()
		}()
		return ours, nil
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		script, real, ours string
		differ             int
	}{
		{"GET a", "+OK\r\n+OK\r\n", "+OK\r\n+OK\r\n", 0},
		{"GET a", "+OK\r\n+OK\r\n", "$1\r\na\r\n+OK\r\n+OK\r\n", 2},
		{"~ TTL a\nGET b", ":1500\r\n+OK\r\n+OK\r\n", ":1510\r\n+OK\r\n+OK\r\n", 0},
		{"~ TTL a\nGET b", ":1500\r\n+OK\r\n+OK\r\n", ":9510\r\n+OK\r\n+OK\r\n", 1},
		{"~ TTL a\nGET b", "$2\r\n99\r\n+OK\r\n+OK\r\n", "$3\r\n100\r\n+OK\r\n+OK\r\n", 0},
		{"~ ACL LOG\nGET b", "$1\r\n0\r\n+OK\r\n+OK\r\n", "$5\r\n0.015\r\n+OK\r\n+OK\r\n", 0},
		{"~ TTL a\nGET b", "+a\r\n+OK\r\n+OK\r\n", "+b\r\n+OK\r\n+OK\r\n", 1},
		{"#~ so it is\nTTL a\nGET b", "+a\r\n+OK\r\n+OK\r\n", "+b\r\n+OK\r\n+OK\r\n", 0},
		{"@a GET a\n@b GET b", "+OK\r\n+OK\r\n", "+OK\r\n+OK\r\n", 0},
		{"@a GET a\n@b GET b\n@b <\n@b <", "+OK\r\n+OK\r\n", "+OK\r\n+OK\r\n+OK\r\n", 1},
	} {
		scripts, err := Parse("f", c.script)
		if err != nil {
			t.Fatal(err)
		}
		diffs, err := Compare(canned(c.real), canned(c.ours), &scripts[0], 2)
		if err != nil || len(diffs) != c.differ {
			t.Errorf("%q: %q against %q: %v %q", c.script, c.real, c.ours, err, diffs)
		}
	}
}
