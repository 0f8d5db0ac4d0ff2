package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dynaring/dynaring/cmd/internal/node"
	"github.com/dynaring/dynaring/storage/version"
)

// Result is what a run found.
type Result struct {
	Steps  []Step
	Ops    []*Op
	Broken []string
}

// Do runs the run, within a bubble. It fails where the cluster could not be
// run to its end; the laws that were broken are in the result.
func (r Run) Do(log *Log) (res Result, err error) {
	c := NewCluster(Options{Seed: r.Seed, SyncLow: r.SyncHigh / 10, SyncHigh: r.SyncHigh, Lying: r.Lying, Configure: func(_ string, cfg *node.Config) {
		cfg.N, cfg.R, cfg.W, cfg.Durability, cfg.ClockMax = r.N, r.R, r.W, r.Durability, manyPairs
	}})
	c.Log = log
	defer func() { err = errors.Join(err, c.Close()) }()
	for i := range r.Nodes {
		if err := c.Start(fmt.Sprintf("n%d", i+1)); err != nil {
			return res, err
		}
	}
	if err := c.AwaitReady(); err != nil {
		return res, err
	}
	h := NewHistory()
	r.Load.Known = make(map[string]map[string][]version.Context)
	var settled []time.Duration
	for round := range r.Rounds {
		steps, err := r.disturb(c, h, round)
		res.Steps = append(res.Steps, steps...)
		if err == nil {
			err = c.Repair()
		}
		if err == nil {
			err = c.AwaitSettled()
		}
		if res.Ops = h.Ops(); err != nil {
			return res, err
		}
		settled = append(settled, h.Since())
		time.Sleep(r.Pause)
	}
	res.Broken, err = r.examine(c, h, r.rules(settled...))
	res.Ops = h.Ops()
	res.Broken = append(res.Broken, Check(r.rules(settled...), res.Ops)...)
	res.Broken = append(res.Broken, r.writable(res)...)
	return res, err
}

// writable checks law 5, where nobody is about to become an owner.
func (r Run) writable(res Result) []string {
	if r.Chaos.Wipe || len(r.Chaos.Join) > 0 {
		return nil
	}
	names := make([]string, r.Nodes)
	for i := range names {
		names[i] = fmt.Sprintf("n%d", i+1)
	}
	c := checker{Rules: r.rules()}
	c.writable(names, res.Steps, res.Ops)
	return c.broken
}

// disturb runs the workload and the faults beside it, and returns these.
func (r Run) disturb(c *Cluster, h *History, round int) (done []Step, err error) {
	rng := rand.New(rand.NewPCG(r.Seed, 1+uint64(round)))
	chaos := r.Chaos
	if round > 0 {
		chaos.Wipe, chaos.Join = chaos.Again && round == 1, nil
	}
	var steps []Step
	if r.Calm {
		steps = Joins(rng, r.Length, chaos.Join)
	} else {
		clients := make([]string, r.Load.Clients)
		for i := range clients {
			clients[i] = fmt.Sprintf("c%d", i+1)
		}
		steps = Plan(rng, c.Names(), clients, r.Length, r.Pace, chaos)
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.Length)
	defer cancel()
	load := r.Load
	load.Round, load.Wanes = round, round < r.Rounds-1
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		load.Run(ctx, c, h)
	}()
	defer func() { <-ended }()
	begin := h.Since()
	for _, s := range steps {
		time.Sleep(begin + s.At - h.Since())
		s.At = h.Since()
		err := c.Fault(s.Fault)
		s.Took = h.Since() - s.At
		done = append(done, s)
		if err != nil {
			cancel()
			return done, err
		}
	}
	return done, nil
}

// examine stops the cluster, which has settled, and looks at every disk without
// anybody having read; then it starts all again, reads everything, and looks
// at the disks once more.
func (r Run) examine(c *Cluster, h *History, rules Rules) (broken []string, err error) {
	before, err := c.stopAndRead()
	if err != nil {
		return nil, err
	}
	held := before.Merged()
	broken = Audit(rules, before, h.Ops(), time.Now().UnixMilli())
	if err := c.Repair(); err != nil {
		return broken, err
	}
	time.Sleep(r.Linger)
	seen, err := r.look(c, h, held)
	if broken = append(broken, seen...); err != nil {
		return broken, err
	}
	if err := c.AwaitSettled(); err != nil {
		return broken, err
	}
	after, err := c.stopAndRead()
	if err != nil {
		return broken, err
	}
	now := time.Now().UnixMilli()
	broken = append(broken, Audit(rules, after, h.Ops(), now)...)
	broken = append(broken, unchanged(held, after.Merged(), now)...)
	// While the cluster's clock stands still, because some node's was ahead, no
	// message's age can be told, and nothing is collected.
	if r.Linger >= collectionLimit && r.Chaos.Skews < time.Minute {
		broken = append(broken, uncollected(after.Merged(), now)...)
	}
	return broken, nil
}

// stopAndRead stops all nodes cleanly and reads their disks.
func (c *Cluster) stopAndRead() (Holdings, error) {
	for _, name := range c.Names() {
		if err := c.Stop(name); err != nil {
			return nil, err
		}
	}
	return ReadDisks(c)
}

// Repair ends all faults: every node runs, is in reach, and serves.
func (c *Cluster) Repair() error {
	c.Net.Heal()
	c.Net.ReleaseTo("")
	for _, name := range c.Names() {
		c.Net.Thaw(name)
		n := c.Node(name)
		n.SetSkew(0)
		if n.Running() {
			if err := c.Ended(name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			continue
		}
		if err := c.Start(name); err != nil {
			return err
		}
	}
	return c.AwaitReady()
}
