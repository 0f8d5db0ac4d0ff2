package sim

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Run is one random run. Everything in it follows from the seed; see Draw.
type Run struct {
	Seed       uint64
	Nodes      int
	N, R, W    int
	Durability string
	Load       Workload
	Length     time.Duration // of a round
	Rounds     int           // of faults; between them the cluster settles
	Pause      time.Duration // after a round, once the cluster has settled
	Linger     time.Duration // after the last restart, before all is read
	Calm       bool          // without faults; nodes may join
	Pace       Pace
	Chaos      Chaos
	SyncHigh   time.Duration // the longest sync of a log
	Lying      bool          // disks do not sync what they say: never drawn, as no code can bear it
}

// manyPairs is a --clock-max that no run reaches: a clock that is cut cannot be
// compared with what was written.
const manyPairs = 1000

// collectionLimit is how long a cluster whose members are all there may take to
// collect what is dead.
const collectionLimit = 20 * time.Minute

// Draw returns the run of a seed.
func Draw(seed uint64) Run {
	rng := rand.New(rand.NewPCG(seed, 0))
	oneIn := func(n int) bool { return rng.IntN(n) == 0 }
	r := Run{Seed: seed, N: 3, R: 2, W: 2, Durability: "always", Rounds: 1, Calm: oneIn(16)}
	r.Load = Workload{Seed: seed, Clients: 3 + rng.IntN(5), Keys: 1 + rng.IntN(4), Fresh: oneIn(3)}
	r.Chaos = Chaos{Disks: oneIn(4), Held: oneIn(3)}
	r.size(rng)
	if oneIn(4) {
		r.Chaos.Skews = 10 * time.Second
		if oneIn(2) {
			r.Chaos.Skews = 5 * time.Hour
		}
	}
	if oneIn(4) {
		q := [][3]int{{1, 1, 1}, {2, 1, 2}, {3, 1, 3}, {3, 3, 1}, {3, 1, 1}, {5, 3, 3}}[rng.IntN(6)]
		r.N, r.R, r.W = q[0], q[1], q[2]
	}
	if oneIn(10) {
		r.Durability = [...]string{"one", "interval"}[rng.IntN(2)]
	}
	if oneIn(8) {
		r.Load.Padding = 1 << (8 + rng.IntN(6))
	}
	if !oneIn(3) {
		r.SyncHigh = time.Duration(1+rng.IntN(20)) * time.Millisecond
	}
	if oneIn(4) && r.Nodes >= r.N {
		if oneIn(2) {
			r.Chaos.Wipe, r.Chaos.Restore = true, oneIn(2)
		} else {
			r.Chaos.Join = []string{"j1", "j2"}[:1+rng.IntN(2)]
		}
	}
	if r.Chaos.Restore {
		switch rng.IntN(3) {
		case 0:
			r.Chaos.Join = []string{"j1", "j2"}[:1+rng.IntN(2)]
		case 1: // only what has settled in between survives both
			r.Chaos.Again, r.Rounds = true, max(r.Rounds, 2)
		}
	}
	r.Load.R, r.Load.W, r.Load.N = r.R, r.W, r.N
	r.Load.SkipTTL = r.Chaos.Skews > 0
	return r
}

// size draws how many nodes there are, and for how long.
func (r *Run) size(rng *rand.Rand) {
	r.Nodes, r.Length, r.Pace = 3+rng.IntN(5), 15*time.Second, dense
	r.Load.MinThink, r.Load.MaxThink = time.Millisecond, 20*time.Millisecond
	switch draw := rng.IntN(100); {
	case draw < 1:
		r.Nodes, r.Length, r.Pace = 50, 10*time.Second, dense
		r.Load.MaxThink = 100 * time.Millisecond
	case draw < 8:
		r.Nodes = 12
	case draw < 20: // long enough to find out who is there
		r.Length, r.Pace = 90*time.Second, loose
		r.Load.MinThink, r.Load.MaxThink = 20*time.Millisecond, 200*time.Millisecond
	case draw < 30: // outages of an hour
		r.Nodes, r.Length, r.Pace = 3+rng.IntN(3), 90*time.Minute, sparse
		r.Load.MinThink, r.Load.MaxThink = time.Second, 20*time.Second
	case draw < 40: // time to collect between the faults
		r.Rounds, r.Pause = 2+rng.IntN(2), time.Minute
	case draw < 46:
		r.Linger = collectionLimit
	case draw < 60: // keys that are deleted, and collected while others are away
		r.Nodes, r.Length, r.Pace = 3+rng.IntN(3), 8*time.Minute, grave
		r.Load.MinThink, r.Load.MaxThink = 50*time.Millisecond, time.Second
		r.Load.Fresh, r.Chaos.Held = true, true
	}
}

// rules returns what the laws promise in such a run.
func (r Run) rules(settled ...time.Duration) Rules {
	rules := Rules{
		N: min(r.N, r.Nodes), Clocks: r.Chaos.Skews == 0, Faultless: r.Calm && len(r.Chaos.Join) == 0,
		Durable: r.Durability == "always" || r.Durability == "one" && !r.Chaos.Wipe || r.Calm,
		From:    never, Settled: settled, Healed: never,
	}
	if r.Chaos.Wipe {
		rules.Wiped = 1
	}
	if r.Calm {
		rules.From = 0
	}
	if n := len(settled); n > 0 {
		rules.Healed = settled[n-1]
	}
	return rules
}

// String prints what the run is made of.
func (r Run) String() string {
	return fmt.Sprintf("seed %d: %d nodes, N/R/W %d/%d/%d, %s, %d×%v, pause %v, linger %v, %d clients, %d keys, fresh=%v, values +%d, calm=%v, chaos=%+v, sync≤%v",
		r.Seed, r.Nodes, r.N, r.R, r.W, r.Durability, r.Rounds, r.Length, r.Pause, r.Linger,
		r.Load.Clients, r.Load.Keys, r.Load.Fresh, r.Load.Padding, r.Calm, r.Chaos, r.SyncHigh)
}
