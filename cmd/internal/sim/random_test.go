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
	simSeed  = flag.Uint64("sim.seed", 0, "seed of the first random run; 0: the fixed ones")
	simRuns  = flag.Int("sim.runs", 1, "number of random runs from sim.seed on, each with the next seed")
	simNew   = flag.Duration("sim.new", 20*time.Second, "for how long seeds are run that were never run before")
	simCost  = flag.Duration("sim.cost", 0, "skip runs that cost more; 0: none")
	simMost  = flag.Duration("sim.length", 0, "end rounds of faults after so long; 0: when the seed does")
	simLie   = flag.Bool("sim.lie", false, "disks do not sync what they say, so that law 4 is broken")
	simAgain = flag.String("sim.again", "", "the command that repeats a run, where that is not this one")
	simLog   = flag.String("sim.log", "", "file for the nodes' log and the history of the last run")
)

// fixedSeeds are run every time: between them they see most of what Draw can
// draw. Under -race it is the first ones, and those that are new.
var fixedSeeds = []uint64{2, 59, 3, 9, 10, 17, 19, 24, 25, 33, 39, 47, 53}

// hang is how long a run may take in real time: a bubble in which somebody
// waits with a lock held stands still for ever.
const hang = 4 * time.Minute

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
	seeds := fixedSeeds
	if raceEnabled {
		seeds = seeds[:2]
	}
	if *simSeed != 0 {
		seeds = nil
		for i := range *simRuns {
			seeds = append(seeds, *simSeed+uint64(i))
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { randomRun(t, Draw(seed)) })
	}
}

// maxCost is what a run may cost that nobody has asked for by its seed.
const maxCost = 2 * time.Hour

// costs estimates how much work a run is: it is about as much as the background
// work of so many hours of one node.
func (r Run) costs() time.Duration {
	idle := time.Duration(r.Nodes*r.Rounds) * (r.Length + r.Pause)
	joins := time.Duration(r.Nodes*r.Nodes) * time.Minute
	requests := 2 * time.Duration(r.Load.Clients*r.Rounds) * r.Length / (r.Load.MinThink + r.Load.MaxThink)
	return idle + time.Duration(r.Nodes)*r.Linger + joins + requests*100*time.Millisecond
}

// TestRandomNew runs seeds that nobody knows yet.
func TestRandomNew(t *testing.T) {
	if *simSeed != 0 || testing.Short() {
		t.Skip("only with the fixed seeds, and not in a hurry")
	}
	begin := time.Now()
	for seed := uint64(begin.Unix()); time.Since(begin) < *simNew && !t.Failed(); seed++ {
		if Draw(seed).costs() > maxCost {
			continue // it is for `make soak`
		}
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { randomRun(t, Draw(seed)) })
	}
}

func randomRun(t *testing.T, r Run) {
	if r.Lying = *simLie; *simMost != 0 {
		r.Length = min(r.Length, *simMost)
	}
	if *simCost != 0 && r.costs() > *simCost {
		t.Skipf("costs %v, more than %v", r.costs(), *simCost)
	}
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
		t.Errorf("%s\n%s\nfaults:\n%s", again(r.Seed), strings.Join(someOf(res.Broken), "\n"), lines(res.Steps))
	}
}

// again says how to repeat the run of a seed. Here goroutines take turns as
// they like: only under cmd/internal/replay is a seed one execution.
func again(seed uint64) string {
	if *simAgain != "" {
		return *simAgain
	}
	return fmt.Sprintf(`go test ./cmd/internal/sim -run 'TestRandom$' -sim.seed=%d
    may need some runs to fail again; make replay SEED=%d ORDERS=8
    looks for an order of goroutines in which it fails every time`, seed, seed)
}

// maxAlike is how many broken laws are shown of those that read alike.
const maxAlike = 3

// someOf leaves out what reads like what is there already.
func someOf(broken []string) (some []string) {
	alike, more := map[string]int{}, 0
	for _, b := range broken {
		kind := b
		if i := strings.IndexAny(b, `0123456789"(`); i > 0 {
			kind = b[:i-1]
		}
		if alike[kind]++; alike[kind] > maxAlike {
			more++
			continue
		}
		some = append(some, b)
	}
	if more > 0 {
		some = append(some, fmt.Sprintf("and %d more", more))
	}
	return some
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
	text := fmt.Sprintf("broken:\n%s\nfaults:\n%s\nhistory:\n%s\nlog:\n%s", strings.Join(res.Broken, "\n"), lines(res.Steps), lines(res.Ops), log.Tail(maxLogLines))
	if err := os.WriteFile(*simLog, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}
