package blackbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestRedisCLI runs the scripts of testdata/script: redis-cli against any node
// of a cluster. P1, P2 and P3 are the nodes' ports.
func TestRedisCLI(t *testing.T) {
	needClient(t, "redis-cli", "--version")
	c := startCluster(t, 3)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			for i, s := range c.nodes {
				env.Setenv(fmt.Sprintf("P%d", i+1), strconv.Itoa(s.port))
			}
			env.Setenv("DYNARING", binary)
			return nil
		},
	})
}

// TestPython and TestJavaScript run the clients' own test programs, which
// exercise the main commands through each node that they are given.
func TestPython(t *testing.T) {
	python := needClient(t, "/usr/bin/python3", "-c", "import redis")
	runClient(t, startCluster(t, 3), python, filepath.Join(root, "testdata", "clients", "py", "commands.py"))
}

func TestJavaScript(t *testing.T) {
	node := needClient(t, "node", "--input-type=module", "-e", "import 'ioredis'")
	runClient(t, startCluster(t, 3), node, filepath.Join(root, "testdata", "clients", "js", "commands.mjs"))
}

func runClient(t *testing.T, c *cluster, program ...string) {
	t.Helper()
	for _, s := range c.nodes {
		program = append(program, strconv.Itoa(s.port))
	}
	cmd := exec.CommandContext(t.Context(), program[0], program[1:]...)
	cmd.Env = os.Environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", program, err, out)
	}
}

// TestGoRedis uses the typed calls of go-redis through every node, under both
// protocols.
func TestGoRedis(t *testing.T) {
	c := startCluster(t, 3)
	for i, s := range c.nodes {
		for _, protocol := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s RESP%d", s.name, protocol), func(t *testing.T) {
				rdb := redis.NewClient(&redis.Options{Addr: s.addr(), Protocol: protocol, ClientName: "blackbox"})
				defer rdb.Close()
				other := c.nodes[(i+1)%3].rdb()
				goRedisStrings(t, rdb, other, fmt.Sprintf("%s:%d:", s.name, protocol))
				goRedisExpiry(t, rdb, other, fmt.Sprintf("%s:%d:", s.name, protocol))
			})
		}
	}
	t.Run("whole cluster", func(t *testing.T) { goRedisKeyspace(t, c) })
}

// want fails the test unless a call returned the value.
func want[T comparable](t *testing.T, what string, expected T, got T, err error) {
	t.Helper()
	if err != nil || got != expected {
		t.Errorf("%s = %v, %v; want %v", what, got, err, expected)
	}
}

func goRedisStrings(t *testing.T, rdb, other *redis.Client, p string) {
	ctx := t.Context()
	pong, err := rdb.Ping(ctx).Result()
	want(t, "PING", "PONG", pong, err)
	ok, err := rdb.Set(ctx, p+"a", "1", 0).Result()
	want(t, "SET", "OK", ok, err)
	got, err := other.Get(ctx, p+"a").Result()
	want(t, "GET elsewhere", "1", got, err)
	n, err := rdb.Incr(ctx, p+"a").Result()
	want(t, "INCR", 2, n, err)
	n, err = other.IncrBy(ctx, p+"a", 40).Result()
	want(t, "INCRBY elsewhere", 42, n, err)
	n, err = rdb.DecrBy(ctx, p+"a", 2).Result()
	want(t, "DECRBY", 40, n, err)
	set, err := rdb.SetNX(ctx, p+"a", "x", 0).Result()
	want(t, "SETNX on a key", false, set, err)
	set, err = rdb.SetNX(ctx, p+"b", "x", 0).Result()
	want(t, "SETNX on none", true, set, err)
	got, err = rdb.Do(ctx, "GETSET", p+"b", "y").Text()
	want(t, "GETSET", "x", got, err)
	n, err = rdb.Append(ctx, p+"b", "yz").Result()
	want(t, "APPEND", 3, n, err)
	n, err = other.StrLen(ctx, p+"b").Result()
	want(t, "STRLEN elsewhere", 3, n, err)
	got, err = rdb.GetDel(ctx, p+"b").Result()
	want(t, "GETDEL", "yyz", got, err)
	if _, err := other.Get(ctx, p+"b").Result(); err != redis.Nil {
		t.Errorf("GET of a deleted key: %v, want a null", err)
	}
	ok, err = rdb.MSet(ctx, p+"x", "1", p+"y", "2", p+"z", "3").Result()
	want(t, "MSET", "OK", ok, err)
	many, err := other.MGet(ctx, p+"x", p+"none", p+"z").Result()
	want(t, "MGET elsewhere", "[1 <nil> 3]", fmt.Sprint(many), err)
	n, err = rdb.Exists(ctx, p+"x", p+"y", p+"x", p+"none").Result()
	want(t, "EXISTS", 3, n, err)
	n, err = other.Del(ctx, p+"x", p+"y", p+"none").Result()
	want(t, "DEL elsewhere", 2, n, err)
	kind, err := rdb.Type(ctx, p+"z").Result()
	want(t, "TYPE", "string", kind, err)
	binary := string([]byte{0, 1, '\r', '\n', 255})
	ok, err = rdb.Set(ctx, p+binary, binary, 0).Result()
	want(t, "SET of bytes", "OK", ok, err)
	got, err = other.Get(ctx, p+binary).Result()
	want(t, "GET of bytes", binary, got, err)
	cmds, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := range 100 {
			pipe.Set(ctx, fmt.Sprintf("%spipe:%d", p, i), i, 0)
			pipe.Get(ctx, fmt.Sprintf("%spipe:%d", p, i))
		}
		return nil
	})
	want(t, "pipeline", 200, len(cmds), err)
	for i := range 100 {
		got, err := cmds[2*i+1].(*redis.StringCmd).Result()
		want(t, "GET in a pipeline", strconv.Itoa(i), got, err)
	}
}

