package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dynaring/dynaring/cmd/internal/node"
)

// waitForCluster waits until every node answers commands and sees every other
// one serving its share. It gives up when ctx ends, or when a node that it
// waits for has ended, and then says who is missing.
func waitForCluster(ctx context.Context, configs []node.Config, running func(name string) bool) error {
	tick := time.NewTicker(localPollEvery)
	defer tick.Stop()
	for {
		missing, gone := notReady(ctx, configs, running)
		if len(missing) == 0 {
			return nil
		}
		if gone {
			return fmt.Errorf("not the whole cluster answers: %s", strings.Join(missing, "; "))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster does not answer yet: %s", strings.Join(missing, "; "))
		case <-tick.C:
		}
	}
}

// waitForFounder waits until the first node serves. Where it does not soon, the
// others are started all the same: in a cluster that has been before they need
// none in particular, and it may wait for them.
func waitForFounder(ctx context.Context, c node.Config, running func(name string) bool) {
	ctx, cancel := context.WithTimeout(ctx, localFounderTimeout)
	defer cancel()
	tick := time.NewTicker(localPollEvery)
	defer tick.Stop()
	for running(c.Name) {
		if seesAll(ctx, c, 1) == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// notReady lists the nodes that cannot be used yet with the reason; gone tells
// that waiting will not help.
func notReady(ctx context.Context, configs []node.Config, running func(name string) bool) (missing []string, gone bool) {
	for _, c := range configs {
		if !running(c.Name) {
			missing, gone = append(missing, c.Name+" is not running"), true
			continue
		}
		if err := seesAll(ctx, c, len(configs)); err != nil {
			missing = append(missing, fmt.Sprintf("%s: %v", c.Name, err))
		}
	}
	return missing, gone
}

// seesAll asks one node whether it serves, and whether all members do.
func seesAll(ctx context.Context, c node.Config, want int) error {
	client := dial(c.Addr, c.RequirePass) // a new one: it would remember a refusal for a second
	defer client.Close()
	status, err := clusterStatus(ctx, client)
	if err != nil {
		return err
	}
	return status.serving(want)
}

// greet says how to connect and what to try.
func (a app) greet(configs []node.Config, o localOptions, err error) {
	var b strings.Builder
	if err != nil {
		fmt.Fprintf(&b, "\n%v\n", err)
	} else {
		fmt.Fprintf(&b, "\nThe cluster is ready: %d nodes, every key on %d of them.\n", len(configs), min(o.serve.node.N, len(configs)))
	}
	cli := fmt.Sprintf("redis-cli -p %d", o.port)
	if o.serve.node.RequirePass != "" {
		cli += " -a PASSWORD"
	}
	b.WriteString("\n")
	for _, c := range configs {
		fmt.Fprintf(&b, "  %-4s %s  data %s\n", c.Name, c.Addr, c.DataDir)
	}
	last := strings.Replace(cli, fmt.Sprint(o.port), fmt.Sprint(o.port+len(configs)-1), 1)
	fmt.Fprintf(&b, `
Any node takes any command:
  %[1]s SET greeting hello
  %[2]s GET greeting

Two writers that know nothing of each other leave siblings:
  %[1]s DPUT cart milk
  %[2]s DPUT cart bread
  %[1]s DGET cart             a context, and both values
  %[1]s DPUT cart "milk,bread" CONTEXT <the context>

See the members:  dynaring cluster status -a %[3]s
Ctrl-C stops the cluster.

`, cli, last, configs[0].Addr)
	fmt.Fprint(a.stdout, b.String())
}
