package resp

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/ring"
)

// drawCommand draws a command on a few keys.
func drawCommand(t *rapid.T) [][]byte {
	k := func() string { return rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "key") }
	n := rapid.IntRange(0, 9).Draw(t, "n")
	return words(rapid.SampledFrom([]string{
		fmt.Sprintf("SET %s %d", k(), n), fmt.Sprintf("SET %s %d NX", k(), n), fmt.Sprintf("SET %s %d GET", k(), n),
		"GET " + k(), "INCR " + k(), fmt.Sprintf("INCRBY %s %d", k(), n), "DEL " + k() + " " + k(), "GETDEL " + k(),
		fmt.Sprintf("MSET %s %d %s %d", k(), n, k(), n+1), "MGET " + k() + " " + k() + " " + k(),
		"EXISTS " + k() + " " + k(), fmt.Sprintf("APPEND %s %d", k(), n), "STRLEN " + k(), "DBSIZE", "SETNX " + k() + " 5",
	}).Draw(t, "command"))
}

// A pipeline's replies are those of its commands one after the other, however
// its keys are spread over nodes, and wherever writes are sent.
func TestPipelineLikeOneByOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		one, many := newFake(t, 1, Options{}).nodes[0], newFake(t, 3, Options{}).nodes[1]
		split := rapid.Bool().Draw(rt, "reads elsewhere")
		for _, n := range many.nodes {
			n.owner = func(slot uint16, class coordinator.Class) string {
				if split {
					slot += uint16(class) // each class to another node
				}
				return many.nodes[int(slot)%3].name
			}
		}
		var commands [][][]byte
		var want []byte
		ss := one.client()
		for range rapid.IntRange(1, 40).Draw(rt, "commands") {
			commands = append(commands, drawCommand(rt))
			want = append(want, one.do(ss, commands[len(commands)-1])...)
		}
		if got := many.do(many.client(), commands...); !bytes.Equal(got, want) {
			rt.Fatalf("%s\none by one %q\npipelined  %q", commands, splitReplies(want), splitReplies(got))
		}
	})
}

// Two units on one key are in order: a later wave, or the same group of the
// same wave, unless both read.
func TestSchedulerKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type placed struct {
			key         string
			group, wave int32
			writes      bool
		}
		var s scheduler
		for range 3 {
			var all []placed
			for range rapid.IntRange(0, 200).Draw(t, "units") {
				u := placed{
					key:    fmt.Sprint(rapid.IntRange(0, 60).Draw(t, "key")),
					group:  int32(rapid.IntRange(0, 4).Draw(t, "group")),
					writes: rapid.Bool().Draw(t, "writes"),
				}
				u.wave = s.place([]byte(u.key), u.group, u.writes)
				for _, e := range all {
					ordered := e.wave < u.wave || e.wave == u.wave && (e.group == u.group || !e.writes && !u.writes)
					if e.key == u.key && !ordered {
						t.Fatalf("%+v, then %+v", e, u)
					}
				}
				if u.wave > s.last {
					t.Fatalf("wave %d beyond the last, %d", u.wave, s.last)
				}
				all = append(all, u)
			}
			s.reset()
		}
	})
}

// Independent commands share two waves at most: what is written, then what is
// read of it.
func TestAlternatingPipelineIsTwoCalls(t *testing.T) {
	n := newFake(t, 1, Options{}).nodes[0]
	var commands [][][]byte
	for i := range 8 {
		commands = append(commands, words(fmt.Sprintf("SET k%d v", i)), words(fmt.Sprintf("GET k%d", i)))
	}
	n.do(n.client(), commands...)
	if n.calls.reads != 1 || n.calls.writes != 1 {
		t.Errorf("%d reads and %d writes, want one each", n.calls.reads, n.calls.writes)
	}
}

// Commands of very many keys are carried out in pieces, and answer as one.
func TestVeryManyKeys(t *testing.T) {
	n := newFake(t, 3, Options{}).nodes[0]
	const keys = 3*maxOps + 7
	mset, mget, del := words("MSET"), words("MGET"), words("DEL")
	var want []byte
	for i := range keys {
		k := fmt.Appendf(nil, "k%d", i)
		mset = append(mset, k, k)
		mget, del = append(mget, k), append(del, k)
		want = fmt.Appendf(want, "$%d\r\n%s\r\n", len(k), k)
	}
	ss := n.client()
	send := func(args [][]byte, want string) {
		t.Helper()
		if got := n.do(ss, words("PING"), args, words("PING")); string(got) != "+PONG\r\n"+want+"+PONG\r\n" {
			t.Errorf("%s: %.200q", args[0], got)
		}
	}
	send(mset, "+OK\r\n")
	send(mget, fmt.Sprintf("*%d\r\n%s", keys, want))
	send(mset[:len(mset)-1], "-ERR wrong number of arguments for 'mset' command\r\n")
	n.fault = func(op string, key []byte) error {
		if string(key) == "k0" || string(key) == "k2000" {
			return &coordinator.NoQuorumError{Op: op, Need: 2, Got: 1}
		}
		return nil
	}
	for _, other := range n.nodes {
		other.fault = n.fault
	}
	send(mget, "-NOQUORUM 1 of the 2 nodes needed for the read answered, try again\r\n")
	for _, other := range n.nodes {
		other.fault = nil
	}
	mget[3000] = bytes.Repeat([]byte("x"), DefaultMaxKey+1)
	send(mget, "-ERR key of 65537 bytes is longer than the limit of 65536 bytes (--max-key)\r\n")
	send(del, fmt.Sprintf(":%d\r\n", keys))
	if most := cap(n.server.take(t.Context(), ss).units); most > 4*maxOps {
		t.Errorf("%d units were needed", most)
	}
}

