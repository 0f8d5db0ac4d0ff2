package blackbox

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// published is a message of the test's: who published it, and its number there.
type published struct {
	from   string
	number int
}

func (p published) String() string { return fmt.Sprintf("%s %d", p.from, p.number) }

// subscriber is a go-redis client that is subscribed, and what it has received.
type subscriber struct {
	name string
	sub  *redis.PubSub

	mu   sync.Mutex
	next map[string]int // by publisher: the number to come
	bad  []string
	err  error
}

// subscribed subscribes a client of the node, in a version of the protocol, and
// receives until it is closed.
func subscribed(t *testing.T, s *server, protocol int, done *sync.WaitGroup, subscribe func(*redis.Client) *redis.PubSub) *subscriber {
	t.Helper()
	o := s.options()
	o.Protocol = protocol
	rdb := redis.NewClient(o)
	sub := &subscriber{name: fmt.Sprintf("%s RESP%d", s.name, protocol), sub: subscribe(rdb), next: map[string]int{}}
	if _, err := sub.sub.Receive(t.Context()); err != nil {
		t.Fatalf("%s: %v", sub.name, err)
	}
	done.Go(func() {
		sub.receive()
		rdb.Close()
	})
	return sub
}

func (s *subscriber) receive() {
	for {
		m, err := s.sub.ReceiveMessage(context.Background())
		s.mu.Lock()
		if err != nil {
			s.err = err
			s.mu.Unlock()
			s.sub.Close()
			return
		}
		var p published
		fmt.Sscanf(m.Payload, "%s %d", &p.from, &p.number)
		if want := s.next[p.from]; p.number != want {
			s.bad = append(s.bad, fmt.Sprintf("%v, want number %d", p, want))
		}
		s.next[p.from] = p.number + 1
		s.mu.Unlock()
	}
}

// has returns nil if all messages up to n of each publisher came, in order.
func (s *subscriber) has(n int, publishers ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bad) > 0 {
		return fmt.Errorf("%s: %d out of order, first: %s", s.name, len(s.bad), s.bad[0])
	}
	for _, p := range publishers {
		if s.next[p] != n {
			return fmt.Errorf("%s has %d of %s, want %d (%v)", s.name, s.next[p], p, n, s.err)
		}
	}
	return nil
}

// publish publishes at the nodes, side by side, numbers from..to, and return
// the longest that one message took. Each must reach at least so many.
func publish(t *testing.T, nodes []*server, from, to, receivers int) (longest time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var done sync.WaitGroup
	for _, s := range nodes {
		o := s.options()
		o.PoolSize = 1
		rdb := redis.NewClient(o)
		done.Go(func() {
			defer rdb.Close()
			for i := from; i < to; i++ {
				began := time.Now()
				n, err := rdb.Publish(context.Background(), "news", published{s.name, i}.String()).Result()
				took := time.Since(began)
				mu.Lock()
				longest = max(longest, took)
				mu.Unlock()
				if err != nil || n < int64(receivers) {
					t.Errorf("%s: PUBLISH number %d reached %d, %v; there are %d subscriptions", s.name, i, n, err, receivers)
					return
				}
			}
		})
	}
	done.Wait()
	return longest
}

// TestPublishSubscribe: what is published at any node reaches subscribers at
// all, in each publisher's order and without a loss while the nodes are up; the
// death of one is felt by its own clients only.
func TestPublishSubscribe(t *testing.T) {
	const messages = 500
	c := startCluster(t, 3)
	byName := func(r *redis.Client) *redis.PubSub { return r.Subscribe(context.Background(), "news") }
	byPattern := func(r *redis.Client) *redis.PubSub { return r.PSubscribe(context.Background(), "n[aeiou]*s") }
	var done sync.WaitGroup
	var subs []*subscriber
	for i, s := range c.nodes {
		subs = append(subs, subscribed(t, s, 2+i%2, &done, byName), subscribed(t, s, 3-i%2, &done, byPattern))
	}
	defer func() {
		for _, s := range subs {
			s.sub.Close()
		}
		done.Wait()
	}()
	publish(t, c.nodes, 0, messages, len(subs))
	for _, s := range subs {
		eventually(t, s.name, func() error { return s.has(messages, "n1", "n2", "n3") })
	}
	if got := c.n(2).do("PUBSUB", "NUMSUB", "news"); fmt.Sprint(got) != "map[news:3]" && fmt.Sprint(got) != "[news 3]" {
		t.Errorf("PUBSUB NUMSUB: %v", got)
	}
	if got := c.n(3).do("PUBSUB", "NUMPAT"); got != int64(1) {
		t.Errorf("PUBSUB NUMPAT: %v", got)
	}

	// n3 dies while n1 and n2 publish on.
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		time.Sleep(20 * time.Millisecond)
		_ = c.n(3).cmd.Process.Kill()
	}()
	longest := publish(t, c.nodes[:2], messages, 4*messages, 4)
	<-killed
	c.n(3).wait()
	if longest > time.Second {
		t.Errorf("the death of a node held a PUBLISH up for %v", longest)
	}
	for _, s := range subs[:4] {
		eventually(t, s.name, func() error { return s.has(4*messages, "n1", "n2") })
	}
}

