package blackbox

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

const (
	clientTime = 12 * time.Second // that clients write and read
	clientKill = 3 * time.Second  // after which a node is killed
	clientDown = 4 * time.Second  // for how long
)

// TestClientsSurviveANode has every client, unmodified, write and read through
// one node, and as a cluster client where it can be one, while another node is
// killed and comes back: no error reaches the application beyond what the
// client's own retries cover.
func TestClientsSurviveANode(t *testing.T) {
	c := startCluster(t, 3)
	var plain, member []string
	for _, s := range c.nodes {
		plain = append(plain, strconv.Itoa(s.port))
		member = append(member, strconv.Itoa(s.port+3000))
	}
	programs := clientPrograms(t)
	seconds := fmt.Sprint(clientTime.Seconds())
	var all sync.WaitGroup
	for name, command := range programs {
		for _, mode := range []string{"plain", "cluster"} {
			if mode == "cluster" && name == "hiredis" {
				continue // it has no cluster mode of its own
			}
			ports := plain[:1]
			if mode == "cluster" {
				ports = member
			}
			args := slices.Concat(command, []string{mode, seconds}, ports)
			all.Go(func() {
				out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
				if err != nil {
					t.Errorf("%s %s: %v\n%s", name, mode, err, out)
					return
				}
				t.Logf("%s %s: %s", name, mode, lastLine(string(out)))
			})
		}
	}
	for name, work := range goClients() {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), clientTime)
			defer cancel()
			rounds, err := work(ctx, c)
			if err != nil {
				t.Errorf("%s: after %d rounds: %v", name, rounds, err)
				return
			}
			t.Logf("%s: %d rounds", name, rounds)
		})
	}
	time.Sleep(clientKill)
	c.n(2).kill()
	time.Sleep(clientDown)
	c.n(2).start()
	all.Wait()
	c.waitReady()
}

// clientPrograms are the clients of other languages, by name.
func clientPrograms(t *testing.T) map[string][]string {
	t.Helper()
	at := func(path ...string) string {
		return filepath.Join(append([]string{root, "testdata", "clients"}, path...)...)
	}
	node := needClient(t, "node", "--input-type=module", "-e", "import 'ioredis'; import 'redis'")
	needClient(t, "php", "-r", "new Redis();")
	needClient(t, "ruby", "-e", "require 'redis'")
	needClient(t, "gcc", "--version")
	hiredis := filepath.Join(t.TempDir(), "hiredis")
	if out, err := exec.Command("gcc", "-O1", "-o", hiredis, at("c", "load.c"), "-lhiredis").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return map[string][]string{
		"ioredis":    {node, at("js", "load.mjs"), "ioredis"},
		"node-redis": {node, at("js", "load.mjs"), "node-redis"},
		"redis-py":   {"/usr/bin/python3", at("py", "load.py")},
		"phpredis":   {"php", at("php", "load.php")},
		"ruby-redis": {"ruby", at("ruby", "load.rb")},
		"hiredis":    {hiredis},
	}
}

// goClients are those of Go. Each works until its time is up and returns how
// many rounds it has made.
func goClients() map[string]func(context.Context, *cluster) (int, error) {
	return map[string]func(context.Context, *cluster) (int, error){
		"go-redis plain": func(ctx context.Context, c *cluster) (int, error) {
			r := goredis.NewClient(&goredis.Options{Addr: c.n(1).addr()})
			defer r.Close()
			return goRedisRounds(ctx, r, "go-redis:plain")
		},
		"go-redis cluster": func(ctx context.Context, c *cluster) (int, error) {
			r := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: c.clusterAddrs(), MaxRedirects: 10})
			defer r.Close()
			return goRedisRounds(ctx, r, "go-redis:cluster")
		},
		"rueidis plain": func(ctx context.Context, c *cluster) (int, error) {
			return rueidisRounds(ctx, rueidis.ClientOption{
				InitAddress: []string{c.n(1).addr()}, DisableCache: true, ForceSingleClient: true,
			}, "rueidis:plain")
		},
		"rueidis cluster": func(ctx context.Context, c *cluster) (int, error) {
			return rueidisRounds(ctx, rueidis.ClientOption{InitAddress: c.clusterAddrs(), DisableCache: true}, "rueidis:cluster")
		},
		"redigo plain": redigoRounds,
	}
}

// clusterAddrs are the nodes' cluster views.
func (c *cluster) clusterAddrs() (addrs []string) {
	for _, s := range c.nodes {
		addrs = append(addrs, s.clusterAddr())
	}
	return addrs
}

// rounds calls round until ctx ends.
func rounds(ctx context.Context, round func(n int) error) (n int, err error) {
	for ctx.Err() == nil {
		if err := round(n); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func goRedisRounds(ctx context.Context, r goredis.UniversalClient, p string) (int, error) {
	bg := context.WithoutCancel(ctx)
	return rounds(ctx, func(n int) error {
		k := fmt.Sprintf("%s:%d", p, n%500)
		if err := r.Set(bg, k, n, 0).Err(); err != nil {
			return err
		}
		if got, err := r.Get(bg, k).Int(); err != nil || got != n {
			return fmt.Errorf("%d, %w; want %d", got, err, n)
		}
		if n%10 > 0 {
			return nil
		}
		cmds, err := r.Pipelined(bg, func(pipe goredis.Pipeliner) error {
			for i := range 20 {
				pipe.Set(bg, fmt.Sprint(p, i), n, 0)
				pipe.Get(bg, fmt.Sprint(p, i))
			}
			return nil
		})
		if err != nil || len(cmds) != 40 {
			return fmt.Errorf("%d replies, %w", len(cmds), err)
		}
		return nil
	})
}

func rueidisRounds(ctx context.Context, o rueidis.ClientOption, p string) (int, error) {
	r, err := rueidis.NewClient(o)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	bg := context.WithoutCancel(ctx)
	return rounds(ctx, func(n int) error {
		k := fmt.Sprintf("%s:%d", p, n%500)
		// A write is only tried again by those who say that it may be.
		set := func() rueidis.Completed { return r.B().Set().Key(k).Value(strconv.Itoa(n)).Build().ToRetryable() }
		if err := r.Do(bg, set()).Error(); err != nil {
			return err
		}
		if got, err := r.Do(bg, r.B().Get().Key(k).Build()).AsInt64(); err != nil || got != int64(n) {
			return fmt.Errorf("%d, %w; want %d", got, err, n)
		}
		return nil
	})
}

func redigoRounds(ctx context.Context, c *cluster) (int, error) {
	conn, err := redis.Dial("tcp", c.n(1).addr())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return rounds(ctx, func(n int) error {
		k := fmt.Sprintf("redigo:%d", n%500)
		if _, err := conn.Do("SET", k, n); err != nil {
			return err
		}
		if got, err := redis.Int(conn.Do("GET", k)); err != nil || got != n {
			return fmt.Errorf("%d, %w; want %d", got, err, n)
		}
		return nil
	})
}
