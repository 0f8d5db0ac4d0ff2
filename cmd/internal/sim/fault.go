package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault does to the cluster what a line says. Hosts are nodes, or clients by
// their names.
//
//	cut a b|c d             no way between hosts of different groups
//	cut-one-way a b         no way from a to b
//	heal                    all cuts end
//	heal a b                the cuts between the two end
//	reset a b               connections between the two break
//	slow a b LOW HIGH       what is sent between the two takes so long
//	loss a b PERCENT        packets between the two are lost
//	hold a b                what connections from a to b carry arrives when
//	release a b             it is released, however late; new ones do not wait
//	freeze a, thaw a        its input and output stall, and go on
//	start a, stop a         cleanly
//	crash a [silent] [stays=PERCENT]
//	wipe a                  its disk, while it is down
//	backup a, restore a     its disk: kept as it is; brought back, while it is down
//	skew a DURATION         its wall clock is ahead by so much
//	disk a full|room|break|slow [SYNC]
//	damage a KEY [b]        a bit of its row of a key, or of its hint for b, while it is down
func (c *Cluster) Fault(line string) error {
	words := strings.Fields(line)
	if len(words) == 0 {
		return fmt.Errorf("no fault")
	}
	args := words[1:]
	f, ok := faults[words[0]]
	switch {
	case !ok:
		return fmt.Errorf("%q: unknown fault", line)
	case len(args) < f.least || f.most > 0 && len(args) > f.most:
		return fmt.Errorf("%q: wrong number of words", line)
	}
	if !f.hosts {
		if c.nodes[args[0]] == nil && words[0] != "start" {
			return fmt.Errorf("%q: there is no node %s", line, args[0])
		}
	}
	if err := f.do(c, args); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}

type fault struct {
	least, most int  // words behind the first; most 0: any number
	hosts       bool // they need not be nodes
	do          func(c *Cluster, args []string) error
}

var faults = map[string]fault{
	"cut": {1, 0, true, func(c *Cluster, args []string) error {
		groups := make([][]string, 0, 2)
		for g := range strings.SplitSeq(strings.Join(args, " "), "|") {
			groups = append(groups, strings.Fields(g))
		}
		if len(groups) < 2 {
			return fmt.Errorf("no | between groups")
		}
		c.Net.Partition(groups...)
		return nil
	}},
	"cut-one-way": {2, 2, true, func(c *Cluster, args []string) error {
		c.Net.CutOneWay(args[0], args[1])
		return nil
	}},
	"heal": {0, 2, true, func(c *Cluster, args []string) error {
		if len(args) == 2 {
			c.Net.HealPair(args[0], args[1])
		} else {
			c.Net.Heal()
		}
		return nil
	}},
	"reset": {2, 2, true, func(c *Cluster, args []string) error {
		c.Net.Reset(args[0], args[1])
		return nil
	}},
	"slow": {4, 4, true, func(c *Cluster, args []string) error {
		low, err := time.ParseDuration(args[2])
		if err != nil {
			return err
		}
		high, err := time.ParseDuration(args[3])
		if err == nil {
			c.Net.SetDelay(args[0], args[1], low, high)
		}
		return err
	}},
	"loss": {3, 3, true, func(c *Cluster, args []string) error {
		percent, err := strconv.Atoi(args[2])
		if err == nil {
			c.Net.SetLoss(args[0], args[1], float64(percent)/100, float64(percent)/400)
		}
		return err
	}},
	"hold":    {2, 2, true, func(c *Cluster, args []string) error { c.Net.Hold(args[0], args[1]); return nil }},
	"release": {2, 2, true, func(c *Cluster, args []string) error { c.Net.Release(args[0], args[1]); return nil }},
	"freeze":  {1, 1, true, func(c *Cluster, args []string) error { c.Net.Freeze(args[0]); return nil }},
	"thaw":    {1, 1, true, func(c *Cluster, args []string) error { c.Net.Thaw(args[0]); return nil }},
	"start":   {1, 1, false, func(c *Cluster, args []string) error { return c.Start(args[0]) }},
	"stop":    {1, 1, false, func(c *Cluster, args []string) error { return c.Stop(args[0]) }},
	"crash": {1, 3, false, func(c *Cluster, args []string) error {
		stays := 0
		for _, a := range args[1:] {
			if p, ok := strings.CutPrefix(a, "stays="); ok {
				stays, _ = strconv.Atoi(p)
			}
		}
		return c.Crash(args[0], slices.Contains(args, "silent"), stays)
	}},
	"wipe":    {1, 1, false, func(c *Cluster, args []string) error { return c.Wipe(args[0]) }},
	"backup":  {1, 1, false, func(c *Cluster, args []string) error { return c.nodes[args[0]].Disk.Backup() }},
	"restore": {1, 1, false, func(c *Cluster, args []string) error { return c.Restore(args[0]) }},
	"damage": {2, 3, false, func(c *Cluster, args []string) error {
		n := c.nodes[args[0]]
		if n.Running() {
			return fmt.Errorf("%s is running", args[0])
		}
		return n.Disk.Damage(args[1], args[2:]...)
	}},
	"skew": {2, 2, false, func(c *Cluster, args []string) error {
		d, err := time.ParseDuration(args[1])
		if err == nil {
			c.nodes[args[0]].SetSkew(d)
		}
		return err
	}},
	"disk": {2, 3, false, func(c *Cluster, args []string) error {
		d := c.nodes[args[0]].Disk
		switch args[1] {
		case "full":
			d.SetFull(true)
		case "room":
			d.SetFull(false)
		case "break":
			d.Break()
		case "slow":
			slow, err := time.ParseDuration(args[len(args)-1])
			if err != nil {
				return err
			}
			d.SetSyncDelay(slow, slow)
		default:
			return fmt.Errorf("a disk cannot be %q", args[1])
		}
		return nil
	}},
}