// TestPublishWithAFrozenNode: one that is silent holds a PUBLISH up for a moment,
// until it is known to be silent, and then nobody.
func TestPublishWithAFrozenNode(t *testing.T) {
	c := startCluster(t, 3)
	var done sync.WaitGroup
	sub := subscribed(t, c.n(2), 3, &done, func(r *redis.Client) *redis.PubSub { return r.Subscribe(context.Background(), "news") })
	c.n(3).freeze()
	defer c.n(3).thaw()
	began := time.Now()
	longest := publish(t, c.nodes[:1], 0, 1000, 1)
	if took := time.Since(began); longest > 500*time.Millisecond || took > 10*time.Second {
		t.Errorf("1000 messages took %v, the slowest %v", took, longest)
	}
	eventually(t, sub.name, func() error { return sub.has(1000, "n1") })
	sub.sub.Close()
	done.Wait()
}

// TestSlowSubscriber: a subscriber that does not read is cut off and logged,
// once it has 32 MiB to read; publishers and other subscribers do not notice.
func TestSlowSubscriber(t *testing.T) {
	c := startCluster(t, 2)
	slow, err := net.Dial("tcp", c.n(2).addr())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	fmt.Fprint(slow, "SUBSCRIBE news\r\n")
	if _, err := io.ReadFull(slow, make([]byte, len("*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"))); err != nil {
		t.Fatal(err)
	}
	fast := c.n(2).rdb().Subscribe(t.Context(), "news")
	defer fast.Close()
	if _, err := fast.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	payload := strings.Repeat("m", 1<<20)
	received := make(chan error, 1)
	var read atomic.Int64
	const messages = 60
	go func() {
		for range messages {
			m, err := fast.ReceiveMessage(context.Background())
			if err == nil && len(m.Payload) != len(payload) {
				err = fmt.Errorf("a message of %d bytes", len(m.Payload))
			}
			if err != nil {
				received <- err
				return
			}
			read.Add(1)
		}
		received <- nil
	}()
	both := false // have been counted: a node that answers late is not
	for i := range messages {
		began := time.Now()
		n := c.n(1).do("PUBLISH", "news", payload).(int64)
		both = both || n == 2
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("message %d took %v", i, took)
		}
		if i == 30 && !both {
			t.Errorf("no message has reached two subscribers")
		}
		eventually(t, "the other subscriber keeps up", func() error {
			if behind := i - int(read.Load()); behind > 8 {
				return fmt.Errorf("it is %d messages behind", behind)
			}
			return nil
		})
		if i == messages-1 && n > 1 {
			t.Errorf("the slow subscriber is still there after %d MiB", i)
		}
	}
	if err := <-received; err != nil {
		t.Errorf("the other subscriber: %v", err)
	}
	slow.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.Copy(io.Discard, slow); err != nil && !strings.Contains(err.Error(), "reset") || n > 40<<20 {
		t.Errorf("the slow subscriber still read %d bytes, %v", n, err)
	}
	if log := c.n(2).log(); !strings.Contains(log, "a client that reads too slowly was cut off") {
		t.Error("the log does not tell")
	}
}

// TestShardChannels: a cluster-aware client finds the nodes of its shard
// channels, and messages reach who subscribed to them at any node of either view.
func TestShardChannels(t *testing.T) {
	c := startCluster(t, 3)
	ctx := t.Context()
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.n(1).clusterAddr()}})
	defer rdb.Close()
	for i := range 20 {
		channel := fmt.Sprintf("orders:%d", i)
		aware := rdb.SSubscribe(ctx, channel)
		plain := c.n(1+i%3).rdb().SSubscribe(ctx, channel)
		for _, sub := range []*redis.PubSub{aware, plain} {
			if _, err := sub.Receive(ctx); err != nil {
				t.Fatalf("SSUBSCRIBE %s: %v", channel, err)
			}
		}
		n, err := rdb.SPublish(ctx, channel, "aware").Result()
		want(t, "SPUBLISH by a client that knows the cluster", 2, n, err)
		n, err = c.n(1+(i+1)%3).rdb().SPublish(ctx, channel, "plain").Result()
		want(t, "SPUBLISH by one that does not", 2, n, err)
		for _, sub := range []*redis.PubSub{aware, plain} {
			for _, payload := range []string{"aware", "plain"} {
				m, err := sub.ReceiveMessage(ctx)
				if err != nil {
					t.Fatal(err)
				}
				want(t, "message on "+channel, payload, m.Payload, nil)
			}
			sub.Close()
		}
	}
}
