package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dynaring/dynaring/storage/version"
)

// Workload is clients that write and read at random, each on its own host and
// on any node.
type Workload struct {
	Seed               uint64
	Clients            int
	Keys               int // of each family
	R, W               int // the nodes' own
	N                  int
	MinThink, MaxThink time.Duration
	Padding            int // of values: up to so many spaces at their end
	// SkipTTL leaves out values that expire, for clusters whose clocks differ.
	SkipTTL bool
	// Fresh: every key is used for a while only, and mostly deleted in the end.
	Fresh bool
	Round int // of several runs on one history: values differ
	// Wanes: towards the end of the run, everything is mostly deleted. Known is
	// what clients remember of keys from one run to the next.
	Wanes bool
	Known map[string]map[string][]version.Context
	// Blind: one command at a time, at the nodes' own R and W, and none that
	// has to read before it writes.
	Blind bool
}

// Chances, of 100.
const (
	chanceMove     = 3  // to another node, before a request
	chanceLeave    = 50 // the node, after it did not answer
	chancePipeline = 10
	maxPipeline    = 5
	keptContexts   = 3  // that a client remembers of a key
	chanceLater    = 10 // that a client looks at a key that is not used any more
)

// lifetime is for how many of the longest thinks a fresh key is used; in the
// last part of it, endPercent of it, it is mostly deleted.
const (
	lifetime   = 40
	endPercent = 40
)

// Run runs the clients until ctx ends and each has its last answer.
func (w Workload) Run(ctx context.Context, c *Cluster, h *History) {
	var clients sync.WaitGroup
	for i := range w.Clients {
		name := fmt.Sprintf("c%d", i+1)
		known := w.Known[name]
		if known == nil {
			known = make(map[string][]version.Context)
		}
		if w.Known != nil {
			w.Known[name] = known
		}
		k := &worker{
			Workload: w, cluster: c, number: i,
			session:  NewSession(c.Net.Host(name, fmt.Sprintf("127.0.1.%d", i+1)), h, w.R, w.W),
			rng:      rand.New(rand.NewPCG(w.Seed, uint64(w.Round)<<32+uint64(i))),
			written:  w.Round * maxWritten,
			contexts: known,
		}
		clients.Go(func() { k.run(ctx) })
	}
	clients.Wait()
}

// maxWritten is more than a client writes in one round.
const maxWritten = 100000

// worker is one client.
type worker struct {
	Workload
	ending   bool // the key that is drawn is at the end of its time
	began    time.Time
	until    time.Time // the run's end
	cluster  *Cluster
	session  *Session
	rng      *rand.Rand
	number   int
	contexts map[string][]version.Context // the last ones that it was told, by key
	written  int
}

func (k *worker) run(ctx context.Context) {
	defer k.session.Close()
	k.began = time.Now()
	k.until, _ = ctx.Deadline()
	k.move()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(between(k.rng, k.MinThink, k.MaxThink)):
		}
		if k.chance(chanceMove) {
			k.move()
		}
		ops := []*Op{k.draw()}
		if k.chance(chancePipeline) && !k.Blind {
			for range 1 + k.rng.IntN(maxPipeline-1) {
				ops = append(ops, k.draw())
			}
		}
		if k.session.Do(ops...) && k.chance(chanceLeave) {
			k.move()
		}
		for _, o := range ops {
			k.remember(o)
		}
	}
}

func (k *worker) chance(percent int) bool { return k.rng.IntN(100) < percent }

func (k *worker) move() {
	names := k.cluster.Names()
	k.session.Use(k.cluster.Node(names[k.rng.IntN(len(names))]))
}

// remember keeps the contexts of what was acknowledged.
func (k *worker) remember(o *Op) {
	if o.Kind < DGet || o.Outcome != Acked || len(o.Got.Past) == 0 {
		return
	}
	kept := append(k.contexts[o.Key], o.Got)
	k.contexts[o.Key] = kept[max(0, len(kept)-keptContexts):]
}

