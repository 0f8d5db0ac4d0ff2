package sim

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/dynaring/dynaring/cmd/internal/node"
)

// TestScenario plays the scenarios in testdata/scenario, a cluster a file. A
// line of Cluster.Fault does what it says there; besides these there are
//
//	cluster nodes=3 [n=3] [r=2] [w=2] [durability=always] [sync=5ms] [clock-max=10] [max-siblings=128] [together]
//	    starts nodes n1, n2, …, one after the other or all together, and waits
//	    until they serve
//	do c1 n1
//	    has a client send the lines below to a node, one after the other, and
//	    shows the replies. In them $NAME stands for a context that the reply to
//	    a line "NAME = DGET …" or "NAME = DPUT …" brought.
//	local KEY
//	    shows what each running node itself holds, by DGET LOCAL
//	held KEY
//	    shows what each node's disk holds of a key, for itself and for others
//	stores
//	    shows how many cells are on each disk, and how many of them are dead
//	explain n1 KEY
//	    shows what a node says of each replica, by DEXPLAIN
//	info n1 WORD…
//	    shows the lines of a node's INFO whose names contain one of the words
//	load [clients=4] [keys=3] [for=10s] [fresh] [blind] [background]
//	    lets clients write and read at random; faults go on, none is added;
//	    fresh: keys are used for a while, and then deleted; blind: nothing is
//	    read before it is written; background: it goes on while the lines below
//	    are played
//	blame [writes] [n1 …]
//	    waits for the load's end and shows what failed, and what took longer
//	    than a request may, but for what the named nodes were asked; writes:
//	    of writes only
//	settled
//	    waits until the cluster says that it has settled
//	sleep 1s
//	after 1s reset a b
//	    does something to the network, of the above, while the lines below are
//	    played
//	ready
//	    waits until all running nodes serve and see each other
//	check
//	    heals and starts everything, waits until it has settled, and checks the
//	    laws: on the disks, on what is read then, and on what the clients of
//	    load were told
func TestScenario(t *testing.T) {
	datadriven.Walk(t, "testdata/scenario", func(t *testing.T, path string) {
		if raceEnabled && slices.Contains(long, filepath.Base(path)) {
			t.Skip("it would take minutes under -race, and is run without")
		}
		defer watch(path)()
		cryptotest.SetGlobalRandom(t, 1)
		synctest.Test(t, func(t *testing.T) {
			s := &scenario{contexts: make(map[string]string), sessions: make(map[string]*Client)}
			defer s.close(t)
			datadriven.RunTest(t, path, s.run)
		})
	})
}

// long are scenarios in which background work goes on for a long time.
var long = []string{
	"collect", "fifty", "frozen", "heldup", "late", "longcut", "minority", "oldhint", "refill", "restore", "restoredown", "restorejoin", "tworestores",
}

type scenario struct {
	cluster  *Cluster
	setup    Run
	history  *History
	sessions map[string]*Client
	contexts map[string]string
	loads    int
	since    int           // operations before the last load
	loaded   chan struct{} // closed when it has ended
	closed   bool
}

func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	var err error
	out := "ok\n"
	switch d.Cmd {
	case "cluster":
		err = s.start(t, d)
	case "do":
		return s.do(d.CmdArgs[0].Key, d.CmdArgs[1].Key, d.Input)
	case "local":
		return s.local(d.CmdArgs[0].Key)
	case "load":
		s.load(t, d)
	case "blame":
		out = s.blame(d.CmdArgs)
	case "held":
		out, err = s.held(d.CmdArgs[0].Key)
	case "stores":
		out, err = s.stores()
	case "explain":
		out, err = s.explain(d.CmdArgs[0].Key, d.CmdArgs[1].Key)
	case "info":
		out, err = s.info(d.CmdArgs)
	case "settled":
		err = s.cluster.AwaitSettled()
	case "sleep":
		var wait time.Duration
		wait, err = time.ParseDuration(d.CmdArgs[0].Key)
		time.Sleep(wait)
	case "after":
		err = s.after(d)
	case "ready":
		err = s.cluster.AwaitReady()
	case "check":
		out, err = s.check()
	default:
		err = s.cluster.Fault(d.FullCmd())
	}
	if err != nil {
		return err.Error() + "\n"
	}
	return out
}

func (s *scenario) start(t *testing.T, d *datadriven.TestData) error {
	s.setup = Run{Seed: 1, Nodes: 3, N: 3, R: 2, W: 2, Durability: "always"}
	cfg, sync := node.DefaultConfig(), "0s"
	for key, dest := range map[string]any{
		"nodes": &s.setup.Nodes, "n": &s.setup.N, "r": &s.setup.R, "w": &s.setup.W, "durability": &s.setup.Durability, "sync": &sync,
		"clock-max": &cfg.ClockMax, "max-siblings": &cfg.MaxSiblings,
	} {
		d.MaybeScanArgs(t, key, dest)
	}
	slow, err := time.ParseDuration(sync)
	if err != nil {
		return err
	}
	s.cluster = NewCluster(Options{Seed: 1, SyncLow: slow / 10, SyncHigh: slow, Configure: func(_ string, c *node.Config) {
		c.N, c.R, c.W, c.Durability = s.setup.N, s.setup.R, s.setup.W, s.setup.Durability
		c.ClockMax, c.MaxSiblings = cfg.ClockMax, cfg.MaxSiblings
	}})
	s.setup.Load = Workload{Seed: 1, R: s.setup.R, W: s.setup.W, N: s.setup.N}
	s.history = NewHistory()
	for i := range s.setup.Nodes {
		if err := s.cluster.Start(fmt.Sprintf("n%d", i+1)); err != nil {
			return err
		}
		// One after the other, so that every run has the same ring.
		if !d.HasArg("together") {
			err = s.cluster.AwaitReady()
		}
		if err != nil {
			return err
		}
	}
	return s.cluster.AwaitReady()
}

