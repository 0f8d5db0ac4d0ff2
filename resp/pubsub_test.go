package resp

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/resp/fidelity"
)

// talker is a client's end of a connection.
type talker struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func newTalker(t *testing.T, c net.Conn) *talker { return &talker{t, c, bufio.NewReader(c)} }

// say sends commands, inline, and reads as many replies, or pushes.
func (c *talker) say(lines ...string) (replies []string) {
	c.t.Helper()
	for _, l := range lines {
		fmt.Fprint(c, l+"\r\n")
		replies = append(replies, c.hear())
	}
	return replies
}

func (c *talker) hear() string {
	c.t.Helper()
	reply, err := fidelity.ReadReply(c.r)
	if err != nil {
		c.t.Fatalf("after %q: %v", reply, err)
	}
	return string(reply)
}

// serveAll serves every node of a cluster in a bubble.
func serveAll(t *testing.T, nodes int, opts Options) (ls []*pipeListener, c *fakeCluster, stop func()) {
	c = newFake(t, nodes, opts)
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	for _, n := range c.nodes {
		l := newPipeListener()
		ls = append(ls, l)
		ended.Go(func() {
			if err := n.server.Serve(ctx, l, PlainView); err != nil {
				t.Error(err)
			}
		})
	}
	return ls, c, func() {
		cancel()
		ended.Wait()
	}
}

func message(channel, text string) string {
	return fmt.Sprintf("*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(text), text)
}

// TestMessagesReachEveryNode: whatever node they are published at, once, and
// each publisher's in order.
func TestMessagesReachEveryNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ls, c, stop := serveAll(t, 3, Options{})
		const messages = 200
		var all sync.WaitGroup
		for _, l := range ls {
			sub := newTalker(t, l.dial("127.0.0.1"))
			sub.say("SUBSCRIBE news", "PSUBSCRIBE n*")
			all.Go(func() {
				next := map[string]int{}
				for range messages * len(ls) * 2 {
					words := strings.Split(sub.hear(), "\r\n")
					text := words[len(words)-2]
					kind, from, number := words[2], text[:2], text[3:]
					if number != strconv.Itoa(next[kind+from]) {
						t.Errorf("%s %s: want number %d of it", kind, text, next[kind+from])
					}
					next[kind+from]++
				}
				sub.Close()
			})
		}
		synctest.Wait()
		for i, l := range ls {
			all.Go(func() {
				pub := newTalker(t, l.dial("127.0.0.1"))
				for j := range messages {
					if got := pub.say(fmt.Sprintf("PUBLISH news p%d:%d", i, j))[0]; got != ":6\r\n" {
						t.Errorf("PUBLISH answers %q, there are 6 subscriptions", got)
					}
				}
				pub.Close()
			})
		}
		all.Wait()
		synctest.Wait()
		for _, n := range c.nodes {
			if h := &n.server.hub; len(h.by[plainChannel])+len(h.by[channelPattern]) > 0 || len(n.server.clients.all()) > 0 {
				t.Errorf("%s still knows subscribers that have left: %v", n.name, h.by)
			}
		}
		stop()
	})
}

// TestSubscribedBeforeMessages: whoever reads that it is subscribed has missed
// nothing since, and had no message before; replies and pushes are whole.
func TestSubscribedBeforeMessages(t *testing.T) {
	ls, c, stop := serveAll(t, 1, Options{})
	defer stop()
	c.nodes[0].do(c.nodes[0].client(), words("SET big "+strings.Repeat("v", 300<<10)))
	ctx, enough := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		pub := newTalker(t, ls[0].dial("127.0.0.1"))
		defer pub.Close()
		for ctx.Err() == nil {
			pub.say("PUBLISH x message")
		}
	})
	var subs sync.WaitGroup
	for range 4 {
		subs.Go(func() {
			sub := newTalker(t, ls[0].dial("127.0.0.1"))
			defer sub.Close()
			sub.say("HELLO 3")
			for range 50 {
				if got := sub.say("SUBSCRIBE x")[0]; !strings.HasPrefix(got, ">3\r\n$9\r\nsubscribe\r\n") {
					t.Errorf("the first word is %q", got)
				}
				fmt.Fprint(sub, "GET big\r\nPING\r\n")
				for pong := false; !pong; {
					got := sub.hear()
					pong = got == "+PONG\r\n"
					if !pong && got != ">"+message("x", "message")[1:] && len(got) != 300<<10+11 {
						t.Errorf("read %.80q", got)
					}
				}
				fmt.Fprint(sub, "UNSUBSCRIBE x\r\nPING\r\n")
				for gone := false; ; {
					got := sub.hear()
					if got == "+PONG\r\n" {
						break
					}
					if gone {
						t.Errorf("after UNSUBSCRIBE: %.80q", got)
					}
					gone = strings.Contains(got, "unsubscribe")
				}
			}
		})
	}
	subs.Wait()
	enough()
	all.Wait()
}