// draw makes up the next operation.
func (k *worker) draw() *Op {
	key := fmt.Sprint(1 + k.rng.IntN(k.Keys))
	k.ending = k.Wanes && time.Until(k.until) < k.until.Sub(k.began)*endPercent/100
	if k.Fresh {
		key += "." + k.generation()
	}
	switch draw := k.rng.IntN(10); {
	case k.Blind:
		return k.blind(key)
	case draw < 3:
		return k.plain("s" + key)
	case draw < 6:
		return k.sibling("r" + key)
	case draw < 9:
		return k.counter("c" + key)
	}
	return k.mixed("m" + key)
}

func (k *worker) blind(key string) *Op {
	switch k.rng.IntN(4) {
	case 0:
		return &Op{Kind: Get, Key: "s" + key}
	case 1:
		return &Op{Kind: Set, Key: "s" + key, Value: k.value()}
	case 2:
		return &Op{Kind: DGet, Key: "r" + key}
	}
	o := &Op{Kind: DPut, Key: "r" + key, Value: k.value()}
	if known := k.contexts[o.Key]; len(known) > 0 {
		o.Given = k.context(known)
	}
	return o
}

// generation draws which of the fresh keys of a name are meant: those of now,
// or those before.
func (k *worker) generation() string {
	now, life := k.session.history.Since(), lifetime*k.MaxThink
	n := now / life
	k.ending = k.ending || now%life >= life*(100-endPercent)/100
	if n > 0 && k.chance(chanceLater) {
		n, k.ending = n-1, true
	}
	return fmt.Sprint(int64(n))
}

func (k *worker) value() string {
	k.written++
	return fmt.Sprintf("%s.%d%*s", k.session.Name, k.written, k.rng.IntN(k.Padding+1), "")
}

// mixed does anything to a key that holds numbers.
func (k *worker) mixed(key string) *Op {
	var o *Op
	switch k.rng.IntN(3) {
	case 0:
		o = k.plain(key)
	case 1:
		o = k.sibling(key)
	default:
		o = k.counter(key)
	}
	if o.Value != "" {
		o.Value = fmt.Sprintf("%d%06d000000", 1+k.number, k.written)
	}
	return o
}

func (k *worker) plain(key string) *Op {
	switch draw := k.rng.IntN(100); {
	case draw < 45:
		return &Op{Kind: Get, Key: key}
	case draw < 55 || k.ending && draw < 99:
		return &Op{Kind: Del, Key: key}
	}
	return &Op{Kind: Set, Key: key, Value: k.value(), TTL: k.ttl(15)}
}

// ttl draws the life of a value; 0 is for ever.
func (k *worker) ttl(percent int) time.Duration {
	if k.SkipTTL || !k.chance(percent) {
		return 0
	}
	return time.Duration(20+k.rng.IntN(2000)) * time.Millisecond
}

func (k *worker) counter(key string) *Op {
	if k.chance(40) {
		return &Op{Kind: Get, Key: key}
	}
	return &Op{Kind: Incr, Key: key, By: 1 + k.rng.Int64N(5)}
}

func (k *worker) sibling(key string) *Op {
	known := k.contexts[key]
	if k.ending && len(known) > 0 && k.chance(40) {
		return &Op{Kind: DDel, Key: key, Given: &known[len(known)-1]}
	}
	switch draw := k.rng.IntN(100); {
	case draw < 90 && k.ending:
		return &Op{Kind: DGet, Key: key}
	case draw < 35:
		return &Op{Kind: DGet, Key: key}
	case draw < 40:
		return &Op{Kind: DGet, Key: key, R: 1}
	case draw < 45:
		return &Op{Kind: DGet, Key: key, R: k.N}
	case draw < 50:
		return &Op{Kind: Get, Key: key}
	case draw < 58 && len(known) > 0:
		return &Op{Kind: DDel, Key: key, Given: k.context(known)}
	}
	o := &Op{Kind: DPut, Key: key, Value: k.value(), TTL: k.ttl(5)}
	if len(known) > 0 && !k.chance(5) {
		o.Given = k.context(known)
	}
	switch {
	case k.chance(5):
		o.W = 1
	case k.chance(5):
		o.W = k.N
	}
	return o
}

// context returns the newest context that the client knows, or an older one.
func (k *worker) context(known []version.Context) *version.Context {
	x := known[len(known)-1]
	if k.chance(20) {
		x = known[k.rng.IntN(len(known))]
	}
	return &x
}
