package blackbox

import (
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/dynaring/dynaring/resp/fidelity"
)

// TestFidelity has a cluster of three nodes, one after the other, and a real
// redis-server answer the same scripts, in both protocols.
func TestFidelity(t *testing.T) {
	scripts, err := fidelity.Load(filepath.Join("..", "..", "..", "resp", "testdata", "redis"))
	if err != nil {
		t.Fatal(err)
	}
	type pair struct {
		real fidelity.Dial
		ours *cluster
	}
	servers := map[fidelity.Needs]pair{}
	for i := range scripts {
		s := &scripts[i]
		p, ok := servers[s.Needs]
		if !ok {
			nodes := 3
			if s.Cluster {
				nodes = 1
			}
			p = pair{startRealRedis(t, s.Needs), startCluster(t, nodes, "--requirepass", s.Password, "--timeout", "10s")}
			servers[s.Needs] = p
		}
		for _, proto := range []int{2, 3} {
			node := p.ours.nodes[(i+proto)%len(p.ours.nodes)]
			addr := node.addr()
			if s.Cluster {
				addr = node.clusterAddr()
			}
			diffs, err := fidelity.Compare(p.real, tcpDial(addr), s, proto)
			if err != nil {
				t.Errorf("%s at %s: %v", s, node.name, err)
			}
			for _, d := range diffs {
				t.Errorf("at %s: %s", node.name, d)
			}
		}
	}
}

func tcpDial(addr string) fidelity.Dial {
	return func() (net.Conn, error) { return net.Dial("tcp", addr) }
}

// startRealRedis runs a redis-server with one database and nothing on disk.
func startRealRedis(t *testing.T, needs fidelity.Needs) fidelity.Dial {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("SKIPPED: redis-server is not installed, nothing to compare with")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "redis.sock")
	if len(socket) > 100 { // what a socket's name may have
		t.Fatalf("the temporary directory's name is too long for a socket: %s", strings.TrimSuffix(dir, "/"))
	}
	port := 0
	if needs.Cluster {
		port = freePorts(t, 1)
	}
	cmd := exec.Command(path, "--port", strconv.Itoa(port), "--unixsocket", socket, "--save", "", "--appendonly", "no",
		"--databases", "1", "--enable-debug-command", "local", "--dir", dir, "--requirepass", needs.Password)
	if needs.Cluster {
		cmd.Args = append(cmd.Args, "--cluster-enabled", "yes")
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	dial := func() (net.Conn, error) { return net.Dial("unix", socket) }
	eventually(t, "redis-server listens", func() error {
		c, err := dial()
		if err == nil {
			c.Close()
		}
		return err
	})
	if needs.Cluster {
		assignSlots(t, socket)
	}
	return dial
}

// assignSlots gives a redis-server all slots, and waits until it serves them.
func assignSlots(t *testing.T, socket string) {
	rdb := redis.NewClient(&redis.Options{Network: "unix", Addr: socket})
	defer rdb.Close()
	if err := rdb.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "redis-server serves its slots", func() error {
		info, err := rdb.ClusterInfo(t.Context()).Result()
		if err == nil && !strings.Contains(info, "cluster_state:ok") {
			err = errors.New(info)
		}
		return err
	})
}
