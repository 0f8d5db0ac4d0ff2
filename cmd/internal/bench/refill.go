package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// What a refill is made of: enough data that it takes some seconds, and a load
// of clients that leaves the machine some air, as a shop's would.
const (
	refillPort    = 7300
	refillKeys    = 200_000
	refillValue   = 512 // bytes
	refillClients = 8
	refillRate    = 2000 // requests a second, one write in four
	refillQuiet   = 5 * time.Second
	refillLimit   = 3 * time.Minute
	refillBatch   = 500 // keys of a pipeline while filling
)

// refillMode is one way for background work to behave.
type refillMode struct{ name, threshold string }

var refillModes = []refillMode{
	{"with the controller", ""},
	{"without", "off"},
}

// refill shows what clients feel while a node that lost its disk is refilled,
// with the background controller and without it.
func refill(ctx context.Context, o options) error {
	rows := [][]string{{"", "quiet p50", "quiet p99", "refill p50", "refill p99", "refill p99.9", "refilled in"}}
	cells := make(map[string][][]time.Duration)
	for round := range o.rounds {
		for _, mode := range refillModes {
			r, err := refillOnce(ctx, o, mode)
			if err != nil {
				return fmt.Errorf("%s: %w", mode.name, err)
			}
			cells[mode.name] = append(cells[mode.name], r)
			fmt.Fprintf(os.Stderr, "round %d, %s: %v\n", round+1, mode.name, r)
		}
	}
	for _, mode := range refillModes {
		row := []string{mode.name}
		for i := range len(rows[0]) - 1 {
			column := make([]time.Duration, 0, o.rounds)
			for _, r := range cells[mode.name] {
				column = append(column, r[i])
			}
			slices.Sort(column)
			row = append(row, column[len(column)/2].Round(10*time.Microsecond).String())
		}
		rows = append(rows, row)
	}
	printTable(os.Stdout, rows, o.markdown)
	return nil
}

// refillOnce returns the figures of one row.
func refillOnce(ctx context.Context, o options, mode refillMode) (row []time.Duration, err error) {
	dir, err := os.MkdirTemp("", "dynaring-refill-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	nodes := make([]*exec.Cmd, 3)
	defer func() {
		for _, n := range nodes {
			if n != nil {
				end(n)
			}
		}
	}()
	for i := range nodes {
		if nodes[i], err = startRefillNode(o, dir, i, mode); err != nil {
			return nil, err
		}
		if err := waitFor(ctx, func() bool { return settledAt(ctx, i, i+1) }); err != nil {
			return nil, err
		}
	}
	if err := fill(ctx); err != nil {
		return nil, err
	}
	if err := waitFor(ctx, func() bool { return settledAt(ctx, 0, 3) }); err != nil {
		return nil, err
	}
	quiet := measure(ctx, func() error { time.Sleep(refillQuiet); return nil })
	nodes[2].Process.Kill()
	nodes[2].Wait()
	if err := os.RemoveAll(refillDir(dir, 2)); err != nil {
		return nil, err
	}
	began := time.Now()
	during := measure(ctx, func() (err error) {
		if nodes[2], err = startRefillNode(o, dir, 2, mode); err != nil {
			return err
		}
		return waitFor(ctx, func() bool { return taken(ctx) })
	})
	took := time.Since(began)
	if err := errors.Join(quiet.err, during.err); err != nil {
		return nil, err
	}
	return []time.Duration{quiet.at(0.5), quiet.at(0.99), during.at(0.5), during.at(0.99), during.at(0.999), took}, nil
}

func refillDir(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("n%d", i+1)) }

func refillAddr(i int) string { return fmt.Sprintf("127.0.0.1:%d", refillPort+i) }

func startRefillNode(o options, dir string, i int, mode refillMode) (*exec.Cmd, error) {
	args := []string{"serve", "--name", fmt.Sprintf("n%d", i+1), "--addr", refillAddr(i),
		"--data-dir", refillDir(dir, i), "--durability", "interval"}
	if i > 0 {
		args = append(args, "--join", "127.0.0.1:"+strconv.Itoa(refillPort+1000))
	}
	if mode.threshold != "" {
		args = append(args, "--background-p99", mode.threshold)
	}
	log, err := os.OpenFile(refillDir(dir, i)+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(o.binary, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, cmd.Start()
}

func waitFor(ctx context.Context, done func() bool) error {
	deadline := time.Now().Add(refillLimit)
	for !done() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the cluster was not ready within %v", refillLimit)
		}
		time.Sleep(pollEvery)
	}
	return nil
}

