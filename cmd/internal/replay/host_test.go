package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var newSeed = flag.Uint64("replay.seed", uint64(time.Now().Unix()), "the first seed to try")

// startHost builds the tests of a package and returns what runs them.
func startHost(t *testing.T, pkg string) *host {
	t.Helper()
	if raceEnabled {
		t.Skip("-race slows the compiler down tenfold, and sees nothing of what it compiles")
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "test.wasm")
	if err := build(t.Context(), dir, pkg, binary); err != nil {
		t.Fatal(err)
	}
	h, err := newHost(t.Context(), binary, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// TestWorld: whatever Go draws is drawn from the order, and takes no real time.
func TestWorld(t *testing.T) {
	t.Setenv("DYNARING_SECRET", "of the machine")
	h := startHost(t, "./testdata/guest")
	run := func(order uint64, test string) execution {
		t.Helper()
		e, err := h.run(t.Context(), t.TempDir(), order, "-test.v", "-test.run="+test)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	one := run(1, "TestDraw")
	if one.exit != 0 || len(one.history) == 0 {
		t.Fatalf("exit %d\n%s", one.exit, one.output)
	}
	if at := one.differs(run(1, "TestDraw")); at != "" {
		t.Errorf("the same order twice: %s", at)
	}
	lines, others := bytes.Split(one.history, []byte("\n")), bytes.Split(run(2, "TestDraw").history, []byte("\n"))
	for i, what := range []string{"map", "select", "turns", "rand"} {
		if !bytes.HasPrefix(lines[i], []byte(what)) || bytes.Equal(lines[i], others[i]) {
			t.Errorf("%s is the same in two orders:\n%s\n%s", what, lines[i], others[i])
		}
	}
	if bytes.Contains(one.history, []byte("SECRET")) {
		t.Errorf("sees the machine's environment:\n%s", one.history)
	}
	if e := run(1, "TestStuck"); e.exit == 0 || !bytes.Contains(e.output, []byte("panic: stuck")) {
		t.Errorf("exit %d of what never ends\n%s", e.exit, e.output)
	}
}

// cheap is what the run may cost that is repeated, as one seed in six does: it
// takes some seconds. Of so many tries one is as good as certain to be cheap.
const (
	cheap = "-sim.cost=50m"
	tries = 100
)

// TestReplay runs a seed that nobody knows yet, twice: every byte of what is
// printed, of the history and of the nodes' logs is the same, whether the laws
// hold or not.
func TestReplay(t *testing.T) {
	h := startHost(t, simulator)
	o := options{seed: *newSeed, orders: 1, times: 2, log: filepath.Join(t.TempDir(), "history")}
	var said strings.Builder
	for range tries {
		said.Reset()
		if err := o.runs(t.Context(), h, t.TempDir(), &said, cheap); err != nil {
			t.Fatalf("%s%v", said.String(), err)
		}
		if !strings.Contains(said.String(), "--- SKIP") {
			break
		}
		o.seed++
	}
	t.Log(said.String())
	text, err := os.ReadFile(o.log)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(regexp.MustCompile(`(?m)^ .*$`).FindAll(text, -1)); n < 100 {
		t.Errorf("a history of %d operations is too short to show anything:\n%s", n, text)
	}
}

func TestDiffers(t *testing.T) {
	e := execution{output: []byte("a\nb"), history: []byte("c\nd")}
	for _, c := range []struct {
		f    execution
		want string
	}{
		{e, ""},
		{execution{output: []byte("a\nb"), history: []byte("c\nx")}, "line 2 of the history\nd\nx"},
		{execution{output: []byte("x\nb"), history: []byte("c\nd")}, "line 1 of the output\na\nx"},
		{execution{output: []byte("a\nb"), history: []byte("c\nd\n")}, "one history is longer"},
		{execution{output: []byte("a\nb"), history: []byte("c\nd"), exit: 2}, "exit codes 0 and 2"},
	} {
		if got := e.differs(c.f); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
