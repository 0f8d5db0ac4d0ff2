package blackbox

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// asked is do where a busy machine may take longer than a request's bound: what
// is asked may be asked again.
func (s *server) asked(args ...any) (reply any) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%s answers %v", s.name, args[0]), func() (err error) {
		reply, err = s.try(args...)
		return err
	})
	return reply
}

// fill writes keys 0 to n-1, through every live node in turn.
func (c *cluster) fill(n int) {
	c.t.Helper()
	for from := 0; from < n; from += 500 {
		for at, s := range c.nodes {
			if !s.alive() {
				continue
			}
			args := []any{"MSET"}
			for i := from + at; i < min(from+500, n); i += len(c.nodes) {
				args = append(args, key(i), "v")
			}
			if len(args) > 1 {
				s.asked(args...)
			}
		}
	}
}

// TestFlushAll: what was acknowledged before a FLUSHALL is gone for every reader
// at every node afterwards, also what a node holds that was down meanwhile, and
// where the flush takes longer than a request may.
func TestFlushAll(t *testing.T) {
	c := startCluster(t, 3)
	const keys = 20_000
	c.fill(keys)
	c.n(2).asked("SET", "{tag}expiring", "v", "EX", 100)
	c.n(3).kill()
	c.n(1).asked("SET", "unseen by n3", "v")
	began := time.Now()
	if got := c.n(2).do("FLUSHALL"); got != "OK" {
		t.Fatalf("FLUSHALL answers %v", got)
	}
	t.Logf("%d keys gone in %v", keys, time.Since(began))
	gone := func(s *server) {
		t.Helper()
		if got := s.asked("KEYS", "*").([]any); len(got) != 0 {
			t.Errorf("%s: %d keys are left: %.80v", s.name, len(got), got)
		}
		for from := 0; from < keys; from += 1000 {
			args := []any{"EXISTS", "unseen by n3", "{tag}expiring"}
			for i := from; i < from+1000; i++ {
				args = append(args, key(i))
			}
			if got := s.asked(args...); got != int64(0) {
				t.Errorf("%s: of keys %d and on, %v are there", s.name, from, got)
			}
		}
	}
	gone(c.n(1))
	gone(c.n(2))
	c.n(3).start()
	c.waitReady()
	for _, s := range c.nodes {
		gone(s)
	}
	eventually(t, "n3 counts no keys", func() error {
		if got := c.n(3).asked("DBSIZE"); got != int64(0) {
			return fmt.Errorf("DBSIZE is %v", got)
		}
		return nil
	})
	c.n(1).asked("SET", "again", "v")
	if got := c.n(3).asked("KEYS", "*").([]any); len(got) != 1 {
		t.Errorf("KEYS: %v", got)
	}

	c.n(2).kill()
	c.n(3).kill()
	for _, command := range []string{"FLUSHALL", "KEYS *", "RANDOMKEY"} {
		words := strings.Fields(command)
		args := make([]any, len(words))
		for i, w := range words {
			args[i] = w
		}
		eventually(t, command+" finds no quorum", func() error {
			if got, err := c.n(1).try(args...); err == nil || !strings.HasPrefix(err.Error(), "NOQUORUM ") {
				return fmt.Errorf("it answers %v, %v", got, err)
			}
			return nil
		})
	}
	c.n(2).start()
	eventually(t, "the key is still there", func() error {
		if got, err := c.n(2).try("GET", "again"); err != nil || got != "v" {
			return fmt.Errorf("GET answers %v, %v", got, err)
		}
		return nil
	})
}

// TestScanWhileNodesComeAndGo: a SCAN whose every call goes to another node
// returns every key that is there from start to end, while a node dies, one
// joins, and the first comes back; also in a slot of many keys.
func TestScanWhileNodesComeAndGo(t *testing.T) {
	c := startCluster(t, 3)
	const keys, tagged = 1500, 2500
	c.fill(keys)
	for from := 0; from < tagged; from += 500 {
		args := []any{"MSET"}
		for i := from; i < from+500; i++ {
			args = append(args, fmt.Sprintf("{tag}%d", i), "v")
		}
		c.n(1).asked(args...)
	}
	acts := []func(){
		func() { c.n(2).kill() },
		func() {
			s := newServer(t, "n4", freePorts(t, 1), "--join", c.n(1).gossipAddr())
			c.nodes = append(c.nodes, s)
			s.start()
		},
		func() { c.n(2).start() },
		func() { c.n(1).kill() },
		func() { c.n(1).start() },
	}
	seen, cursor := map[string]bool{}, any("0")
	deadline := time.Now().Add(time.Minute)
	for calls := 0; calls == 0 || cursor != "0"; calls++ {
		if time.Now().After(deadline) {
			t.Fatalf("the scan does not end: %d keys in %d calls", len(seen), calls)
		}
		if len(acts) > 0 && len(seen) >= (6-len(acts))*(keys+tagged)/7 {
			acts[0]()
			acts = acts[1:]
		}
		s := c.nodes[calls%len(c.nodes)]
		if !s.alive() {
			continue
		}
		reply, err := s.try("SCAN", cursor, "COUNT", 20)
		if err != nil { // it may have just died, or not serve yet; the cursor stays good
			time.Sleep(20 * time.Millisecond)
			continue
		}
		parts := reply.([]any)
		cursor = parts[0]
		for _, k := range parts[1].([]any) {
			seen[k.(string)] = true
		}
	}
	if len(acts) > 0 {
		t.Errorf("the scan was over before %d of the nodes came and went", len(acts))
	}
	if len(seen) != keys+tagged {
		t.Errorf("%d keys were seen, %d are there", len(seen), keys+tagged)
	}
}
