package blackbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dynaring/dynaring/cmd/internal/netlab"
)

// labCluster is a cluster whose nodes are hosts of a lab, each in a network
// namespace of its own, with its clients on one more.
type labCluster struct {
	*cluster
	lab *netlab.Lab
}

// labSecret is what the nodes of a lab know, and labPass what their clients
// do: both are demanded outside loopback.
const (
	labSecret = "between the nodes"
	labPass   = "of the clients"
	labPort   = 6379
)

// startLab runs n nodes with the same extra flags in a lab. It skips the test,
// and says why, where a machine cannot make one.
func startLab(t *testing.T, n int, args ...string) *labCluster {
	t.Helper()
	c := newLab(t, n, args...)
	for _, s := range c.nodes {
		s.start()
	}
	c.waitReady()
	return c
}

// newLab describes the nodes, without starting any.
func newLab(t *testing.T, n int, args ...string) *labCluster {
	t.Helper()
	c := &labCluster{cluster: &cluster{t: t}, lab: openLab(t, n+1)}
	for i := range n {
		s := &server{
			t: t, name: fmt.Sprintf("n%d", i+1), port: labPort, dir: t.TempDir(), pass: labPass,
			host: c.lab.Hosts[i].Addr(), on: c.lab.Hosts[i], from: c.lab.Hosts[n],
		}
		own := []string{"--cluster-secret", labSecret, "--requirepass", labPass}
		if i > 0 {
			own = append(own, "--join", c.nodes[0].gossipAddr())
		}
		s.describe(append(own, args...))
		c.nodes = append(c.nodes, s)
	}
	return c
}

// openLab makes a lab that runs until the test's end.
func openLab(t *testing.T, hosts int) *netlab.Lab {
	t.Helper()
	if missing := netlab.Missing(); missing != "" {
		t.Skipf("network namespaces cannot be made here: it takes %s", missing)
	}
	lab, err := netlab.Open(hosts)
	if errors.Is(err, fs.ErrPermission) && os.Getenv("DYNARING_TEST_CLIENTS") != "required" {
		t.Skipf("network namespaces cannot be made here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- lab.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ran, lab.Close()); err != nil {
			t.Error(err)
		}
	})
	return lab
}

// hosts returns the hosts of some nodes, by number from 1.
func (c *labCluster) hosts(numbers ...int) []*netlab.Host {
	var out []*netlab.Host
	for _, i := range numbers {
		out = append(out, c.n(i).on)
	}
	return out
}

// others returns the names of the nodes but those.
func (c *labCluster) others(than ...*server) []string {
	var out []string
	for _, s := range c.nodes {
		if !slices.Contains(than, s) {
			out = append(out, s.name)
		}
	}
	return out
}

// freeze stops the process where it is: it keeps its connections and answers
// nothing, until thaw.
func (s *server) freeze() { s.signal(syscall.SIGSTOP) }
func (s *server) thaw()   { s.signal(syscall.SIGCONT) }

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("%s: %v: %v", s.name, sig, err)
	}
}

// wipe loses the data directory of a node that has ended. Started again it
// joins any other node, as whoever has lost a disk has to say: a founder
// without a disk would found another cluster.
func (c *labCluster) wipe(s *server) {
	c.t.Helper()
	if err := os.RemoveAll(s.dataDir()); err != nil {
		c.t.Fatal(err)
	}
	for _, other := range c.nodes {
		if other != s {
			s.args = append(s.args, "--join", other.gossipAddr())
			return
		}
	}
}

// settle waits until the cluster says that all replicas are in step and that
// nothing is left to be handed over. It logs what was waited for last.
func (c *labCluster) settle() {
	c.t.Helper()
	begun := time.Now()
	c.waitReady()
	ready := time.Since(begun)
	var last error
	for _, s := range c.nodes {
		eventually(c.t, s.name+" says that the cluster is settled", func() error {
			err := s.settled()
			if err != nil {
				last = err
			}
			return err
		})
	}
	c.t.Logf("ready after %v, settled after %v, at last without: %v",
		ready.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond), last)
}

// settled returns nil if the node says that the cluster has settled.
func (s *server) settled() error {
	reply, err := s.try("DCLUSTER", "SETTLED")
	if err != nil {
		return err
	}
	parts, ok := reply.([]any)
	if !ok || len(parts) == 0 {
		s.t.Fatalf("DCLUSTER SETTLED answers %v", reply)
	}
	if parts[0] != int64(1) {
		return fmt.Errorf("%v", parts[1:])
	}
	return nil
}

// replica is what DEXPLAIN tells of one.
type replica struct {
	name, role, state, digest string
	hints                     string
}

// explain returns the replicas of a key.
func (s *server) explain(key string) []replica {
	s.t.Helper()
	list, ok := asMap(s.do("DEXPLAIN", key))["replicas"].([]any)
	if !ok {
		s.t.Fatalf("DEXPLAIN %s names no replicas", key)
	}
	var out []replica
	for _, item := range list {
		m := asMap(item)
		out = append(out, replica{
			name: fmt.Sprint(m["name"]), role: fmt.Sprint(m["role"]), state: fmt.Sprint(m["state"]),
			digest: fmt.Sprint(m["digest"]), hints: fmt.Sprint(m["hints"]),
		})
	}
	return out
}

// wantInStep fails the test unless all owners of each key hold the same, and
// nobody keeps a hint of it.
func (c *labCluster) wantInStep(keys []string) {
	c.t.Helper()
	for _, key := range keys {
		var owners []string
		for _, r := range c.n(1).explain(key) {
			if r.hints != "0" && r.hints != "<nil>" {
				c.t.Errorf("%s keeps %s hints of %s", r.name, r.hints, key)
			}
			if r.role == "owner" {
				owners = append(owners, r.digest)
			}
		}
		if len(owners) < min(3, len(c.nodes)) || len(slices.Compact(slices.Clone(owners))) != 1 {
			c.t.Errorf("owners of %s hold %s", key, strings.Join(owners, ", "))
		}
	}
}
