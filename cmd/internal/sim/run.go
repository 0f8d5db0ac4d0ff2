package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/dynaring/dynaring/cmd/internal/node"
)

// Run is one random run. Everything in it follows from the seed; see Draw.
type Run struct {
	Seed       uint64
	Nodes      int
	N, R, W    int
	Durability string
	Clients    int
	Keys       int // of each family
	Padding    int // of values
	Length     time.Duration
	Calm       bool // without faults; nodes may join
	Chaos      Chaos
	SyncHigh   time.Duration // the longest sync of a log
}

// manyPairs is a --clock-max that no run reaches: a clock that is cut cannot be
// compared with what was written.
const manyPairs = 1000

// Draw returns the run of a seed.
func Draw(seed uint64) Run {
	rng := rand.New(rand.NewPCG(seed, 0))
	oneIn := func(n int) bool { return rng.IntN(n) == 0 }
	r := Run{
		Seed: seed, Nodes: 3 + rng.IntN(3), N: 3, R: 2, W: 2, Durability: "always",
		Clients: 3 + rng.IntN(5), Keys: 1 + rng.IntN(4), Length: 15 * time.Second,
		Calm: oneIn(12), Chaos: Chaos{Skews: oneIn(4), Disks: oneIn(4)},
	}
	if oneIn(4) {
		q := [][3]int{{1, 1, 1}, {2, 1, 2}, {3, 1, 3}, {3, 3, 1}, {3, 1, 1}, {5, 3, 3}}[rng.IntN(6)]
		r.N, r.R, r.W = q[0], q[1], q[2]
	}
	if oneIn(10) {
		r.Durability = [...]string{"one", "interval"}[rng.IntN(2)]
	}
	if oneIn(8) {
		r.Padding = 1 << (8 + rng.IntN(6))
	}
	if !oneIn(3) {
		r.SyncHigh = time.Duration(1+rng.IntN(20)) * time.Millisecond
	}
	if oneIn(4) && r.Nodes >= r.N {
		if oneIn(2) {
			r.Chaos.Wipe = true
		} else {
			r.Chaos.Join = []string{"n6", "n7"}[:1+rng.IntN(2)]
		}
	}
	return r
}

// rules returns what the laws promise in such a run.
func (r Run) rules(end time.Duration) Rules {
	rules := Rules{
		N: min(r.N, r.Nodes), Clocks: !r.Chaos.Skews, Faultless: r.Calm && len(r.Chaos.Join) == 0, Durable: r.Durability == "always" || r.Calm,
	}
	if r.Chaos.Wipe {
		rules.Wiped = 1
	}
	switch {
	case !rules.Durable:
		rules.From = never
	case len(r.Chaos.Join) > 0 && !r.Calm:
		// A member that is cut off while owners change goes on with the old ones.
		rules.From = end
	}
	return rules
}

// settle is how long repairs and stragglers get once the faults have ended.
const settle = 3 * time.Second

// Result is what a run found.
type Result struct {
	Steps  []Step
	Ops    []*Op
	Broken []string
}

// Do runs the run, within a bubble. It fails where the cluster could not be
// run to its end; the laws that were broken are in the result.
func (r Run) Do(log *Log) (res Result, err error) {
	c := NewCluster(Options{Seed: r.Seed, SyncLow: r.SyncHigh / 10, SyncHigh: r.SyncHigh, Configure: func(_ string, cfg *node.Config) {
		cfg.N, cfg.R, cfg.W, cfg.Durability, cfg.ClockMax = r.N, r.R, r.W, r.Durability, manyPairs
	}})
	c.Log = log
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, c.Close())
		}
	}()
	for i := range r.Nodes {
		if err := c.Start(fmt.Sprintf("n%d", i+1)); err != nil {
			return res, err
		}
	}
	if err := c.AwaitReady(); err != nil {
		return res, err
	}
	h := NewHistory()
	res.Steps, err = r.disturb(c, h)
	end := h.Since()
	if err == nil {
		err = r.heal(c)
	}
	if err == nil {
		res.Broken, err = r.converge(c, h)
	}
	res.Ops = h.Ops()
	if err != nil {
		return res, err
	}
	closed = true
	if err := c.Close(); err != nil {
		return res, err
	}
	disks, err := ReadDisks(c)
	if err != nil {
		return res, err
	}
	rules := r.rules(end)
	res.Broken = append(res.Broken, Check(rules, res.Ops)...)
	res.Broken = append(res.Broken, Audit(rules, disks, res.Ops)...)
	return res, nil
}

// disturb runs the workload and the faults beside it.
func (r Run) disturb(c *Cluster, h *History) ([]Step, error) {
	var steps []Step
	if r.Calm {
		steps = Joins(rand.New(rand.NewPCG(r.Seed, 1)), r.Length, r.Chaos.Join)
	} else {
		clients := make([]string, r.Clients)
		for i := range clients {
			clients[i] = fmt.Sprintf("c%d", i+1)
		}
		steps = Plan(rand.New(rand.NewPCG(r.Seed, 1)), c.Names(), clients, r.Length, r.Chaos)
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.Length)
	defer cancel()
	load := Workload{
		Seed: r.Seed, Clients: r.Clients, Keys: r.Keys, R: r.R, W: r.W, N: r.N, Padding: r.Padding,
		MinThink: time.Millisecond, MaxThink: 20 * time.Millisecond, SkipTTL: r.Chaos.Skews,
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		load.Run(ctx, c, h)
	}()
	defer func() { <-ended }()
	for _, s := range steps {
		time.Sleep(s.At - h.Since())
		if err := c.Fault(s.Fault); err != nil {
			cancel()
			return steps, err
		}
	}
	return steps, nil
}

