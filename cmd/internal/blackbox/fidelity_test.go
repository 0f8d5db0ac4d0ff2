package blackbox

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dynaring/dynaring/resp/fidelity"
)

// TestFidelity has a cluster of three nodes, one after the other, and a real
// redis-server answer the same scripts, in both protocols. Scripts that need
// other servers run beside the others.
func TestFidelity(t *testing.T) {
	scripts, err := fidelity.Load(filepath.Join("..", "..", "..", "resp", "testdata", "redis"))
	if err != nil {
		t.Fatal(err)
	}
	byNeeds := map[fidelity.Needs][]fidelity.Script{}
	for _, s := range scripts {
		byNeeds[s.Needs] = append(byNeeds[s.Needs], s)
	}
	for needs, scripts := range byNeeds {
		t.Run(fmt.Sprintf("%+v", needs), func(t *testing.T) {
			t.Parallel()
			compareServers(t, needs, scripts)
		})
	}
}

func compareServers(t *testing.T, needs fidelity.Needs, scripts []fidelity.Script) {
	size := 3
	if needs.Cluster {
		size = 1
	}
	theirs := startRealRedis(t, needs)
	nodes := startCluster(t, size, "--requirepass", needs.Password, "--timeout", "10s").nodes
	for i := range scripts {
		for _, proto := range []int{2, 3} {
			n := nodes[(i+proto)%size]
			addr := n.addr()
			if needs.Cluster {
				addr = n.clusterAddr()
			}
			diffs, err := fidelity.Compare(theirs, tcpDial(addr), &scripts[i], proto)
			if err != nil {
				t.Errorf("%s at %s: %v", &scripts[i], n.name, err)
			}
			for _, d := range diffs {
				t.Errorf("at %s: %s", n.name, d)
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
	socket, stop, err := fidelity.Start(path, t.TempDir(), needs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return func() (net.Conn, error) { return net.Dial("unix", socket) }
}
