package blackbox

import (
	"net"
	"os/exec"
	"path/filepath"
	"testing"

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
	socket, stop, err := fidelity.Start(path, t.TempDir(), needs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return func() (net.Conn, error) { return net.Dial("unix", socket) }
}