// A command that was not started because the ring has changed goes to where
// the new ring says.
func TestReroute(t *testing.T) {
	c := newFake(t, 2, Options{})
	n := c.nodes[0]
	moved := false
	n.owner = func(uint16, coordinator.Class) string {
		if moved {
			return "n2"
		}
		return "n1"
	}
	n.fault = func(string, []byte) error {
		moved = true
		return coordinator.ErrNotOwner
	}
	if got := n.do(n.client(), words("SET k v"), words("GET k")); string(got) != "+OK\r\n$1\r\nv\r\n" {
		t.Errorf("%q", got)
	}
	if n.calls.forwards != 2 {
		t.Errorf("%d calls to the new owner", n.calls.forwards)
	}
}

// A node that answers nothing is not taken for one that answered.
func TestEmptyForwardedReply(t *testing.T) {
	c := newFake(t, 1, Options{})
	n := c.nodes[0]
	n.owner = func(uint16, coordinator.Class) string { return "nobody" }
	if got := n.do(n.client(), words("GET k")); string(got) != "-"+string(errInternal)+"\r\n" {
		t.Errorf("%q", got)
	}
}

// Scanning sees every key that is there all along, whatever else happens, and
// whichever node is asked.
func TestScanMissesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newFake(t, 2, Options{})
		keep := map[string]bool{}
		for i := range rapid.IntRange(0, 60).Draw(rt, "keys") {
			k := fmt.Sprintf("k%d", i)
			if rapid.Bool().Draw(rt, "same slot") {
				k = "{tag}" + k
			}
			keep[k] = true
			c.nodes[0].do(c.nodes[0].client(), words("SET "+k+" v"))
		}
		count := rapid.IntRange(1, 20).Draw(rt, "count")
		hop := rapid.Bool().Draw(rt, "to the other node each time")
		seen, cursor := map[string]bool{}, "0"
		for calls := 0; calls == 0 || cursor != "0"; calls++ {
			if calls > 500 {
				rt.Fatal("the scan does not end")
			}
			n := c.nodes[0]
			if hop {
				n = c.nodes[calls%2] // which does not know the cursor
			}
			reply := n.do(n.client(), words(fmt.Sprintf("SCAN %s COUNT %d", cursor, count)))
			strs := bulks(reply)
			cursor = strs[0]
			for _, k := range strs[1:] {
				seen[k] = true
			}
			n.do(n.client(), words(fmt.Sprintf("SET extra%d v", calls)), words(fmt.Sprintf("DEL extra%d", calls/2)))
		}
		for k := range keep {
			if !seen[k] {
				rt.Fatalf("%s (slot %d) was missed", k, ring.Slot([]byte(k)))
			}
		}
	})
}

// bulks returns the bulk strings of a reply.
func bulks(reply []byte) (out []string) {
	for len(reply) > 0 {
		var n int
		if c, _ := fmt.Sscanf(string(reply), "$%d\r\n", &n); c == 1 {
			at := bytes.IndexByte(reply, '\n') + 1
			out = append(out, string(reply[at:at+n]))
			reply = reply[at+n+2:]
			continue
		}
		reply = reply[bytes.IndexByte(reply, '\n')+1:]
	}
	return out
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"*", "abc", true}, {"a*c", "abbbc", true}, {"a*c", "abbb", false}, {"a*b*c", "aXbYbc", true},
		{"?", "a", true}, {"?", "", false}, {"h[ae]llo", "hello", true}, {"h[^e]llo", "hello", false},
		{"[a-c]", "b", true}, {"[c-a]", "b", true}, {"[a", "a", true}, {"[", "[", false}, {`\*`, "*", true}, {`\*`, "a", false},
		{`[\]]`, "]", true}, {`\`, `\`, true}, {"a**", "a", true}, {"", "", true}, {"", "a", false}, {"[^]a", "ba", true},
	} {
		if got := glob([]byte(c.pattern), []byte(c.s)); got != c.want {
			t.Errorf("glob(%q, %q) is %v", c.pattern, c.s, got)
		}
	}
	long := bytes.Repeat([]byte("a"), 2000)
	if glob(bytes.Repeat([]byte("a*"), 500), append(long, 'b')) != true || glob(append(bytes.Repeat([]byte("a*"), 500), 'c'), long) {
		t.Error("many stars")
	}
}

// TestLargeCommandsKeepTheirOrder passes on more than a frame takes, on one key.
func TestLargeCommandsKeepTheirOrder(t *testing.T) {
	c := newFake(t, 2, Options{})
	for _, n := range c.nodes { // one of them is not the key's
		ss := n.client()
		var commands [][][]byte
		for i := range 6 {
			commands = append(commands,
				[][]byte{[]byte("GETSET"), []byte("k"), bytes.Repeat([]byte{byte('a' + i)}, 700<<10)},
				words("STRLEN k"), words("GETDEL k"), words("APPEND k x"))
		}
		replies := splitReplies(n.do(ss, commands...))
		for i := 2; i < len(replies); i += 4 {
			if want := byte('a' + i/4); len(replies[i]) < 700<<10 || replies[i][9] != want {
				t.Errorf("%s: GETDEL %d answers %.20q, want %c…", n.name, i/4, replies[i], want)
			}
		}
		n.do(ss, words("DEL k"))
	}
}