// TestSlowSubscriber: one that does not read is cut off at either limit, and
// neither publishers nor others feel it.
func TestSlowSubscriber(t *testing.T) {
	limit := OutputLimit{Hard: 1 << 20, Soft: 64 << 10, SoftFor: time.Second}
	payload := strings.Repeat("m", 1<<10)
	for _, c := range []struct {
		name  string
		pause time.Duration // between messages
		first int           // messages before it may be cut off
		last  int           // and until it must have been
	}{
		{"hard", 0, 900, 1024},
		{"soft", 20 * time.Millisecond, 100, 200},
		{"none", 2 * time.Second, 0, 0}, // a slow flow is no slow client
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				ls, fake, stop := serveAll(t, 2, Options{PushLimit: limit, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				slow, fast, pub := newTalker(t, ls[0].dial("127.0.0.1")), newTalker(t, ls[0].dial("127.0.0.1")), newTalker(t, ls[1].dial("127.0.0.1"))
				slow.say("SUBSCRIBE x")
				fast.say("SUBSCRIBE x")
				cut, began := 0, time.Now()
				total := max(c.last, 50)
				for i := range total {
					got := pub.say("PUBLISH x " + payload)[0]
					if got == ":1\r\n" && cut == 0 {
						cut = i
					}
					fast.hear()
					time.Sleep(c.pause)
					fake.sleep(c.pause)
					if c.last == 0 {
						slow.hear()
					}
				}
				if took := time.Since(began); took != time.Duration(total)*c.pause {
					t.Errorf("publishing took %v", took)
				}
				if cut < c.first || cut > c.last {
					t.Errorf("cut off after %d messages, want %d to %d", cut, c.first, c.last)
				}
				if logged := strings.Count(log.String(), "cut off"); logged > 1 || (logged == 1) != (c.last > 0) {
					t.Errorf("logged: %s", log.String())
				}
				if c.last > 0 {
					if b, err := io.ReadAll(slow); err != nil || len(b) > writeChunk {
						t.Errorf("the slow one still had %d bytes, %v", len(b), err)
					}
				}
				stop()
			})
		})
	}
}

// TestRepliesWaitForRoom: a subscriber that asks and does not read takes no
// more memory than a chunk or two.
func TestRepliesWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n, stop := begin(t, Options{})
		n.do(n.client(), words("SET big "+strings.Repeat("v", 200<<10)))
		c := newTalker(t, l.dial("127.0.0.1"))
		c.say("HELLO 3", "SUBSCRIBE x")
		const asked = 100
		go fmt.Fprint(c, strings.Repeat("GET big\r\n", asked))
		synctest.Wait()
		waiting, _ := n.server.clients.all()[0].out.Load().sizes()
		if waiting < replyRoom || waiting > 3*replyRoom {
			t.Errorf("%d bytes wait", waiting)
		}
		for range asked {
			if got := c.hear(); len(got) != 200<<10+11 {
				t.Fatalf("a reply of %d bytes: %.60q", len(got), got)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestSubscribersEnd: a shutdown sends what was published before, and CLIENT
// KILL does not wait for a client that reads nothing.
func TestSubscribersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n, stop := begin(t, Options{})
		sub, dead, other := newTalker(t, l.dial("127.0.0.1")), newTalker(t, l.dial("127.0.0.1")), newTalker(t, l.dial("127.0.0.1"))
		sub.say("SUBSCRIBE x")
		dead.say("SUBSCRIBE x")
		other.say("PUBLISH x 1", "PUBLISH x 2")
		synctest.Wait() // both writers write, and nobody reads
		if got := other.say("CLIENT KILL ID 2", "PUBLISH x 3", "CLIENT LIST TYPE pubsub"); got[0] != ":1\r\n" || got[1] != ":1\r\n" || !strings.Contains(got[2], "id=1 ") || strings.Contains(got[2], "id=2 ") {
			t.Errorf("after CLIENT KILL: %q", got)
		}
		synctest.Wait()
		if n := len(n.server.clients.all()); n != 2 {
			t.Errorf("%d clients are left", n)
		}
		came := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(sub.r)
			came <- string(b)
		}()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got, want := <-came, message("x", "1")+message("x", "2")+message("x", "3"); got != want {
			t.Errorf("at the end the subscriber had %q", got)
		}
	})
}

func TestHear(t *testing.T) {
	s := newFake(t, 1, Options{}).nodes[0].server
	for _, m := range []string{"", "p", "p\x01", "p\x01a", "p\x01a\x02b", "p\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "z\x01a", "s\x01a\x01b\x01c"} {
		if got := s.Hear([]byte(m)); got != nil {
			t.Errorf("%q is answered with %q", m, got)
		}
	}
	if parts, ok := splitParts(s.Hear(appendParts([]byte{tellCount}, []byte("a"), nil))); !ok || len(parts) != 2 || number(parts[0]) != 0 {
		t.Errorf("%q, %v", parts, ok)
	}
}

func FuzzHear(f *testing.F) {
	f.Add(appendParts([]byte{tellPublish}, []byte("channel"), []byte("message")))
	f.Add(appendParts([]byte{tellChannels}, []byte("c*")))
	f.Add(appendParts([]byte{tellShardCount}, []byte("a"), []byte("b")))
	f.Add([]byte{tellPatterns})
	s := newFake(f, 1, Options{}).nodes[0].server
	f.Fuzz(func(t *testing.T, m []byte) {
		answer := s.Hear(m)
		if _, ok := splitParts(answer); !ok {
			t.Errorf("%q is answered with %q", m, answer)
		}
		if parts, ok := splitParts(m); ok && !bytes.Equal(appendParts(nil, parts...), m) && !hasLongVarint(m) {
			t.Errorf("%q is parts %q", m, parts)
		}
	})
}

// hasLongVarint reports whether a length may have been written longer than it
// had to be.
func hasLongVarint(m []byte) bool {
	return bytes.ContainsFunc(m, func(r rune) bool { return r >= 0x80 })
}
