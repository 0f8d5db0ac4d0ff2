package blackbox

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// clusterClient is a client that knows of clusters, and starts at a node's
// plain view.
func clusterClient(t *testing.T, s *server, protocol int) *redis.ClusterClient {
	rdb := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{s.addr()}, Protocol: protocol,
		MaxRedirects: 16, ClusterStateReloadInterval: 200 * time.Millisecond,
	})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// forwarded returns how many commands the nodes passed on.
func (c *cluster) forwarded() (sum int) {
	c.t.Helper()
	for _, s := range c.nodes {
		_, after, ok := strings.Cut(s.do("INFO", "dynaring").(string), "dynaring_forwarded:")
		text, _, _ := strings.Cut(after, "\r\n")
		n, err := strconv.Atoi(text)
		if !ok || err != nil {
			c.t.Fatalf("%s: INFO without dynaring_forwarded: %v", s.name, err)
		}
		sum += n
	}
	return sum
}

// A cluster-aware client's keys go to their owners straight: no node passes a
// command on, whatever it does to the key.
func TestClusterClient(t *testing.T) {
	c := startCluster(t, 5)
	for _, protocol := range []int{2, 3} {
		rdb := clusterClient(t, c.n(1+protocol), protocol)
		clusterClientKeys(t, rdb)
		clusterClientPipelines(t, rdb)
		if n := c.forwarded(); n != 0 {
			t.Fatalf("RESP%d: %d commands of a client that knows where its keys are were passed on", protocol, n)
		}
		clusterClientKeyspace(t, rdb)
	}
	for i := range 100 {
		c.n(1).do("SET", fmt.Sprint("plain:", i), i)
	}
	if c.forwarded() == 0 {
		t.Error("nothing that a plain client does was passed on: the count says nothing")
	}
}

// clusterClientKeys does all kinds of things to many keys, which it leaves.
func clusterClientKeys(t *testing.T, rdb *redis.ClusterClient) {
	ctx := t.Context()
	for i := range 200 {
		k, counter := fmt.Sprint("key:", i), fmt.Sprint("counter:", i)
		ok, err := rdb.Set(ctx, k, i, 0).Result()
		want(t, "SET", "OK", ok, err)
		v, err := rdb.Get(ctx, k).Int()
		want(t, "GET", i, v, err)
		for n := range int64(3) {
			got, err := rdb.Incr(ctx, counter).Result()
			want(t, "INCR", n+1, got, err)
		}
		taken, err := rdb.SetNX(ctx, counter, "x", 0).Result()
		want(t, "SETNX", false, taken, err)
		n, err := rdb.Append(ctx, k, "!").Result()
		want(t, "APPEND", int64(len(fmt.Sprint(i, "!"))), n, err)
		n, err = rdb.Del(ctx, counter).Result()
		want(t, "DEL", 1, n, err)
		tag := fmt.Sprintf("{%s}", k)
		ok, err = rdb.MSet(ctx, tag+"a", 1, tag+"b", 2).Result()
		want(t, "MSET", "OK", ok, err)
		list, err := rdb.MGet(ctx, tag+"a", tag+"b", tag+"c").Result()
		want(t, "MGET", "[1 2 <nil>]", fmt.Sprint(list), err)
		n, err = rdb.Del(ctx, tag+"a", tag+"b", tag+"c").Result()
		want(t, "DEL", 2, n, err)
	}
}

