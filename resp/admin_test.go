package resp

import (
	"testing"
)

// TestWaitAOF: WAITAOF, which Redis has since 7.2, answers what --durability
// says of this node and of the others that acknowledged.
func TestWaitAOF(t *testing.T) {
	for _, c := range []struct {
		process Process
		w, line string
		want    string
	}{
		{Process{OnDisk: true, AllOnDisk: true}, "DQUORUM W 2", "WAITAOF 1 1 0", "*2\r\n:1\r\n:1\r\n"},
		{Process{OnDisk: true}, "DQUORUM W 2", "WAITAOF 1 1 0", "*2\r\n:1\r\n:0\r\n"},
		{Process{}, "DQUORUM W 2", "WAITAOF 0 0 0", "*2\r\n:0\r\n:0\r\n"},
		{Process{}, "PING", "WAITAOF 2 0 0", "-ERR value is out of range, must be between 0 and 1\r\n"},
		{Process{}, "PING", "WAITAOF 0 -1 0", "-ERR value is out of range, must be positive\r\n"},
		{Process{}, "PING", "WAITAOF 0 0 -1", "-ERR timeout is negative\r\n"},
		{Process{}, "PING", "WAITAOF 0 0", "-ERR wrong number of arguments for 'waitaof' command\r\n"},
	} {
		n := newFake(t, 3, Options{Process: c.process}).nodes[0]
		ss := n.client()
		n.do(ss, words(c.w))
		if got := string(n.do(ss, words(c.line))); got != c.want {
			t.Errorf("%+v %s: %q, want %q", c.process, c.line, got, c.want)
		}
	}
}

// TestWait: as many others as acknowledge this connection's writes, and no more
// than there are.
func TestWait(t *testing.T) {
	for _, c := range []struct {
		nodes   int
		w, want string
	}{
		{3, "DQUORUM W 3", ":2\r\n"}, {3, "DQUORUM W 2", ":1\r\n"}, {3, "DQUORUM W 1", ":0\r\n"}, {1, "DQUORUM W 3", ":0\r\n"},
	} {
		n := newFake(t, c.nodes, Options{}).nodes[0]
		ss := n.client()
		n.do(ss, words(c.w))
		if got := string(n.do(ss, words("WAIT 1 0"))); got != c.want {
			t.Errorf("%d nodes, %s: %q, want %q", c.nodes, c.w, got, c.want)
		}
	}
}