// heal ends all faults.
func (r Run) heal(c *Cluster) error {
	c.Net.Heal()
	for _, name := range c.Names() {
		c.Net.Thaw(name)
		c.Node(name).SetSkew(0)
		if err := c.Ended(name); c.Node(name).Running() && err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !c.Node(name).Running() {
			if err := c.Start(name); err != nil {
				return err
			}
		}
	}
	return c.AwaitReady()
}

// converge reads every key at R=N, which repairs what differs, and looks
// whether it then is the same everywhere.
func (r Run) converge(c *Cluster, h *History) (broken []string, err error) {
	time.Sleep(settle)
	s := NewSession(c.Net.Host("reader", "127.0.2.2"), h, r.R, r.W)
	defer s.Close()
	keys := sortedKeys(byKey(h.Ops()))
	for _, name := range c.Names() {
		s.Use(c.Node(name))
		for _, key := range keys {
			all, plain := &Op{Kind: DGet, Key: key, R: r.N}, &Op{Kind: Get, Key: key}
			s.Do(all, plain)
			for _, o := range []*Op{all, plain} {
				if o.Outcome != Acked {
					broken = append(broken, "a key cannot be read when all is well\n    "+o.String())
				}
			}
		}
		time.Sleep(settle)
	}
	scanned, err := keyspace(s.client, keys)
	if err != nil {
		return broken, err
	}
	broken = append(broken, scanned...)
	for _, key := range keys {
		differ, err := differences(s.client, key)
		if err != nil {
			return broken, err
		}
		if differ != "" {
			broken = append(broken, fmt.Sprintf("%s differs on its owners after reads at R=%d:\n    %s", key, r.N, differ))
		}
	}
	return broken, nil
}

// keyspace compares what SCAN finds, what DBSIZE counts, and which keys, of
// those given and those found, EXIST.
func keyspace(client *Client, keys []string) (broken []string, err error) {
	found, err := scan(client)
	if err != nil {
		return nil, err
	}
	keys = slices.Compact(slices.Sorted(slices.Values(slices.Concat(keys, found))))
	there := slices.DeleteFunc(keys, func(key string) bool {
		n, e := client.Do("EXISTS", key)
		err = errors.Join(err, e)
		return n != int64(1)
	})
	if !slices.Equal(found, there) {
		broken = append(broken, fmt.Sprintf("SCAN finds %q, but %q are there", found, there))
	}
	size, e := client.Do("DBSIZE")
	if size != int64(len(there)) {
		broken = append(broken, fmt.Sprintf("DBSIZE is %s, but %d keys are there", FormatReply(size, e), len(there)))
	}
	return broken, err
}

// scan returns all keys that SCAN finds, in order.
func scan(client *Client) (found []string, err error) {
	for cursor := "0"; ; {
		reply, err := client.Do("SCAN", cursor, "COUNT", "3")
		page, ok := reply.([]any)
		if err != nil || !ok || len(page) != 2 {
			return nil, fmt.Errorf("SCAN %s: %s", cursor, FormatReply(reply, err))
		}
		keys, _ := page[1].([]any)
		for _, key := range keys {
			found = append(found, FormatReply(key, nil))
		}
		if cursor = FormatReply(page[0], nil); cursor == "0" {
			slices.Sort(found)
			return found, nil
		}
	}
}

// differences returns what the owners of a key hold, if it is not the same.
func differences(client *Client, key string) (string, error) {
	reply, err := client.Do("DEXPLAIN", key)
	if err != nil {
		return "", fmt.Errorf("DEXPLAIN %s: %w", key, err)
	}
	var lines []string
	digests := make(map[string]bool)
	replicas, _ := fields(reply)["replicas"].([]any)
	for _, r := range replicas {
		f := fields(r)
		if f["role"] != "owner" {
			continue
		}
		digest := FormatReply(f["digest"], nil)
		digests[digest] = true
		lines = append(lines, fmt.Sprintf("%s: %s %s", f["name"], digest, FormatReply(f["clocks"], nil)))
	}
	if len(lines) == 0 {
		return "", fmt.Errorf("DEXPLAIN %s names no owners: %s", key, FormatReply(reply, nil))
	}
	if len(digests) == 1 {
		return "", nil
	}
	return strings.Join(lines, "\n    "), nil
}

// String prints what the run is made of.
func (r Run) String() string {
	return fmt.Sprintf("seed %d: %d nodes, N/R/W %d/%d/%d, %s, %d clients, %d keys, values +%d, calm=%v, chaos=%+v, sync≤%v",
		r.Seed, r.Nodes, r.N, r.R, r.W, r.Durability, r.Clients, r.Keys, r.Padding, r.Calm, r.Chaos, r.SyncHigh)
}