func clusterClientPipelines(t *testing.T, rdb *redis.ClusterClient) {
	for round := range int64(3) {
		var counters []*redis.IntCmd
		var values []*redis.StringCmd
		_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for i := range 300 {
				k := fmt.Sprint("pipelined:", i)
				counters = append(counters, p.Incr(t.Context(), k))
				values = append(values, p.Get(t.Context(), k))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range counters {
			if n, v := counters[i].Val(), values[i].Val(); n != round+1 || v != fmt.Sprint(n) {
				t.Fatalf("pipelined:%d is %d and %q after %d INCR", i, n, v, round+1)
			}
		}
	}
}

// clusterClientKeyspace asks all masters: each key is one's, and only one's.
func clusterClientKeyspace(t *testing.T, rdb *redis.ClusterClient) {
	ctx := t.Context()
	const keys = 200 + 300
	n, err := rdb.DBSize(ctx).Result()
	want(t, "DBSIZE of all masters", keys, n, err)
	var mu sync.Mutex
	seen := map[string]int{}
	masters := 0
	each := func(ctx context.Context, m *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		masters++
		it := m.Scan(ctx, 0, "*", 100).Iterator()
		for it.Next(ctx) {
			seen[it.Val()]++
		}
		all, err := m.Keys(ctx, "*").Result()
		for _, k := range all {
			seen[k]++
		}
		if k, err := m.RandomKey(ctx).Result(); err != nil || !strings.Contains(strings.Join(all, " "), k) {
			return fmt.Errorf("RANDOMKEY %q, %v is none of the master's keys", k, err)
		}
		return errors.Join(err, it.Err())
	}
	if err := rdb.ForEachMaster(ctx, each); err != nil || masters != 5 || len(seen) != keys {
		t.Fatalf("%d masters have %d keys, %v; want 5 with %d", masters, len(seen), err, keys)
	}
	for k, n := range seen {
		if n != 2 {
			t.Fatalf("%s was met %d times by SCAN and KEYS", k, n)
		}
	}
	err = rdb.ForEachMaster(ctx, func(ctx context.Context, m *redis.Client) error { return m.FlushAll(ctx).Err() })
	if err != nil {
		t.Fatal(err)
	}
	n, err = rdb.DBSize(ctx).Result()
	want(t, "DBSIZE of all masters", 0, n, err)
}

// A node is killed, comes back, and is killed again while a cluster-aware
// client works: nothing of it reaches the application, and nothing is lost.
func TestClusterClientThroughFailure(t *testing.T) {
	c := startCluster(t, 5)
	victim := c.n(3)
	whileWorking(t, clusterClient(t, c.n(1), 3), func() {
		for range 2 {
			time.Sleep(time.Second)
			victim.kill()
			eventually(t, "the others lead its slots", func() error { return ledBy(c.n(2), victim, false) })
			time.Sleep(2 * time.Second)
			victim.start()
			c.waitReady()
			eventually(t, "it leads its slots again", func() error { return ledBy(c.n(2), victim, true) })
		}
	})
}

// Nodes join and take slots over while a cluster-aware client works, which gives
// a command up after a third MOVED.
func TestClusterClientThroughJoins(t *testing.T) {
	c := startCluster(t, 3)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.n(1).clusterAddr()}, MaxRedirects: 3})
	defer rdb.Close()
	whileWorking(t, rdb, func() {
		first := freePorts(t, 2)
		for i := range 2 {
			s := newServer(t, fmt.Sprintf("n%d", 4+i), first+i, "--join", c.n(1).gossipAddr())
			c.nodes = append(c.nodes, s)
			s.start()
		}
		c.waitReady()
		for _, s := range c.nodes {
			eventually(t, "the joiner leads slots", func() error { return ledBy(s, c.n(5), true) })
		}
	})
}

// whileWorking does something while a client writes and reads, which must not
// fail, and reads all of it at the end.
func whileWorking(t *testing.T, rdb *redis.ClusterClient, do func()) {
	t.Helper()
	stop := make(chan struct{})
	var writers sync.WaitGroup
	done := make([]int, 4)
	for w := range done {
		writers.Go(func() { done[w] = writeAndRead(t, rdb, w, stop) })
	}
	func() {
		defer writers.Wait()
		defer close(stop)
		do()
		time.Sleep(time.Second)
	}()
	for w, n := range done {
		if n < 100 {
			t.Errorf("writer %d came no further than %d", w, n)
		}
		for i := range n {
			v, err := rdb.Get(t.Context(), fmt.Sprintf("w%d:%d", w, i)).Int()
			want(t, "GET of what was acknowledged", i, v, err)
		}
	}
}

// writeAndRead writes one key after the other and reads each at once, until
// stop; it returns how many.
func writeAndRead(t *testing.T, rdb *redis.ClusterClient, w int, stop chan struct{}) (n int) {
	for ; ; n++ {
		select {
		case <-stop:
			return n
		case <-time.After(time.Millisecond):
		}
		k := fmt.Sprintf("w%d:%d", w, n)
		if err := rdb.Set(t.Context(), k, n, 0).Err(); err != nil {
			t.Errorf("SET %s: %v", k, err)
			return n
		}
		if v, err := rdb.Get(t.Context(), k).Int(); err != nil || v != n {
			t.Errorf("GET %s: %d, %v", k, v, err)
			return n
		}
		if err := rdb.Incr(t.Context(), k+":n").Err(); err != nil {
			t.Errorf("INCR %s: %v", k, err)
			return n
		}
	}
}