// after plans a fault of the network.
func (s *scenario) after(d *datadriven.TestData) error {
	wait, err := time.ParseDuration(d.CmdArgs[0].Key)
	if err != nil || len(d.CmdArgs) < 2 || !faults[d.CmdArgs[1].Key].hosts {
		return fmt.Errorf("when, and what of the network? %w", err)
	}
	_, fault, _ := strings.Cut(d.FullCmd(), d.CmdArgs[0].Key+" ")
	time.AfterFunc(wait, func() { _ = s.cluster.Fault(fault) }) // it names hosts, which need not be there
	return nil
}

// client returns the client of a name, connected with a node.
func (s *scenario) client(name string, n *Node) *Client {
	c := s.sessions[name]
	if c == nil {
		c = NewClient(s.cluster.Net.Host(name, fmt.Sprintf("127.0.3.%d", len(s.sessions)+1)), "", requestTimeout)
		s.sessions[name] = c
	}
	if c.addr != n.Addr() {
		c.Close()
		c.addr = n.Addr()
	}
	return c
}

func (s *scenario) do(client, node, input string) string {
	n := s.cluster.Node(node)
	if n == nil {
		return "there is no node " + node + "\n"
	}
	c := s.client(client, n)
	var out strings.Builder
	for line := range strings.SplitSeq(input, "\n") {
		name, command, named := strings.Cut(line, " = ")
		if !named {
			command = line
		}
		args := strings.Fields(command)
		for i, a := range args {
			if a, ok := strings.CutPrefix(a, "$"); ok {
				args[i] = s.contexts[a]
			}
		}
		reply, err := c.Do(args...)
		if token, ok := contextOf(args, reply); ok && named {
			s.contexts[name] = token
		}
		fmt.Fprintln(&out, show(args, reply, err))
	}
	return out.String()
}

// load runs clients, in the background until the next loaded if it is told so.
func (s *scenario) load(t *testing.T, d *datadriven.TestData) {
	load := s.setup.Load
	load.Clients, load.Keys, load.MinThink, load.MaxThink = 4, 3, time.Millisecond, 20*time.Millisecond
	load.Fresh, load.Blind, load.Round = d.HasArg("fresh"), d.HasArg("blind"), s.loads
	s.loads++
	length := "10s"
	d.MaybeScanArgs(t, "clients", &load.Clients)
	d.MaybeScanArgs(t, "keys", &load.Keys)
	d.MaybeScanArgs(t, "for", &length)
	limit, err := time.ParseDuration(length)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	s.since, s.loaded = len(s.history.Ops()), make(chan struct{})
	go func(loaded chan struct{}) {
		defer close(loaded)
		defer cancel()
		load.Run(ctx, s.cluster, s.history)
	}(s.loaded)
	if !d.HasArg("background") {
		<-s.loaded
	}
}

// blame waits for the load's end and tells what went wrong meanwhile, at nodes
// that nothing was done to.
func (s *scenario) blame(done []datadriven.CmdArg) string {
	<-s.loaded
	var out strings.Builder
	ops := s.history.Ops()
	for _, o := range ops[s.since:] {
		bad := o.Outcome != Acked || o.End-o.Start > node.DefaultConfig().Timeout
		if len(done) > 0 && done[0].Key == "writes" && o.Kind.reads() {
			continue
		}
		if bad && !slices.ContainsFunc(done, func(a datadriven.CmdArg) bool { return a.Key == o.Node }) {
			fmt.Fprintln(&out, o)
		}
	}
	if out.Len() == 0 {
		return "nothing\n"
	}
	return out.String()
}

func (s *scenario) check() (string, error) {
	if err := errors.Join(s.cluster.Repair(), s.cluster.AwaitSettled()); err != nil {
		return "", err
	}
	rules := s.setup.rules(s.history.Since())
	broken, err := s.setup.examine(s.cluster, s.history, rules)
	if err != nil {
		return "", err
	}
	if err := s.end(); err != nil {
		return "", err
	}
	broken = append(broken, Check(rules, s.history.Ops())...)
	if len(broken) > 0 {
		return strings.Join(broken, "\n") + "\n", nil
	}
	return "ok\n", nil
}

// end stops all nodes and hangs up.
func (s *scenario) end() error {
	if s.closed || s.cluster == nil {
		return nil
	}
	s.closed = true
	if s.loaded != nil {
		<-s.loaded
	}
	for _, c := range s.sessions {
		c.Close()
	}
	return s.cluster.Close()
}

func (s *scenario) close(t *testing.T) {
	t.Helper()
	if err := s.end(); err != nil {
		t.Error(err)
	}
	if t.Failed() && s.cluster != nil {
		t.Logf("the nodes' last words:\n%s", s.cluster.Log.Tail(60))
	}
}
