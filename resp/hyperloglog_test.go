package resp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/dynaring/dynaring/resp/fidelity"
	"github.com/dynaring/dynaring/resp/hyperloglog"
)

// TestHyperLogLogLikeRedis grows HyperLogLogs by random elements, through the
// sparse form into the dense one, and wants the very bytes that Redis has.
func TestHyperLogLogLikeRedis(t *testing.T) {
	real, ours := unixDial(startRedis(t, "")), unixDial(startOurs(t, Options{}))
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 20 {
		script := fidelity.Script{File: "random", Line: round}
		step := func(words ...string) {
			args := make([][]byte, len(words))
			for i, w := range words {
				args[i] = []byte(w)
			}
			script.Steps = append(script.Steps, fidelity.Step{Line: len(script.Steps), Text: fmt.Sprintf("%.60q", words), Args: args})
		}
		space, batch := 1<<(2+random.IntN(18)), 1+random.IntN(60)
		for range 150 {
			k := fmt.Sprint("h", random.IntN(3))
			add := []string{"pfadd", k}
			for range random.IntN(batch) {
				add = append(add, fmt.Sprint(random.IntN(space)))
			}
			step(add...)
			step("get", k)
			if random.IntN(10) == 0 {
				step("pfmerge", k, fmt.Sprint("h", random.IntN(3)), fmt.Sprint("h", random.IntN(3)))
				step("get", k)
			}
		}
		step("pfcount", "h0", "h1", "h2")
		step("pfcount", "h0")
		step("pfcount", "h1")
		diffs, err := fidelity.Compare(real, ours, &script, resp2)
		if err != nil {
			t.Fatal(err)
		}
		if len(diffs) > 0 {
			t.Fatalf("%d differ, the first: %s", len(diffs), diffs[0])
		}
	}
}

// TestConcurrentPFAdds: what was added to siblings at the same time is counted
// by every command, and a write that has seen them all keeps all of it.
func TestConcurrentPFAdds(t *testing.T) {
	var parts [3]*hyperloglog.Sketch
	union := hyperloglog.New()
	for i := range parts {
		parts[i] = hyperloglog.New()
		for j := range 40 {
			e := fmt.Append(nil, i*30+j)
			add(t, parts[i], e)
			add(t, union, e)
		}
	}
	n := newFake(t, 1, Options{}).nodes[0]
	ss := n.client()
	for _, p := range parts {
		n.do(ss, [][]byte{[]byte("DPUT"), []byte("h"), p.Bytes()})
	}
	count, err := union.Count()
	if err != nil {
		t.Fatal(err)
	}
	expect := func(line, want string) {
		t.Helper()
		if got := string(n.do(ss, words(line))); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	number := fmt.Sprintf(":%d\r\n", count)
	expect("PFCOUNT h", number)
	expect("PFADD h 5 35 65", ":0\r\n") // each is in some sibling
	expect("PFMERGE copy h", "+OK\r\n")
	expect("PFCOUNT copy", number)
	if got := n.do(ss, words("GET h")); !bytes.Contains(got, union.Bytes()[16:]) {
		t.Errorf("GET h: %q", got)
	}
	expect("EXPIRE h 100", ":1\r\n") // writes the value anew
	expect("PFCOUNT h", number)
	if siblings := string(n.do(ss, words("DGET h"))); siblings[:4] != "*2\r\n" || bytes.Count([]byte(siblings), []byte("HYLL")) != 1 {
		t.Errorf("DGET h: %q", siblings)
	}

	// A newer value that is none hides them, as any SET does.
	n.do(ss, [][]byte{[]byte("DPUT"), []byte("h"), []byte("plain")})
	n.sleep(1)
	expect("GET h", "$5\r\nplain\r\n")
	expect("PFCOUNT h", "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n")
}

func add(t *testing.T, s *hyperloglog.Sketch, e []byte) {
	t.Helper()
	if _, err := s.Add(e); err != nil {
		t.Fatal(err)
	}
}