// ledBy returns nil if a node shows another as the master of slots, or does
// not, and all slots have one.
func ledBy(s, other *server, leads bool) error {
	reply, err := s.try("CLUSTER", "SLOTS")
	if err != nil {
		return err
	}
	covered, led := 0, 0
	for _, item := range reply.([]any) {
		r := item.([]any)
		covered += int(r[1].(int64)-r[0].(int64)) + 1
		master := r[2].([]any)
		if master[1] == int64(other.port+3000) {
			led++
		}
	}
	if covered != 16384 || leads != (led > 0) {
		return fmt.Errorf("%d slots are covered, and %d ranges of %s", covered, led, other.name)
	}
	return nil
}

// On the cluster view a node serves what it owns, and nothing else.
func TestMoved(t *testing.T) {
	c := startCluster(t, 5)
	ctx := t.Context()
	served := map[string]int{}
	for _, s := range c.nodes {
		o := s.options()
		o.Addr = s.clusterAddr()
		rdb := redis.NewClient(o)
		defer rdb.Close()
		for i := range 100 {
			k := fmt.Sprint("key:", i)
			err := rdb.Set(ctx, k, s.name, 0).Err()
			if err == nil {
				served[k]++
				continue
			}
			to, ok := movedTo(err)
			if !ok || to == s.clusterAddr() {
				t.Fatalf("%s: SET %s: %v", s.name, k, err)
			}
			owner := redis.NewClient(&redis.Options{Addr: to})
			if err := owner.Get(ctx, k).Err(); err != nil && err != redis.Nil {
				t.Fatalf("%s, where %s was to be: %v", to, k, err)
			}
			owner.Close()
		}
		if err := rdb.MGet(ctx, "a", "b").Err(); err == nil || err.Error() != "CROSSSLOT Keys in request don't hash to the same slot" {
			t.Errorf("%s: MGET of two slots: %v", s.name, err)
		}
	}
	for i := range 100 {
		if k := fmt.Sprint("key:", i); served[k] != 3 {
			t.Errorf("%s was served by %d nodes, want its 3 owners", k, served[k])
		}
	}
}

// movedTo reads MOVED slot host:port.
func movedTo(err error) (addr string, ok bool) {
	words := strings.Fields(err.Error())
	if len(words) != 3 || words[0] != "MOVED" {
		return "", false
	}
	return words[2], true
}

// Redis's own tools take the cluster for one of Redis's, with all its nodes and
// without one.
func TestRedisClusterTools(t *testing.T) {
	cli, bench := needClient(t, "redis-cli", "--version"), needClient(t, "redis-benchmark", "--version")
	c := startCluster(t, 5)
	port := strconv.Itoa(c.n(2).port + 3000)
	for i := range 20 {
		k := fmt.Sprint("tool:", i)
		mustRun(t, "OK", cli, "-c", "-p", port, "SET", k, "v")
		mustRun(t, "v", cli, "-c", "-p", strconv.Itoa(c.n(1+i%5).port+3000), "GET", k)
	}
	for _, p := range []string{port, strconv.Itoa(c.n(1).port)} {
		out := mustRun(t, "[OK] All 16384 slots covered.", cli, "--cluster", "check", "127.0.0.1:"+p)
		if !strings.Contains(out, "[OK] All nodes agree about slots configuration.") || !strings.Contains(out, "in 5 masters.") {
			t.Errorf("redis-cli --cluster check 127.0.0.1:%s:\n%s", p, out)
		}
	}
	out := mustRun(t, "Cluster has 5 master nodes", bench, "--cluster", "-p", port, "-t", "set,get,incr", "-n", "3000", "-P", "4", "-q")
	if strings.Contains(out, "MOVED") || strings.Contains(out, "rror") {
		t.Errorf("redis-benchmark --cluster:\n%s", out)
	}
	if n := c.forwarded(); n != 0 {
		t.Errorf("%d commands were passed on", n)
	}

	c.n(5).kill()
	for _, s := range c.nodes[:4] {
		eventually(t, "the others lead its slots", func() error { return ledBy(s, c.n(5), false) })
	}
	mustRun(t, "[OK] All 16384 slots covered.", cli, "--cluster", "check", "127.0.0.1:"+port)
}

// mustRun runs a program and returns what it printed, which must hold a text.
func mustRun(t *testing.T, wanted string, program ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, program[0], program[1:]...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), wanted) {
		t.Fatalf("%v: %v, want %q\n%s", program, err, wanted, out)
	}
	return string(out)
}

// TestPythonCluster runs redis-py's cluster client on a cluster.
func TestPythonCluster(t *testing.T) {
	python := needClient(t, "/usr/bin/python3", "-c", "import redis.cluster")
	runClient(t, startCluster(t, 5), python, filepath.Join(root, "testdata", "clients", "py", "cluster.py"))
}
