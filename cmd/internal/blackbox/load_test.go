package blackbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// What a load is bound to.
const (
	loadWorkers = 6
	loadPause   = 16 * time.Millisecond // between two requests of a worker
	loadKeys    = 8                     // registers of each worker, counters, and carts
	loadLongest = 4 * time.Minute

	// clientPatience is when a client gives an answer up: a node answers within
	// its --timeout of 500 ms, if at all.
	clientPatience = time.Second
)

// load is clients that write and read at a bounded rate, each at one node for
// as long as that answers.
type load struct {
	t    *testing.T
	c    *labCluster
	h    *history
	stop context.CancelFunc
	done sync.WaitGroup

	request func(*worker)
	stalls  stallWatch // of the machine
}

// startLoad runs a load of all kinds of requests until it is stopped, at the
// latest at the test's end.
func startLoad(t *testing.T, c *labCluster) *load {
	return startWork(t, c, loadLongest, (*worker).mixed)
}

// startWork runs a load of such requests.
func startWork(t *testing.T, c *labCluster, longest time.Duration, request func(*worker)) *load {
	l := &load{t: t, c: c, h: newHistory(), request: request}
	ctx, stop := context.WithTimeout(context.Background(), longest)
	l.stop = stop
	folder := t.TempDir()
	l.done.Go(func() { l.stalls.timers(ctx, l.h.since) })
	l.done.Go(func() {
		if err := l.stalls.disk(ctx, folder, l.h.since); err != nil {
			t.Errorf("watching the disk: %v", err)
		}
	})
	for i := range loadWorkers {
		w := &worker{load: l, number: i, at: i % len(c.nodes), rng: rand.New(rand.NewPCG(1, uint64(i)))}
		for _, s := range c.nodes {
			o := s.options()
			o.PoolSize = 1
			o.DialTimeout, o.ReadTimeout, o.WriteTimeout = clientPatience, clientPatience, clientPatience
			w.clients = append(w.clients, redis.NewClient(o))
		}
		l.done.Go(func() { w.run(ctx) })
	}
	t.Cleanup(l.end)
	return l
}

// end stops the load and waits for its last answers.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// during keeps the load running for a time, and until something is answered,
// and returns which part of the history that was.
func (l *load) during(name string, d time.Duration) period {
	l.t.Helper()
	p := period{name: name, start: l.h.since()}
	count := l.h.count()
	time.Sleep(d) // the load is what happens in it
	eventually(l.t, name+": a request is answered", func() error {
		if l.h.count() == count {
			return fmt.Errorf("none of %d is new", count)
		}
		return nil
	})
	p.end = l.h.since()
	return p
}

// worker is one client.
type worker struct {
	*load
	number  int
	at      int // the node that it talks to
	clients []*redis.Client
	rng     *rand.Rand
	written int
}

func (w *worker) run(ctx context.Context) {
	defer func() {
		for _, c := range w.clients {
			c.Close()
		}
	}()
	tick := time.NewTicker(loadPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.load.request(w)
		}
	}
}

// mixed makes a request of any kind.
func (w *worker) mixed() {
	key := w.rng.IntN(loadKeys)
	register := fmt.Sprintf("reg:%d:%d", w.number, key)
	switch draw := w.rng.IntN(100); {
	case draw < 35:
		w.do(op{kind: set, key: register, value: w.value()})
	case draw < 42:
		w.do(op{kind: del, key: register})
	case draw < 65:
		w.do(op{kind: get, key: fmt.Sprintf("reg:%d:%d", w.rng.IntN(loadWorkers), key)})
	case draw < 80:
		w.do(op{kind: incr, key: fmt.Sprintf("ctr:%d", key)})
	default:
		w.add(fmt.Sprintf("cart:%d", key))
	}
}

func (w *worker) value() string {
	w.written++
	return fmt.Sprintf("%d.%d", w.number, w.written)
}

// ask sends one request, records it with what read makes of its reply, and
// leaves the node if that did not answer.
func (w *worker) ask(o op, read func(*op, any), args ...any) (op, bool) {
	o.writer, o.node = w.number, w.c.nodes[w.at].name
	o.start = w.h.since()
	// Not the load's own context: what was asked is waited for.
	reply, err := w.clients[w.at].Do(context.Background(), args...).Result()
	o.end = w.h.since()
	o.fate, o.err = conclude(err)
	if o.fate == acked {
		read(&o, reply)
	}
	w.h.add(o)
	if lost(err) {
		w.at = (w.at + 1) % len(w.clients)
	}
	return o, o.fate == acked
}

func (w *worker) do(o op) {
	args := []any{o.kind.String(), o.key}
	if o.kind == set {
		args = append(args, o.value)
	}
	w.ask(o, func(o *op, reply any) {
		switch {
		case o.kind == get && reply != nil:
			o.saw = []string{fmt.Sprint(reply)}
		case o.kind == del && reply == int64(0):
			o.fate = refused // it saw nothing, and deleted nothing
		}
	}, args...)
}

// add puts an item into a cart as the paper's shop does: it reads all siblings
// and writes what they hold together.
func (w *worker) add(key string) {
	var token string
	seen, ok := w.ask(op{kind: look, key: key}, func(o *op, reply any) {
		parts := reply.([]any)
		token, _ = parts[0].(string)
		o.saw, o.versions = items(parts[1].([]any))
	}, "DGET", key)
	if !ok {
		return
	}
	item := w.value()
	args := []any{"DPUT", key, strings.Join(append(seen.saw, item), " ")}
	if token != "" {
		args = append(args, "CONTEXT", token)
	}
	w.ask(op{kind: add, key: key, value: item}, func(*op, any) {}, args...)
}

// items returns what the siblings of a cart hold, each item once.
func items(siblings []any) (all []string, versions int) {
	for _, s := range siblings {
		all = append(all, strings.Fields(fmt.Sprint(s))...)
	}
	slices.Sort(all)
	return slices.Compact(all), len(siblings)
}

// audit fails the test unless the settled cluster keeps what it promised, on
// every replica.
func (c *labCluster) audit(ops []op) {
	c.t.Helper()
	var keys []string
	for key := range byKey(ops) {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	c.wantInStep(keys)
	var ends []truth
	for _, s := range c.nodes {
		ends = append(ends, s.truth(keys))
	}
	for _, broken := range check(ops, ends...) {
		c.t.Error(broken)
	}
}

// truth reads keys through a node.
func (s *server) truth(keys []string) truth {
	s.t.Helper()
	out := truth{}
	for _, key := range keys {
		if strings.HasPrefix(key, "cart:") {
			out[key], _ = items(s.do("DGET", key).([]any)[1].([]any))
		} else if v := s.do("GET", key); v != nil {
			out[key] = []string{fmt.Sprint(v)}
		}
	}
	return out
}