func goRedisExpiry(t *testing.T, rdb, other *redis.Client, p string) {
	ctx := t.Context()
	want1 := func(what string, expected, got any, err error) {
		t.Helper()
		want(t, what, fmt.Sprint(expected), fmt.Sprint(got), err)
	}
	_, err := rdb.Set(ctx, p+"e", "v", time.Hour).Result()
	if err != nil {
		t.Fatal(err)
	}
	ttl, err := other.TTL(ctx, p+"e").Result()
	if err != nil || ttl <= 59*time.Minute || ttl > time.Hour {
		t.Errorf("TTL elsewhere = %v, %v", ttl, err)
	}
	done, err := other.Persist(ctx, p+"e").Result()
	want1("PERSIST elsewhere", true, done, err)
	ttl, err = rdb.TTL(ctx, p+"e").Result()
	want1("TTL of a persisted key", -1*time.Nanosecond, ttl, err)
	done, err = rdb.PExpire(ctx, p+"e", 100*time.Millisecond).Result()
	want1("PEXPIRE", true, done, err)
	eventually(t, "the key expires", func() error {
		if n := other.Exists(ctx, p+"e").Val(); n != 0 {
			return fmt.Errorf("EXISTS = %d", n)
		}
		return nil
	})
	ttl, err = rdb.TTL(ctx, p+"e").Result()
	want1("TTL of an expired key", -2*time.Nanosecond, ttl, err)
	if err := rdb.SetArgs(ctx, p+"e", "w", redis.SetArgs{Mode: "XX"}).Err(); err != redis.Nil {
		t.Errorf("SET XX on an expired key: %v, want a null", err)
	}
	got, err := rdb.SetArgs(ctx, p+"f", "w", redis.SetArgs{Mode: "NX", TTL: time.Minute}).Result()
	want1("SET NX EX", "OK", got, err)
	old, err := rdb.SetArgs(ctx, p+"f", "x", redis.SetArgs{Get: true, KeepTTL: true}).Result()
	want1("SET GET KEEPTTL", "w", old, err)
	ttl, err = other.PTTL(ctx, p+"f").Result()
	if err != nil || ttl <= 50*time.Second || ttl > time.Minute {
		t.Errorf("PTTL after KEEPTTL = %v, %v", ttl, err)
	}
}

// goRedisKeyspace: what has no key means the whole cluster, on every node.
func goRedisKeyspace(t *testing.T, c *cluster) {
	ctx := t.Context()
	if err := c.n(1).rdb().FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	const keys = 300
	for i := range keys {
		c.nodes[i%3].do("SET", key(i), "v")
	}
	for _, s := range c.nodes {
		n, err := s.rdb().DBSize(ctx).Result()
		want(t, s.name+": DBSIZE", keys, n, err)
		var got []string
		iter := s.rdb().Scan(ctx, 0, "key:*", 20).Iterator()
		for iter.Next(ctx) {
			got = append(got, iter.Val())
		}
		slices.Sort(got)
		got = slices.Compact(got)
		want(t, s.name+": keys met by SCAN", keys, len(got), iter.Err())
	}
	if err := c.n(2).rdb().FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.nodes {
		n, err := s.rdb().DBSize(ctx).Result()
		want(t, s.name+": DBSIZE after FLUSHALL", 0, n, err)
		if got := s.do("GET", key(1)); got != nil {
			t.Errorf("%s: GET after FLUSHALL = %v", s.name, got)
		}
	}
}
