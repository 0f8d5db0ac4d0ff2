package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip/memnet"
)

// memStore is a Store in memory. It can be told to fail.
type memStore struct {
	mu   sync.Mutex
	data map[string][]byte
	fail error
}

func (s *memStore) PutMeta(key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if s.data == nil {
		s.data = map[string][]byte{}
	}
	s.data[key] = append([]byte(nil), value...)
	return nil
}

func (s *memStore) GetMeta(key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data[key], nil
}

func (s *memStore) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

var want = ring.Config{N: 3, Placement: ring.PlacementEqual, Partitions: 256}

// host returns the IP address of the i-th node.
func host(i int) string { return fmt.Sprintf("10.0.0.%d", i) }

func gossipAddr(i int) string { return host(i) + ":8379" }

// bubble is a cluster on a network in memory, in a synctest bubble.
type bubble struct {
	t   *testing.T
	net *memnet.Network
}

func inBubble(t *testing.T, f func(*bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, net: memnet.New(1)}
		f(b)
		if open := b.net.Open(); open != 0 {
			t.Errorf("%d ends of streams are left open", open)
		}
		b.net.Close()
	})
}

// node is a running Gossip.
type node struct {
	*Gossip
	t      *testing.T
	store  *memStore
	opts   Options
	cancel context.CancelFunc
	ended  chan error
}

// options are those of the i-th node, at its own address, with its own actor.
func (b *bubble) options(i int, seeds ...int) Options {
	o := Options{
		Self: Meta{Name: fmt.Sprintf("n%d", i), Actor: uint64(1000 + i), Addr: host(i) + ":7379", PeerAddr: host(i) + ":17379"},
		Want: want, Store: &memStore{},
	}
	for _, s := range seeds {
		o.Seeds = append(o.Seeds, gossipAddr(s))
	}
	return o
}

func (b *bubble) start(i int, o Options) *node {
	b.t.Helper()
	tr, err := b.net.Transport(gossipAddr(i))
	if err != nil {
		b.t.Fatal(err)
	}
	o.Transport = tr
	return run(b.t, o)
}

func run(t *testing.T, o Options) *node {
	t.Helper()
	if o.Logger == nil && os.Getenv("GOSSIP_DEBUG") != "" {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", o.Self.Name)
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := &node{Gossip: g, t: t, store: o.Store.(*memStore), opts: o, cancel: cancel, ended: make(chan error, 1)}
	go func() { n.ended <- g.Run(ctx) }()
	return n
}

// stop ends the node and checks that it does so in time.
func (n *node) stop() {
	n.t.Helper()
	start := time.Now()
	n.cancel()
	if err := <-n.ended; err != nil {
		n.t.Errorf("%s ended with %v", n.opts.Self.Name, err)
	}
	if took := time.Since(start); took > 2*time.Second {
		n.t.Errorf("%s took %v to end", n.opts.Self.Name, took)
	}
}

// crash ends the node without a word to the others.
func (b *bubble) crash(n *node, i int) {
	b.net.Crash(host(i))
	n.cancel()
	<-n.ended
}

// fails waits for a node that must not run, and returns why.
func (n *node) fails() error {
	n.t.Helper()
	select {
	case err := <-n.ended:
		n.cancel()
		return err
	case <-time.After(time.Minute):
		n.t.Fatalf("%s runs", n.opts.Self.Name)
		return nil
	}
}

func (n *node) mustJoin() {
	n.t.Helper()
	select {
	case <-n.Joined():
	case err := <-n.ended:
		n.t.Fatalf("%s ended with %v", n.opts.Self.Name, err)
	case <-time.After(30 * time.Second):
		n.t.Fatalf("%s has not joined", n.opts.Self.Name)
	}
}

// within waits until ok, and returns how long that took.
func within(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(start)
}

// agree reports whether all nodes have the same history, which holds all of
// them, and see each other alive, at their addresses.
func agree(nodes ...*node) bool {
	for _, n := range nodes {
		v := n.View()
		if v.History.Digest() != nodes[0].View().History.Digest() || v.Ring == nil {
			return false
		}
		for _, o := range nodes {
			name := o.opts.Self.Name
			if !v.Alive[name] || v.Members[name].Addr != o.opts.Self.Addr || v.Members[name].Cluster != v.History.Cluster() {
				return false
			}
		}
	}
	return true
}

// three starts three nodes that agree.
func (b *bubble) three() (n1, n2, n3 *node) {
	b.t.Helper()
	n1 = b.start(1, b.options(1))
	n2 = b.start(2, b.options(2, 1))
	n3 = b.start(3, b.options(3, 1, 2))
	for _, n := range []*node{n1, n2, n3} {
		n.mustJoin()
	}
	within(b.t, 5*time.Second, "three nodes agree", func() bool { return agree(n1, n2, n3) })
	return n1, n2, n3
}

func sees(n *node, name string, alive bool) func() bool {
	return func() bool { return n.View().Alive[name] == alive }
}

func stopAll(nodes ...*node) {
	for _, n := range nodes {
		n.stop()
	}
}

var errDisk = errors.New("disk on fire")
