package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"
)

var (
	simSeed = flag.Uint64("sim.seed", 1, "seed of the first random run")
	simRuns = flag.Int("sim.runs", 12, "number of random runs, each with the next seed")
	simLog  = flag.String("sim.log", "", "file for the nodes' log and the history of the last run")
)

// hang is how long a run may take in real time: a bubble in which somebody
// waits with a lock held stands still for ever.
const hang = 3 * time.Minute

// watch ends the program with all stacks if what hangs. It works outside of
// bubbles only. stop ends the watch.
func watch(what string) (stop func() bool) {
	return time.AfterFunc(hang, func() {
		debug.SetTraceback("all")
		panic(what + " hangs")
	}).Stop
}

// TestRandom runs random faults under a random load and checks the laws.
func TestRandom(t *testing.T) {
	for seed := *simSeed; seed < *simSeed+uint64(*simRuns); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { randomRun(t, Draw(seed)) })
	}
}

func randomRun(t *testing.T, r Run) {
	defer watch(r.String())()
	cryptotest.SetGlobalRandom(t, r.Seed)
	log := new(Log)
	var res Result
	begin := time.Now()
	synctest.Test(t, func(t *testing.T) {
		var err error
		res, err = r.Do(log)
		if err != nil {
			res.Broken = append(res.Broken, err.Error())
		}
	})
	outcomes := map[Outcome]int{}
	for _, o := range res.Ops {
		outcomes[o.Outcome]++
	}
	t.Logf("%v: %d faults, %d ok, %d failed, %d uncertain, in %v", r, len(res.Steps),
		outcomes[Acked], outcomes[Failed], outcomes[Uncertain], time.Since(begin).Round(time.Millisecond))
	if *simLog != "" {
		saveLog(t, log, res)
	}
	if len(res.Broken) > 0 {
		t.Errorf("go test ./cmd/internal/sim -run Random -sim.seed=%d -sim.runs=1\n%s\nfaults:\n%s",
			r.Seed, strings.Join(firstOf(res.Broken, 10), "\n"), lines(res.Steps))
	}
}

func firstOf(s []string, n int) []string {
	if len(s) > n {
		s = append(s[:n:n], fmt.Sprintf("and %d more", len(s)-n))
	}
	return s
}

func lines[T fmt.Stringer](items []T) string {
	var b strings.Builder
	for _, i := range items {
		fmt.Fprintf(&b, "    %v\n", i)
	}
	return b.String()
}

func saveLog(t *testing.T, log *Log, res Result) {
	t.Helper()
	text := fmt.Sprintf("faults:\n%s\nhistory:\n%s\nlog:\n%s", lines(res.Steps), lines(res.Ops), log.Tail(maxLogLines))
	if err := os.WriteFile(*simLog, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}
