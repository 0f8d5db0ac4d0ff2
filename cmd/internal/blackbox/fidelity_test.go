package blackbox

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
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
	servers := map[string]pair{} // by password
	for i := range scripts {
		s := &scripts[i]
		p, ok := servers[s.Password]
		if !ok {
			p = pair{startRealRedis(t, s.Password), startCluster(t, 3, "--requirepass", s.Password)}
			servers[s.Password] = p
		}
		for _, proto := range []int{2, 3} {
			node := p.ours.nodes[(i+proto)%len(p.ours.nodes)]
			diffs, err := fidelity.Compare(p.real, tcpDial(node.addr()), s, proto)
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
func startRealRedis(t *testing.T, password string) fidelity.Dial {
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
	cmd := exec.Command(path, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no",
		"--databases", "1", "--enable-debug-command", "local", "--dir", dir, "--requirepass", password)
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
	return dial
}
