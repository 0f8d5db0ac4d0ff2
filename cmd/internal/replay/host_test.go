package main

import (
	"bytes"
	"flag"
	"fmt"
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

// cheap skips all runs but those that take seconds, if they are short as well. Of
// so many tries one is as good as certain to be cheap.
const (
	cheap = "-sim.cost=20m"
	tries = 100
	// telling is how many lines make a history one that shows anything: in a round
	// this short clients may not come to it.
	telling = 100
)

// TestReplay runs the simulator: every byte of what is printed, of the history
// and of the nodes' logs is the same in every run of a seed, whether the laws
// hold or not.
func TestReplay(t *testing.T) {
	h := startHost(t, simulator)
	t.Run("new", func(t *testing.T) { t.Parallel(); replayNew(t, h) })
	t.Run("failing", func(t *testing.T) { t.Parallel(); replayFailing(t, h) })
}

// replayNew runs a seed that nobody knows yet, twice, and once in another order.
func replayNew(t *testing.T, h *host) {
	o := options{seed: *newSeed, orders: 1, times: 2, log: filepath.Join(t.TempDir(), "history")}
	short := "-sim.length=1s"
	var history []byte
	for n := 0; n < telling; o.seed++ {
		said, err := o.firstCheap(t, h, short)
		if err != nil {
			t.Fatalf("%s%v", said, err)
		}
		t.Log(said)
		if history, err = os.ReadFile(o.log); err != nil {
			t.Fatal(err)
		}
		n = len(regexp.MustCompile(`(?m)^ .*$`).FindAll(history, -1))
	}
	o.seed--
	other, err := o.once(t.Context(), h, t.TempDir(), o.order+1, []string{short})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(history, other.history) {
		t.Errorf("seed %d has the same history in another order", o.seed)
	}
}

// lost is what a run on disks that lie says: a write has been lost, or the disks
// are found out by a seal.
var lost = regexp.MustCompile(`no disk holds|its files are damaged`)

// replayFailing runs a seed on disks that lie: what it loses it loses every time.
func replayFailing(t *testing.T, h *host) {
	o := options{seed: 1, orders: 1, times: 2}
	for range tries {
		said, err := o.firstCheap(t, h, "-sim.lie", "-sim.length=3s")
		if err == nil { // nothing crashed
			o.seed++
			continue
		}
		want := fmt.Sprintf("fails in order 0; it will again: make replay SEED=%d ORDER=0", o.seed)
		if !strings.HasSuffix(err.Error(), want) || !strings.Contains(said, "2 runs, the same to the last") ||
			!lost.MatchString(said) {
			t.Errorf("%s%v", said, err)
		}
		return
	}
	t.Error("disks that lie lose nothing")
}

// firstCheap runs the first seed that is cheap, from o.seed on, which it becomes.
func (o *options) firstCheap(t *testing.T, h *host, args ...string) (string, error) {
	t.Helper()
	for range tries {
		var said strings.Builder
		err := o.runs(t.Context(), h, t.TempDir(), &said, append(args, cheap)...)
		if !strings.Contains(said.String(), "--- SKIP") {
			return said.String(), err
		}
		o.seed++
	}
	t.Fatalf("no run of %d is cheap", tries)
	return "", nil
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
