package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Step is a fault and when it happens, from the plan's begin.
type Step struct {
	At    time.Duration
	Fault string
}

// String prints the step as a line of a transcript.
func (s Step) String() string { return fmt.Sprintf("%v %s", s.At.Round(time.Millisecond), s.Fault) }

// Gaps between faults, and how long one lasts.
const (
	minGap   = 100 * time.Millisecond
	maxGap   = 2500 * time.Millisecond
	minFault = 50 * time.Millisecond
	maxFault = 6 * time.Second
)

// Plan draws a schedule of faults that happens within the given time. Each
// fault is undone, though maybe only when the next ones are there.
func Plan(rng *rand.Rand, nodes, clients []string, length time.Duration, skews bool) []Step {
	p := planner{rng: rng, nodes: nodes, clients: clients, busy: make(map[string]time.Duration)}
	for p.at = between(rng, minGap, maxGap); p.at < length; p.at += between(rng, minGap, maxGap) {
		p.draw(skews)
	}
	slices.SortStableFunc(p.steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return p.steps
}

type planner struct {
	rng     *rand.Rand
	nodes   []string
	clients []string
	at      time.Duration
	busy    map[string]time.Duration // until when a node is down or frozen
	steps   []Step
}

func (p *planner) pick(from []string) string { return from[p.rng.IntN(len(from))] }

// pair picks two nodes, or now and then a client and a node.
func (p *planner) pair() (a, b string) {
	if p.rng.IntN(5) == 0 {
		return p.pick(p.clients), p.pick(p.nodes)
	}
	two := p.rng.Perm(len(p.nodes))[:2]
	return p.nodes[two[0]], p.nodes[two[1]]
}

// groups cuts the nodes in two.
func (p *planner) groups() string {
	shuffled := slices.Clone(p.nodes)
	p.rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	k := 1 + p.rng.IntN(len(shuffled)-1)
	return strings.Join(shuffled[:k], " ") + "|" + strings.Join(shuffled[k:], " ")
}

// do plans a fault and what undoes it.
func (p *planner) do(fault, undo string) {
	until := p.at + between(p.rng, minFault, maxFault)
	p.steps = append(p.steps, Step{p.at, fault})
	if undo != "" {
		p.steps = append(p.steps, Step{until, undo})
	}
}

// node plans something that a node is the only one to suffer.
func (p *planner) node(fault, undo string) {
	name := p.pick(p.nodes)
	if p.busy[name] > p.at {
		return
	}
	p.do(fmt.Sprintf(fault, name), fmt.Sprintf(undo, name))
	p.busy[name] = p.steps[len(p.steps)-1].At + time.Millisecond
}

func (p *planner) draw(skews bool) {
	switch draw := p.rng.IntN(100); {
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
		silent := [...]string{"", " silent"}[p.rng.IntN(2)]
		p.node(fmt.Sprintf("crash %%s%s stays=%d", silent, 50*p.rng.IntN(3)), "start %s")
	case draw < 72:
		p.node("stop %s", "start %s")
	case draw < 82:
		p.node("freeze %s", "thaw %s")
	case draw < 90:
		a, b := p.pair()
		low := time.Duration(1+p.rng.IntN(100)) * time.Millisecond
		p.do(fmt.Sprintf("slow %s %s %v %v", a, b, low, 3*low), fmt.Sprintf("slow %s %s %v %v", a, b, defaultMinDelay, defaultMaxDelay))
	case draw < 95 || !skews:
		a, b := p.pair()
		p.do(fmt.Sprintf("loss %s %s %d", a, b, 10+p.rng.IntN(50)), fmt.Sprintf("loss %s %s 0", a, b))
	default:
		p.do(fmt.Sprintf("skew %s %v", p.pick(p.nodes), time.Duration(p.rng.IntN(20001)-10000)*time.Millisecond), "")
	}
}