// settledAt asks a node whether the cluster has so many members and is settled.
func settledAt(ctx context.Context, node, members int) bool {
	c := redis.NewClient(&redis.Options{Addr: refillAddr(node), MaxRetries: -1, Protocol: 2})
	defer c.Close()
	all, err := memberStates(ctx, c)
	if err != nil || len(all) != members {
		return false
	}
	reply, err := c.Do(ctx, "DCLUSTER", "SETTLED").Slice()
	return err == nil && len(reply) > 0 && reply[0] == int64(1)
}

// taken reports whether no member is coming to own anything any more, and the
// one that came back is up.
func taken(ctx context.Context) bool {
	c := redis.NewClient(&redis.Options{Addr: refillAddr(2), MaxRetries: -1, Protocol: 2})
	defer c.Close()
	all, err := memberStates(ctx, c)
	return err == nil && len(all) == 3 && !slices.ContainsFunc(all, func(m map[string]any) bool {
		return m["state"] != "up" || m["coming"] != int64(0)
	})
}

func memberStates(ctx context.Context, c *redis.Client) (all []map[string]any, err error) {
	flat, err := c.Do(ctx, "DCLUSTER", "STATUS").Slice()
	if err != nil {
		return nil, err
	}
	list, _ := flatMap(flat)["members"].([]any)
	for _, m := range list {
		fields, _ := m.([]any)
		all = append(all, flatMap(fields))
	}
	return all, nil
}

func flatMap(flat []any) map[string]any {
	m := make(map[string]any)
	for i := 0; i+1 < len(flat); i += 2 {
		m[fmt.Sprint(flat[i])] = flat[i+1]
	}
	return m
}

func refillKey(i int) string { return "key:" + strconv.Itoa(i) }

// fill writes every key once.
func fill(ctx context.Context) error {
	c := redis.NewClient(&redis.Options{Addr: refillAddr(0), Protocol: 2, ReadTimeout: time.Minute})
	defer c.Close()
	value := make([]byte, refillValue)
	for from := 0; from < refillKeys; from += refillBatch {
		p := c.Pipeline()
		for i := from; i < min(from+refillBatch, refillKeys); i++ {
			p.Set(ctx, refillKey(i), value, 0)
		}
		if _, err := p.Exec(ctx); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

// latencies are how long requests took.
type latencies struct {
	sorted []time.Duration
	err    error
}

func (l latencies) at(q float64) time.Duration {
	if len(l.sorted) == 0 {
		return 0
	}
	return l.sorted[min(len(l.sorted)-1, int(q*float64(len(l.sorted))))]
}

// measure runs the clients' load against two nodes while during runs.
func measure(ctx context.Context, during func() error) latencies {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := make([][]time.Duration, refillClients)
	var clients sync.WaitGroup
	for i := range refillClients {
		clients.Go(func() { all[i] = oneClient(ctx, i) })
	}
	err := during()
	cancel()
	clients.Wait()
	l := latencies{sorted: slices.Concat(all...), err: err}
	slices.Sort(l.sorted)
	return l
}

// oneClient sends requests at a steady rate, whatever the answers take.
func oneClient(ctx context.Context, number int) (took []time.Duration) {
	c := redis.NewClient(&redis.Options{Addr: refillAddr(number % 2), MaxRetries: -1, Protocol: 2})
	defer c.Close()
	rng := rand.New(rand.NewPCG(1, uint64(number)))
	value := make([]byte, refillValue)
	tick := time.NewTicker(time.Second * refillClients / refillRate)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return took
		case <-tick.C:
		}
		key, began := refillKey(rng.IntN(refillKeys)), time.Now()
		if rng.IntN(4) == 0 {
			c.Set(context.Background(), key, value, 0)
		} else {
			c.Get(context.Background(), key)
		}
		took = append(took, time.Since(began))
	}
}
