package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Step is a fault and when it happens, from the plan's begin. Once it has
// happened, At and Took say when it did, from the history's.
type Step struct {
	At, Took time.Duration
	Fault    string
}

// String prints the step as a line of a transcript.
func (s Step) String() string { return fmt.Sprintf("%v %s", s.At.Round(time.Millisecond), s.Fault) }

// Pace is how far faults are apart, and how long one lasts.
type Pace struct{ MinGap, MaxGap, MinFault, MaxFault time.Duration }

var (
	// dense: there is nearly always more than one.
	dense = Pace{100 * time.Millisecond, 2500 * time.Millisecond, 50 * time.Millisecond, 6 * time.Second}
	// loose: there is time to find out, and to go on with what is left.
	loose = Pace{2 * time.Second, 30 * time.Second, time.Second, 40 * time.Second}
	// grave: what is deleted is collected while it lasts.
	grave = Pace{5 * time.Second, 45 * time.Second, 2 * time.Second, 80 * time.Second}
	// sparse: outages of up to an hour.
	sparse = Pace{time.Minute, 15 * time.Minute, time.Second, time.Hour}
)

// Chaos says what a plan may do besides cuts, crashes and stops.
type Chaos struct {
	Skews   time.Duration // how far a wall clock may jump, 0: not at all
	Disks   bool          // that are full, slow, and that break
	Held    bool          // connections that deliver late
	Wipe    bool          // one node loses its disk, once
	Restore bool          // and then gets an old copy of it instead of an empty one
	Again   bool          // in the next round, a node loses its disk too
	Join    []string      // nodes that join the cluster
}

