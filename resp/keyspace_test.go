package resp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRandomKeyReachesAll: every key comes up, and none far more often than
// another, though they lie unevenly.
func TestRandomKeyReachesAll(t *testing.T) {
	n := newFake(t, 2, Options{}).nodes[0]
	ss := n.client()
	const keys, draws = 40, 4000
	for i := range keys / 2 {
		n.do(ss, words(fmt.Sprintf("SET k%d v", i)), words(fmt.Sprintf("SET {tag}%d v", i)))
	}
	seen := map[string]int{}
	for range draws {
		seen[bulks(n.do(ss, words("RANDOMKEY")))[0]]++
	}
	if len(seen) != keys {
		t.Errorf("%d of %d keys came up", len(seen), keys)
	}
	for k, times := range seen { // 100 expected, a deviation of 10
		if times < 40 || times > 200 {
			t.Errorf("%s came up %d times of %d", k, times, draws)
		}
	}
}

// TestKeysIsAllOrNothing: where a part of the keyspace cannot be read, KEYS says
// so instead of leaving it out.
func TestKeysIsAllOrNothing(t *testing.T) {
	n := newFake(t, 1, Options{}).nodes[0]
	ss := n.client()
	for i := range 3 * keysPage {
		n.do(ss, words(fmt.Sprintf("SET k%d v", i)))
	}
	if got := bulks(n.do(ss, words("KEYS k*"))); len(got) != 3*keysPage {
		t.Errorf("%d keys", len(got))
	}
	n.scanFault = func(at Position) error {
		if at.Slot > slots/2 {
			return errors.New("lost")
		}
		return nil
	}
	for _, line := range []string{"KEYS *", "KEYS nothing"} {
		if got := string(n.do(ss, words(line))); got[0] != '-' {
			t.Errorf("%s: %.60q", line, got)
		}
	}
}

// TestRenameLosesNothing: what is written to the old name while it is renamed
// stays there, and so does everything if the new name cannot be written.
func TestRenameLosesNothing(t *testing.T) {
	c := newFake(t, 2, Options{})
	n := c.nodes[0]
	ss := n.client()
	n.do(ss, words("SET a 1"))
	written := false
	for _, node := range c.nodes {
		node.fault = func(op string, key []byte) error {
			if op == "write" && string(key) == "b" && !written {
				written = true
				n.do(n.client(), words("SET a 2"))
			}
			return nil
		}
	}
	if got := string(n.do(ss, words("RENAME a b"), words("GET b"), words("GET a"))); got != "+OK\r\n$1\r\n1\r\n$1\r\n2\r\n" {
		t.Errorf("%q", got)
	}
	for _, node := range c.nodes {
		node.fault = func(op string, key []byte) error {
			if op == "write" && string(key) == "c" {
				return errDisk
			}
			return nil
		}
	}
	if got := string(n.do(ss, words("RENAME a c"), words("GET a"))); !strings.HasPrefix(got, "-ERR") || !strings.HasSuffix(got, "$1\r\n2\r\n") {
		t.Errorf("%q", got)
	}
}

// TestRenameOfSiblings: the newest moves, the others go with it.
func TestRenameOfSiblings(t *testing.T) {
	n := newFake(t, 1, Options{}).nodes[0]
	ss := n.client()
	n.do(ss, words("DPUT a old"))
	n.sleep(time.Second)
	n.do(ss, words("DPUT a new"))
	if got := string(n.do(ss, words("RENAME a b"), words("GET b"), words("EXISTS a"))); got != "+OK\r\n$3\r\nnew\r\n:0\r\n" {
		t.Errorf("%q", got)
	}
}
