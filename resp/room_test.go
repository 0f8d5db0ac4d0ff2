package resp

import (
	"bytes"
	"strings"
	"testing"
)

// A reply that would be too large is refused, whatever number of keys it is
// made of, and nobody's memory is filled with it.
func TestRepliesAreBounded(t *testing.T) {
	const limit, size = 10_000, 900
	n := newFake(t, 2, Options{}).nodes[0]
	n.server.maxReply = limit
	ss := n.client()
	n.do(ss, words("SET k "+strings.Repeat("x", size)))
	for keys, fits := range map[int]bool{1: true, 10: true, 12: false, maxOps: false, 3 * maxOps: false} {
		got := n.do(ss, words("MGET"+strings.Repeat(" k", keys)))
		if fits == bytes.HasPrefix(got, []byte("-ERR the reply is larger than the limit of 10000 bytes: ")) || len(got) > limit+size {
			t.Errorf("MGET of %d keys: %d bytes, %.80q", keys, len(got), got)
		}
	}
	if got := string(n.do(ss, words("MGET k"), words("PING"))); !strings.HasSuffix(got, "x\r\n+PONG\r\n") {
		t.Errorf("afterwards: %.80q", got)
	}
}

// Commands of a pipeline run together as long as their replies are small: what
// waits in memory does not grow with the size of values.
func TestLargeRepliesRunApart(t *testing.T) {
	n := newFake(t, 1, Options{}).nodes[0]
	ss := n.client()
	n.do(ss, words("SET small x"), words("SET large "+strings.Repeat("x", maxReadSize/10)))
	ss = n.client() // who has not been answered yet
	calls := func(key string, commands int) int {
		before := n.calls.reads
		var all [][][]byte
		for range commands {
			all = append(all, words("GET "+key))
		}
		n.do(ss, all...)
		return n.calls.reads - before
	}
	for _, c := range []struct {
		key             string
		commands, reads int
	}{
		{"large", firstOps + 3*9, 1 + 3},
		{"small", 9 + 36 + 144 + 576 + maxOps, 5},
		{"small", 2 * maxOps, 2},
	} {
		if got := calls(c.key, c.commands); got != c.reads {
			t.Errorf("%d of %s took %d reads, want %d", c.commands, c.key, got, c.reads)
		}
	}
}