// Plan draws a schedule of faults that happens within the given time. Each
// fault is undone, though maybe only when the next ones are there.
func Plan(rng *rand.Rand, nodes, clients []string, length time.Duration, pace Pace, chaos Chaos) []Step {
	p := planner{Pace: pace, rng: rng, nodes: slices.Clone(nodes), clients: clients, chaos: chaos, busy: make(map[string]time.Duration)}
	for p.at = p.gap(); p.at < length; p.at += p.gap() {
		p.draw()
	}
	if chaos.Wipe {
		p.wipe(length)
	}
	p.steps = append(p.steps, Joins(rng, length, chaos.Join)...)
	slices.SortStableFunc(p.steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return p.steps
}

// Joins draws when new nodes start.
func Joins(rng *rand.Rand, length time.Duration, names []string) (steps []Step) {
	for _, name := range names {
		steps = append(steps, Step{At: between(rng, 0, length), Fault: "start " + name})
	}
	slices.SortFunc(steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return steps
}

type planner struct {
	Pace
	rng     *rand.Rand
	nodes   []string
	clients []string
	chaos   Chaos
	at      time.Duration
	busy    map[string]time.Duration // until when a node is down or frozen
	steps   []Step
}

func (p *planner) gap() time.Duration { return between(p.rng, p.MinGap, p.MaxGap) }

// lasts draws for how long a fault is there. Most are short, whatever the pace.
func (p *planner) lasts() time.Duration {
	most := p.MaxFault
	if p.rng.IntN(3) > 0 {
		most /= 4
	}
	return between(p.rng, p.MinFault, most)
}

func (p *planner) pick(from []string) string { return from[p.rng.IntN(len(from))] }

// pair picks two nodes, or now and then a client and a node.
func (p *planner) pair() (a, b string) {
	if len(p.nodes) == 1 || p.rng.IntN(5) == 0 {
		return p.pick(p.clients), p.pick(p.nodes)
	}
	two := p.rng.Perm(len(p.nodes))[:2]
	return p.nodes[two[0]], p.nodes[two[1]]
}

// groups cuts the nodes in two.
func (p *planner) groups() string {
	shuffled := slices.Clone(p.nodes)
	p.rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if len(shuffled) == 1 {
		return shuffled[0] + "|" + p.pick(p.clients)
	}
	k := 1 + p.rng.IntN(len(shuffled)-1)
	return strings.Join(shuffled[:k], " ") + "|" + strings.Join(shuffled[k:], " ")
}

func (p *planner) step(at time.Duration, fault string) {
	p.steps = append(p.steps, Step{At: at, Fault: fault})
}

// do plans a fault and what undoes it.
func (p *planner) do(fault, undo string) {
	until := p.at + p.lasts()
	p.step(p.at, fault)
	if undo != "" {
		p.step(until, undo)
	}
}

// node plans something that a node is the only one to suffer: each fault a
// format for its name, and at the end what undoes them.
func (p *planner) node(undo string, faults ...string) {
	name := p.pick(p.nodes)
	if p.busy[name] > p.at {
		return
	}
	for _, f := range faults[1:] {
		p.step(p.at+time.Microsecond, fmt.Sprintf(f, name))
	}
	p.do(fmt.Sprintf(faults[0], name), fmt.Sprintf(undo, name))
	p.busy[name] = p.steps[len(p.steps)-1].At + time.Millisecond
}

func (p *planner) draw() {
	switch draw := p.rng.IntN(120); {
	case draw < 10:
		p.do("cut "+p.groups(), "heal")
	case draw < 20:
		a, b := p.pair()
		p.do("cut "+a+"|"+b, "heal "+a+" "+b)
	case draw < 30:
		a, b := p.pair()
		p.do("cut-one-way "+a+" "+b, "heal "+a+" "+b)
	case draw < 40:
		a, b := p.pair()
		p.do("reset "+a+" "+b, "")
	case draw < 65:
		p.node("start %s", p.crash())
	case draw < 72:
		p.node("start %s", "stop %s")
	case draw < 82:
		p.node("thaw %s", "freeze %s")
	case draw < 90:
		a, b := p.pair()
		low := time.Duration(1+p.rng.IntN(100)) * time.Millisecond
		p.do(fmt.Sprintf("slow %s %s %v %v", a, b, low, 3*low), fmt.Sprintf("slow %s %s %v %v", a, b, defaultMinDelay, defaultMaxDelay))
	case draw < 95:
		a, b := p.pair()
		p.do(fmt.Sprintf("loss %s %s %d", a, b, 10+p.rng.IntN(50)), fmt.Sprintf("loss %s %s 0", a, b))
	default:
		p.drawChaos()
	}
}

func (p *planner) crash() string {
	silent := [...]string{"", " silent"}[p.rng.IntN(2)]
	return fmt.Sprintf("crash %%s%s stays=%d", silent, 50*p.rng.IntN(3))
}

func (p *planner) drawChaos() {
	var can []func()
	if p.chaos.Skews > 0 {
		can = append(can, func() {
			jump := between(p.rng, -p.chaos.Skews, p.chaos.Skews).Round(time.Millisecond)
			p.do(fmt.Sprintf("skew %s %v", p.pick(p.nodes), jump), "")
		})
	}
	if p.chaos.Held {
		can = append(can, func() {
			a, b := p.pair() // it is in nobody's way, and may last
			p.step(p.at, "hold "+a+" "+b)
			p.step(p.at+between(p.rng, p.MinFault, 3*p.MaxFault), "release "+a+" "+b)
		})
	}
	if p.chaos.Disks {
		can = append(can, p.breakDisk,
			func() { p.node("disk %s room", "disk %s full") },
			func() {
				p.node("disk %s slow 0s", fmt.Sprintf("disk %%s slow %v", time.Duration(1+p.rng.IntN(3000))*time.Millisecond))
			})
	}
	if len(can) > 0 {
		can[p.rng.IntN(len(can))]()
	}
}

// breakDisk has a node's disk fail, which it cannot survive; it comes back with
// what the disk still holds.
func (p *planner) breakDisk() {
	name := p.pick(p.nodes)
	if p.busy[name] > p.at {
		return
	}
	dies := p.at + p.lasts()/4
	until := dies + p.lasts()
	p.step(p.at, "disk "+name+" break")
	p.step(dies, fmt.Sprintf(p.crash(), name))
	p.step(until, "start "+name)
	p.busy[name] = until + time.Millisecond
}

// wipe has a node lose its disk, or get an old one back. It does not happen to
// be down or frozen then, nor does it go down before it can have got everything
// back.
func (p *planner) wipe(length time.Duration) {
	name := p.pick(p.nodes)
	from := between(p.rng, 0, length)
	p.steps = slices.DeleteFunc(p.steps, func(s Step) bool {
		words := strings.Fields(s.Fault)
		alone := slices.Contains([]string{"crash", "stop", "start", "freeze", "thaw", "disk"}, words[0])
		return alone && words[1] == name
	})
	loss := "wipe "
	if p.chaos.Restore {
		loss = "restore "
		p.step(between(p.rng, 0, from), "backup "+name)
	}
	p.at = from
	p.do(fmt.Sprintf(p.crash(), name), "")
	p.step(from+time.Microsecond, loss+name)
	p.step(from+p.lasts(), "start "+name)
}
