package sim

import (
	"context"
	"errors"
	"fmt"
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
//	cluster nodes=3 [n=3] [r=2] [w=2] [durability=always] [sync=5ms] [clock-max=10] [max-siblings=128]
//	    starts nodes n1, n2, …, and waits until they serve
//	do c1 n1
//	    has a client send the lines below to a node, one after the other, and
//	    shows the replies. In them $NAME stands for a context that the reply to
//	    a line "NAME = DGET …" or "NAME = DPUT …" brought.
//	local KEY
//	    shows what each running node itself holds, by DGET LOCAL
//	load [clients=4] [keys=3] [for=10s] [fresh]
//	    lets clients write and read at random; faults go on, none is added;
//	    fresh: keys are used for a while, and then deleted
//	sleep 1s
//	ready
//	    waits until all running nodes serve and see each other
//	check
//	    heals and starts everything, waits until it has settled, and checks the
//	    laws: on the disks, on what is read then, and on what the clients of
//	    load were told
func TestScenario(t *testing.T) {
	datadriven.Walk(t, "testdata/scenario", func(t *testing.T, path string) {
		defer watch(path)()
		cryptotest.SetGlobalRandom(t, 1)
		synctest.Test(t, func(t *testing.T) {
			s := &scenario{contexts: make(map[string]string), sessions: make(map[string]*Client)}
			defer s.close(t)
			datadriven.RunTest(t, path, s.run)
		})
	})
}

type scenario struct {
	cluster  *Cluster
	setup    Run
	history  *History
	sessions map[string]*Client
	contexts map[string]string
	loads    int
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
	case "sleep":
		var wait time.Duration
		wait, err = time.ParseDuration(d.CmdArgs[0].Key)
		time.Sleep(wait)
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
		if err := s.cluster.AwaitReady(); err != nil {
			return err
		}
	}
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

// contextOf returns the context that a reply brought.
func contextOf(args []string, reply any) (string, bool) {
	if list, ok := reply.([]any); ok && args[0] == "DGET" {
		reply = list[0]
	}
	token, ok := reply.(string)
	return token, ok && strings.HasPrefix(args[0], "D") && args[0] != "DEL"
}

// show prints a reply without what differs from run to run: contexts and
// timestamps.
func show(args []string, reply any, err error) string {
	list, isList := reply.([]any)
	switch {
	case err != nil:
	case args[0] == "DPUT" || args[0] == "DDEL":
		return "a context"
	case args[0] == "DGET" && isList && list[0] == nil:
		return "never written"
	case args[0] == "DGET" && isList:
		siblings, _ := list[1].([]any)
		words := make([]string, len(siblings))
		for i, v := range siblings {
			words[i] = showSibling(v)
		}
		return "[" + strings.Join(words, " ") + "]"
	}
	return FormatReply(reply, err)
}

// showSibling prints a value, and its clock if it came along.
func showSibling(v any) string {
	detail, ok := v.([]any)
	if !ok {
		return FormatReply(v, nil)
	}
	pairs, _ := detail[1].([]any)
	words := make([]string, len(pairs))
	for i, p := range pairs {
		pair, _ := p.([]any)
		words[i] = fmt.Sprintf("(%v,%v)", pair...)
	}
	return fmt.Sprintf("%s [%s]", FormatReply(detail[0], nil), strings.Join(words, ","))
}

func (s *scenario) local(key string) string {
	var out strings.Builder
	for _, name := range s.cluster.Names() {
		n := s.cluster.Node(name)
		if !n.Running() {
			continue
		}
		c := NewClient(s.cluster.Net.Host("local", "127.0.2.3"), n.Addr(), requestTimeout)
		reply, err := c.Do("DGET", key, "LOCAL", "WITHCLOCKS")
		fmt.Fprintf(&out, "%s: %s\n", name, show([]string{"DGET"}, reply, err))
		c.Close()
	}
	return out.String()
}

func (s *scenario) load(t *testing.T, d *datadriven.TestData) {
	load := s.setup.Load
	load.Clients, load.Keys, load.MinThink, load.MaxThink = 4, 3, time.Millisecond, 20*time.Millisecond
	load.Fresh, load.Round = d.HasArg("fresh"), s.loads
	length := "10s"
	d.MaybeScanArgs(t, "clients", &load.Clients)
	d.MaybeScanArgs(t, "keys", &load.Keys)
	d.MaybeScanArgs(t, "for", &length)
	limit, err := time.ParseDuration(length)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	load.Run(ctx, s.cluster, s.history)
	s.loads++
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
