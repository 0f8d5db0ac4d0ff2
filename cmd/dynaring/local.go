package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/dynaring/dynaring/cmd/internal/node"
)

// localOptions is what `local` can be told.
type localOptions struct {
	nodes  int
	port   int
	dir    string
	serve  settings
	passed []string // environment lines of the flags that go to every node
}

const (
	localHost = "127.0.0.1"
	// maxLocalNodes keeps the derived ports of the nodes apart: from 1000 on,
	// one's gossip port would be another's RESP port.
	maxLocalNodes = 64
	// localReadyTimeout bounds the wait for the cluster to answer.
	localReadyTimeout = 60 * time.Second
	localPollEvery    = 100 * time.Millisecond
	// localFounderTimeout bounds the wait for n1 before the others are
	// started, who would only complain that it does not answer yet.
	localFounderTimeout = 5 * time.Second
	// localStopTimeout bounds the wait for the nodes' clean stop.
	localStopTimeout = 30 * time.Second
)

// perNode are the flags of serve that local sets for each node itself.
var perNode = []string{
	"name", "addr", "cluster-addr", "peer-addr", "gossip-addr", "http-addr",
	"advertise-host", "join", "data-dir", "weight", "zone",
}

func (a app) localCommand() *ffcli.Command {
	o := localOptions{nodes: 3, port: 7001}
	fs := flag.NewFlagSet("dynaring local", flag.ContinueOnError)
	fs.Var((*number)(&o.nodes), "nodes", "`NUMBER` nodes, named n1, n2, …")
	fs.Var((*number)(&o.port), "port", "`PORT` n1's port for Redis clients; the others follow")
	fs.StringVar(&o.dir, "dir", "dynaring-data", "`DIR` where the data is, one folder a node")
	serve := flag.NewFlagSet("", flag.ContinueOnError)
	o.serve.register(serve)
	serve.VisitAll(func(f *flag.Flag) {
		if !slices.Contains(perNode, f.Name) {
			fs.Var(f.Value, f.Name, f.Usage)
		}
	})
	groups := append([]flagGroup{{"This cluster", []string{"nodes", "port", "dir"}}}, serveGroups[1:]...)
	return &ffcli.Command{
		Name:       "local",
		ShortUsage: "dynaring local [--nodes 3] [--port 7001] [flags of serve]",
		ShortHelp:  "Run a cluster on this machine, one process a node.",
		LongHelp: `Starts the nodes, waits until the cluster answers, and says how to connect.
Ctrl-C stops them all cleanly; started again on the same --dir, they go on with
their data. Flags of serve are passed on to every node.`,
		FlagSet:   fs,
		Options:   sources(),
		UsageFunc: func(c *ffcli.Command) string { return usageText(c, groups) },
		Exec: func(ctx context.Context, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			fs.Visit(func(f *flag.Flag) {
				if serve.Lookup(f.Name) != nil && f.Name != "config" {
					o.passed = append(o.passed, envName(f.Name)+"="+f.Value.String())
				}
			})
			return a.local(ctx, o)
		},
	}
}

// envName returns the environment variable of a flag.
func envName(flagName string) string {
	return envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// configs returns the settings of every node, n1 first.
func (o localOptions) configs() ([]node.Config, error) {
	if o.nodes < 1 || o.nodes > maxLocalNodes {
		return nil, fmt.Errorf("--nodes %d: use 1 to %d", o.nodes, maxLocalNodes)
	}
	var all []node.Config
	for i := range o.nodes {
		c := o.serve.node
		c.Name = fmt.Sprintf("n%d", i+1)
		c.Addr = net.JoinHostPort(localHost, strconv.Itoa(o.port+i))
		c.DataDir = filepath.Join(o.dir, c.Name)
		if i > 0 {
			c.Join = []string{all[0].GossipAddr}
		}
		c, err := c.Complete()
		if err != nil {
			return nil, err
		}
		if err := c.Validate(); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// portsFree returns an error that names the first address that somebody has
// already. Nothing may be started then: beside another cluster on the same
// ports, nodes of this one would join that one.
func portsFree(configs []node.Config) error {
	for _, c := range configs {
		for _, at := range []struct{ flag, addr string }{
			{"--addr", c.Addr}, {"--cluster-addr", c.ClusterAddr}, {"--peer-addr", c.PeerAddr},
			{"--gossip-addr", c.GossipAddr}, {"--http-addr", c.HTTPAddr},
		} {
			l, err := net.Listen("tcp", at.addr)
			if err != nil {
				return fmt.Errorf("%s's %s: %w: does another cluster run on this machine? stop it, or choose another --port", c.Name, at.flag, err)
			}
			l.Close()
		}
	}
	return nil
}

// serveArgs returns the command line of one node. Every flag that differs
// between nodes is set, so that nothing in the environment can make two nodes
// the same.
func serveArgs(c node.Config) []string {
	return []string{
		"serve",
		"--name=" + c.Name,
		"--addr=" + c.Addr,
		"--cluster-addr=" + c.ClusterAddr,
		"--peer-addr=" + c.PeerAddr,
		"--gossip-addr=" + c.GossipAddr,
		"--http-addr=" + c.HTTPAddr,
		"--advertise-host=" + c.AdvertiseHost,
		"--join=" + strings.Join(c.Join, ","),
		"--data-dir=" + c.DataDir,
		"--weight=1",
		"--zone=",
		"--config=",
	}
}

// childEnv returns the environment of a node: this process's without the
// settings in it, and the settings to be passed on. They go this way because
// passwords among them must not be seen in the list of processes.
func childEnv(env, passed []string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(line string) bool {
		return strings.HasPrefix(line, envPrefix+"_")
	})
	return append(env, passed...)
}

// local runs the cluster until a signal stops it, or no node is left.
func (a app) local(ctx context.Context, o localOptions) error {
	configs, err := o.configs()
	if err != nil {
		return err
	}
	if err := portsFree(configs); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find the program itself to start the nodes with: %w", err)
	}
	nodes := newFleet(a.stderr)
	ctx, stop := untilSignal(ctx, func(text string) { nodes.out.line("dynaring: %s", text) })
	defer stop()
	for i, c := range configs {
		if err := nodes.start(exe, c.Name, serveArgs(c), childEnv(os.Environ(), o.passed)); err != nil {
			return errors.Join(err, nodes.stop(localStopTimeout))
		}
		if i == 0 { // whom the others join
			waitForFounder(ctx, c, nodes.running)
		}
	}
	readyCtx, cancel := context.WithTimeout(ctx, localReadyTimeout)
	err = waitForCluster(readyCtx, configs, nodes.running)
	cancel()
	if ctx.Err() == nil {
		a.greet(configs, o, err)
	}
	select {
	case <-ctx.Done():
		return nodes.stop(localStopTimeout)
	case <-nodes.gone():
		return errors.New("no node is left running: see above for what they said")
	}
}
