package blackbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// localCluster is a running `dynaring local`.
type localCluster struct {
	*server // of the parent process: its port is n1's
}

func startLocal(t *testing.T, args ...string) localCluster {
	t.Helper()
	port := freePorts(t, 3)
	s := newServer(t, "local", port)
	s.args = append([]string{"local", "--port", strconv.Itoa(port), "--dir", filepath.Join(s.dir, "data")}, args...)
	s.start()
	eventually(t, "the cluster says that it is ready", func() error {
		if !s.alive() {
			t.Fatalf("dynaring local has ended with exit code %d", s.wait())
		}
		if !strings.Contains(s.log(), "The cluster is ready") {
			return fmt.Errorf("it has not")
		}
		return nil
	})
	return localCluster{s}
}

// node returns a node of the cluster as a server that can be talked to.
func (l localCluster) node(t *testing.T, i int) *server {
	return &server{t: t, name: fmt.Sprintf("n%d", i), host: "127.0.0.1", port: l.port + i - 1}
}

// pids returns the processes that were started by the parent.
func (l localCluster) pids(t *testing.T) []int {
	t.Helper()
	pid := l.cmd.Process.Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Skipf("cannot list a process's children here: %v", err)
	}
	var out []int
	for field := range strings.FieldsSeq(string(text)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, child)
	}
	return out
}

func gone(pid int) error {
	if err := syscall.Kill(pid, 0); err == nil {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(stat), ") Z ") {
			return nil // ended, and not waited for by whoever adopted it
		}
		return fmt.Errorf("process %d is still there", pid)
	}
	return nil
}

// TestLocal is the README's first command: three nodes, what to try, and a
// stop that leaves nothing behind but the data.
func TestLocal(t *testing.T) {
	l := startLocal(t, "--durability", "one")
	for _, line := range []string{
		fmt.Sprintf("redis-cli -p %d SET greeting hello", l.port),
		fmt.Sprintf("redis-cli -p %d DPUT cart bread", l.port+2),
		"n1 | ", "n2 | ", "n3 | ",
	} {
		if !strings.Contains(l.log(), line) {
			t.Errorf("its output lacks %q", line)
		}
	}
	l.node(t, 1).do("SET", "k", "v")
	if got := l.node(t, 3).do("GET", "k"); got != "v" {
		t.Errorf("GET on n3 = %v", got)
	}

	// A node that dies is told of, and the others go on.
	pids := l.pids(t)
	if len(pids) != 3 {
		t.Fatalf("children are %v, want 3", pids)
	}
	if err := syscall.Kill(pids[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the death of n2 is told", func() error {
		if !strings.Contains(l.log(), "n2 ended by itself (signal: killed)") {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	if got := l.node(t, 1).do("GET", "k"); got != "v" {
		t.Errorf("GET on n1 = %v", got)
	}

	if err := l.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := l.wait(); code != 0 {
		t.Errorf("exit code %d after Ctrl-C, want 0", code)
	}
	for _, pid := range pids {
		if err := gone(pid); err != nil {
			t.Error(err)
		}
	}

	// Started again it goes on with its data.
	l.start()
	eventually(t, "the data is back", func() error {
		got, err := l.node(t, 2).try("GET", "k")
		if err != nil || got != "v" {
			return fmt.Errorf("GET = %v, %v", got, err)
		}
		return nil
	})
	l.terminate()
}

// TestLocalChildrenDieWithTheirParent: even where it had no chance to stop them.
func TestLocalChildrenDieWithTheirParent(t *testing.T) {
	l := startLocal(t)
	pids := l.pids(t)
	l.kill()
	for _, pid := range pids {
		eventually(t, "the children end", func() error { return gone(pid) })
	}
	// They stopped cleanly: n1 goes on under the same incarnation.
	l.start()
	eventually(t, "the cluster is back", func() error { return l.node(t, 1).sees(3) })
	l.node(t, 1).dput("k", "v", "")
	wantSiblings(t, l.node(t, 2), "k", "v [(n1,1)]")
	l.terminate()
}

// TestStopSignals: either signal is a clean stop, also while the node waits
// for a cluster to join.
func TestStopSignals(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		c := startCluster(t, 1)
		c.n(1).do("SET", "k", "v")
		if err := c.n(1).cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if code := c.n(1).wait(); code != 0 {
			t.Errorf("%v: exit code %d, want 0", sig, code)
		}
	}
	first := freePorts(t, 2)
	lonely := newServer(t, "n1", first, "--join", fmt.Sprintf("127.0.0.1:%d", first+1+1000))
	lonely.start()
	eventually(t, "it answers", func() error {
		if _, err := lonely.try("GET", "k"); err == nil || !strings.HasPrefix(err.Error(), "LOADING") {
			return fmt.Errorf("GET answers %v", err)
		}
		return nil
	})
	lonely.terminate()
}

// TestPortInUse is told in a line that names the flag's address.
func TestPortInUse(t *testing.T) {
	c := startCluster(t, 1)
	o := dynaring(t, "serve", "--name", "other", "--addr", c.n(1).addr(), "--gossip-addr", "127.0.0.1:0",
		"--peer-addr", "127.0.0.1:0", "--cluster-addr", "127.0.0.1:0", "--http-addr", "off")
	if o.code != 1 || !strings.Contains(lastLine(o.stderr), c.n(1).addr()) {
		t.Errorf("%v", o)
	}
}
