package resp

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/dynaring/dynaring/coordinator"
)

// TestAsk has commands ask others, on this node and on others, in both
// protocols.
func TestAsk(t *testing.T) {
	for _, proto := range []int{resp2, resp3} {
		for _, nodes := range []int{1, 3} {
			c := newFake(t, nodes, Options{})
			n := c.nodes[0]
			ss := n.client()
			ss.proto = proto
			b := n.server.take(context.Background(), ss)
			b.raw([]byte("+before\r\n"))
			answers, err := b.ask(
				words("set a 1 px 1000"), words("incr a"), words("dynaring.fetch a"),
				words("get none"), words("dynaring.fetch none"), words("mget a none"), words("set b x"), words("dynaring.fetch b"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range answers {
				got = append(got, show(a))
			}
			now := c.time().UnixMilli()
			want := fmt.Sprintf("+OK :2 [$2 :%d $ctx] _ _ [$2 _] +OK [$x :0 $ctx]", now+1000)
			if s := strings.Join(got, " "); s != want {
				t.Errorf("RESP%d, %d nodes: %s, want %s", proto, nodes, s, want)
			}
			if string(b.buf) != "+before\r\n" || len(b.units) > 0 || len(b.steps) > 0 {
				t.Errorf("asking left %q, %d units, %d steps", b.buf, len(b.units), len(b.steps))
			}
		}
	}
}

func show(a answer) string {
	switch {
	case a.kind == ':':
		return fmt.Sprintf(":%d", a.num)
	case a.kind == '_':
		return "_"
	case strings.HasPrefix(string(a.str), "AQ"):
		return "$ctx"
	case a.list == nil:
		return string(a.kind) + string(a.str)
	}
	var parts []string
	for _, p := range a.list {
		parts = append(parts, show(p))
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// TestAskMany asks more than one batch takes.
func TestAskMany(t *testing.T) {
	n := newFake(t, 2, Options{}).nodes[0]
	b := n.server.take(context.Background(), n.client())
	var commands [][][]byte
	for i := range 2*maxOps + 3 {
		commands = append(commands, words(fmt.Sprintf("incrby k%d %d", i, i)))
	}
	answers, err := b.ask(commands...)
	if err != nil || len(answers) != len(commands) {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	for i, a := range answers {
		if a.num != int64(i) {
			t.Fatalf("answer %d is %d", i, a.num)
		}
	}
}

// TestAskFails: the first error stands for all, whether a command was wrong, or
// failed here or at another node.
func TestAskFails(t *testing.T) {
	c := newFake(t, 2, Options{})
	n := c.nodes[0]
	b := n.server.take(context.Background(), n.client())
	if _, err := b.ask(words("set a x"), words("incr a")); err == nil || !strings.HasPrefix(err.Error(), "ERR value is not an integer") {
		t.Errorf("%v", err)
	}
	for _, node := range c.nodes {
		node.fault = func(string, []byte) error { return &coordinator.NoQuorumError{Op: "read", Need: 2, Got: 1} }
	}
	for _, k := range []string{"a", "b", "c", "d"} {
		if _, err := b.ask(words("dynaring.fetch " + k)); err == nil || !strings.HasPrefix(err.Error(), "NOQUORUM") {
			t.Errorf("%s: %v", k, err)
		}
	}
	if len(b.buf) > 0 || len(b.units) > 0 || len(b.steps) > 0 {
		t.Errorf("asking left %q, %d units, %d steps", b.buf, len(b.units), len(b.steps))
	}
}

// TestInternalCommands are not for clients.
func TestInternalCommands(t *testing.T) {
	n := newFake(t, 1, Options{}).nodes[0]
	for _, line := range []string{"dynaring.fetch k", "DYNARING.FETCH k"} {
		if got := string(n.do(n.client(), words(line))); !strings.HasPrefix(got, "-ERR unknown command") {
			t.Errorf("%s: %s", line, got)
		}
	}
	if got := string(n.do(n.client(), words("command list"))); strings.Contains(got, "fetch") {
		t.Error("COMMAND LIST shows internal commands")
	}
}

func TestParseAnswer(t *testing.T) {
	for _, bad := range []string{"", "$5\r\nabc\r\n", ":x\r\n", "*2\r\n:1\r\n", "+OK", "$3\r\nab", "$2\r\nabcd", "?1\r\n:1\r\n"} {
		if a, _, err := parseAnswer([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, a)
		}
	}
}
