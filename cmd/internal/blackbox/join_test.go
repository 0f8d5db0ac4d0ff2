package blackbox

import (
	"fmt"
	"strings"
	"testing"
)

// TestJoinerOfAnotherMind is refused, before it has done anything.
func TestJoinerOfAnotherMind(t *testing.T) {
	c := startCluster(t, 1)
	for _, flags := range [][]string{{"--n", "2", "--w", "1"}, {"--partitions", "512"}} {
		args := append([]string{"--join", c.n(1).gossipAddr()}, flags...)
		s := newServer(t, "n2", freePorts(t, 1), args...)
		s.start()
		if code := s.wait(); code != 1 {
			t.Errorf("%v: exit code %d, want 1", flags, code)
		}
		last := lastLine(s.log())
		if !strings.HasPrefix(last, "dynaring: ") || !strings.Contains(last, flags[0]) && !strings.Contains(last, strings.TrimPrefix(flags[0], "--")) {
			t.Errorf("%v: the log ends with %q, want an error that names the flag", flags, last)
		}
	}
	if err := c.n(1).sees(1); err != nil {
		t.Errorf("the refused joiners left a mark: %v", err)
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// TestJoinerTakesTheClustersWord: who says nothing takes over what was fixed
// when the cluster was founded.
func TestJoinerTakesTheClustersWord(t *testing.T) {
	c := startCluster(t, 1, "--n", "2", "--r", "1", "--w", "1", "--partitions", "64")
	s := newServer(t, "n2", freePorts(t, 1), "--join", c.n(1).gossipAddr())
	s.start()
	eventually(t, "n2 is a member", func() error { return s.sees(2) })
	status := asMap(s.do("DCLUSTER", "STATUS"))
	if got := fmt.Sprint(status["n"], status["partitions"]); got != "2 64" {
		t.Errorf("n and partitions are %s, want 2 64", got)
	}
}

// TestJoinLosesNothing: nodes that come to a cluster with data take their
// share over, while it is read and written.
func TestJoinLosesNothing(t *testing.T) {
	c := startCluster(t, 1)
	const keys = 200
	for i := range keys {
		c.n(1).do("SET", key(i), "v")
	}
	for i := 2; i <= 4; i++ {
		s := newServer(t, fmt.Sprintf("n%d", i), freePorts(t, 1), "--join", c.n(1).gossipAddr())
		c.nodes = append(c.nodes, s)
		s.start()
		eventually(t, s.name+" serves", func() error {
			_, err := s.try("GET", key(0))
			return err
		})
		for k := range keys {
			if got, err := s.try("GET", key(k)); err != nil || got != "v" {
				t.Fatalf("%s has just joined: GET %s = %v, %v", s.name, key(k), got, err)
			}
		}
	}
	c.waitReady()
	for _, s := range c.nodes {
		for k := range keys {
			if got, err := s.try("GET", key(k)); err != nil || got != "v" {
				t.Fatalf("%s, settled: GET %s = %v, %v", s.name, key(k), got, err)
			}
		}
		if got := s.do("DBSIZE"); got != int64(keys) {
			t.Errorf("%s: DBSIZE = %v, want %d", s.name, got, keys)
		}
	}
	// The founder may go: its share is on others.
	c.n(1).kill()
	for k := range keys {
		if got, err := c.n(3).try("GET", key(k)); err != nil || got != "v" {
			t.Fatalf("without n1: GET %s = %v, %v", key(k), got, err)
		}
	}
}

// TestLoading: until a node is a member it answers LOADING, and nothing else.
func TestLoading(t *testing.T) {
	first := freePorts(t, 2)
	founder := newServer(t, "n1", first)
	joiner := newServer(t, "n2", first+1, "--join", founder.gossipAddr())
	joiner.start()
	eventually(t, "the joiner answers", func() error {
		_, err := joiner.try("GET", "k")
		if err == nil || !strings.HasPrefix(err.Error(), "LOADING ") {
			return fmt.Errorf("GET answers %v, want LOADING", err)
		}
		return nil
	})
	founder.start()
	for _, s := range []*server{founder, joiner} {
		eventually(t, s.name+" serves", func() error { return s.sees(2) })
	}
	joiner.do("SET", "k", "v")
	if got := founder.do("GET", "k"); got != "v" {
		t.Errorf("GET = %v", got)
	}
}

// TestNameTaken: two nodes of one name cannot both be members.
func TestNameTaken(t *testing.T) {
	c := startCluster(t, 1)
	s := newServer(t, "n1", freePorts(t, 1), "--join", c.n(1).gossipAddr())
	s.start()
	if code := s.wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if last := lastLine(s.log()); !strings.Contains(last, "n1") {
		t.Errorf("the log ends with %q, want an error that names n1", last)
	}
	c.n(1).do("SET", "k", "v")
}

// TestDataDirInUse: a second process on one folder says so and ends.
func TestDataDirInUse(t *testing.T) {
	c := startCluster(t, 1)
	s := newServer(t, "n1", freePorts(t, 1))
	s.args = append(s.args, "--data-dir", c.n(1).dir+"/data")
	s.start()
	if code := s.wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if last := lastLine(s.log()); !strings.Contains(last, "use") {
		t.Errorf("the log ends with %q", last)
	}
	c.n(1).do("SET", "k", "v")
}
