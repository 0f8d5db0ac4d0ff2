package resp

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

// TestFlushLeavesNothing: siblings, counters and what was written while the
// flush went on, wherever they are, in more pages than one.
func TestFlushLeavesNothing(t *testing.T) {
	c := newFake(t, 3, Options{})
	n := c.nodes[0]
	ss := n.client()
	const keys = 50
	for i := range keys {
		n.do(ss, words(fmt.Sprintf("SET k%d v", i)))
	}
	n.do(ss, words("DPUT s one"), words("DPUT s two"), words("INCR n"))
	var wrote atomic.Bool
	for _, node := range c.nodes {
		node.fault = func(op string, key []byte) error {
			if op == "write" && wrote.CompareAndSwap(false, true) {
				other := c.nodes[1]
				other.do(other.client(), words(fmt.Sprintf("DPUT %s unseen", key)))
			}
			return nil
		}
	}
	if got := string(n.do(ss, words("FLUSHALL ASYNC"), words("DBSIZE"), words("KEYS *"))); got != "+OK\r\n:0\r\n*0\r\n" {
		t.Error(got)
	}
	for i := range keys {
		if got := string(n.do(ss, words(fmt.Sprintf("GET k%d", i)))); got != "$-1\r\n" {
			t.Errorf("k%d: %q", i, got)
		}
	}
	if !wrote.Load() {
		t.Error("nothing was written meanwhile")
	}
	for k, cell := range c.cells {
		if left := cell.Siblings(n.time().UnixMilli()); len(left) > 0 {
			t.Errorf("%s: %v", k, left)
		}
	}
	if got := string(n.do(ss, words("INCR n"), words("SET k0 new"), words("GET k0"))); got != ":1\r\n+OK\r\n$3\r\nnew\r\n" {
		t.Error(got)
	}
}

// TestFlushThatFails: a flush that could not delete a key does not say OK.
func TestFlushThatFails(t *testing.T) {
	c := newFake(t, 2, Options{})
	n := c.nodes[0]
	ss := n.client()
	n.do(ss, words("SET a v"), words("SET b v"), words("SET c v"))
	for _, node := range c.nodes {
		node.fault = func(op string, key []byte) error {
			if op == "write" && string(key) == "b" {
				return errDisk
			}
			return nil
		}
	}
	if got := string(n.do(ss, words("FLUSHALL"))); got[0] != '-' {
		t.Error(got)
	}
	if got := string(n.do(ss, words("GET b"))); got != "$1\r\nv\r\n" {
		t.Error(got)
	}
	for _, name := range []string{wipeName, dropName, fetchName} {
		if got := string(n.do(ss, words(name+" b x"))); !strings.HasPrefix(got, "-ERR unknown command") {
			t.Errorf("%s is for clients: %s", name, got)
		}
	}
}
