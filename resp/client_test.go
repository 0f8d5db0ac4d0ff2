package resp

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestPause: commands wait as long as they are told to, those that write or
// all, and those of a client that is ended do not.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n, stop := begin(t, Options{})
		a, b, killed := newTalker(t, l.dial("127.0.0.1")), newTalker(t, l.dial("127.0.0.1")), newTalker(t, l.dial("127.0.0.1"))
		took := func(c *talker, lines ...string) time.Duration {
			began := time.Now()
			c.say(lines...)
			return time.Since(began)
		}
		a.say("CLIENT PAUSE 3000 WRITE")
		if d := took(b, "GET k", "PING", "SUBSCRIBE x", "UNSUBSCRIBE x"); d != 0 {
			t.Errorf("reads waited for %v", d)
		}
		if d := took(b, "SET k v"); d != 3*time.Second {
			t.Errorf("a write waited for %v", d)
		}
		if d := took(b, "PUBLISH x y"); d != 0 {
			t.Errorf("after the pause PUBLISH waited for %v", d)
		}

		a.say("CLIENT PAUSE 2000 WRITE", "CLIENT PAUSE 1000")
		if d := took(b, "PING"); d != 2*time.Second {
			t.Errorf("with a longer and a wider pause PING waited for %v", d)
		}

		a.say("CLIENT PAUSE 9223372036854775807 WRITE")
		unpaused := make(chan []string)
		go func() {
			time.Sleep(time.Second)
			unpaused <- a.say("CLIENT UNPAUSE")
		}()
		if d := took(b, "PUBLISH x y"); d != time.Second {
			t.Errorf("until it was ended the pause was %v", d)
		}
		<-unpaused

		// What comes before in the pipeline is answered before.
		fmt.Fprint(a, "CLIENT PAUSE 1000\r\nPING\r\n")
		began := time.Now()
		if got := a.hear(); got != "+OK\r\n" || time.Since(began) != 0 {
			t.Errorf("%q after %v", got, time.Since(began))
		}
		if got := a.hear(); got != "+PONG\r\n" || time.Since(began) != time.Second {
			t.Errorf("%q after %v", got, time.Since(began))
		}

		fmt.Fprint(a, "CLIENT PAUSE 100000000 WRITE\r\n")
		a.hear()
		fmt.Fprint(killed, "SET k w\r\n")
		synctest.Wait()
		a.say("CLIENT KILL ID 3")
		synctest.Wait()
		if c := n.server.Stats().Clients; c != 2 {
			t.Errorf("%d clients are left, one of three was ended", c)
		}
		fmt.Fprint(b, "SET k x\r\n")
		synctest.Wait()
		ended := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(b.r)
			ended <- string(b)
		}()
		began = time.Now()
		if err := stop(); err != nil || time.Since(began) != 0 {
			t.Errorf("a shutdown during a pause took %v, %v", time.Since(began), err)
		}
		if got := <-ended; got != "+OK\r\n" {
			t.Errorf("the one that waited got %q", got)
		}
	})
}

// TestClientList: what is shown is so. The writer may have taken the second
// message together with the first, or not: both are being written, or one waits.
func TestClientList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n, stop := begin(t, Options{})
		a := newTalker(t, l.dial("127.0.0.1"))
		synctest.Wait()
		n.sleep(5 * time.Second)
		b := newTalker(t, l.dial("127.0.0.2"))
		a.say("CLIENT SETNAME slow", "HELLO 3", "CLIENT SETINFO lib-name lib", "PSUBSCRIBE a b*", "SSUBSCRIBE s")
		a.hear() // of b*
		b.say("PUBLISH b "+strings.Repeat("x", 1000), "PUBLISH b 2")
		fmt.Fprint(a, "*2\r\n$3\r\nGET\r\n$100\r\nhalf a command")
		synctest.Wait()
		n.sleep(2 * time.Second)
		got := b.say("CLIENT LIST")[0]
		want := `^\$\d+\r\n` +
			`id=1 addr=127\.0\.0\.1:50000 laddr=\S+ fd=-?\d+ name=slow age=7 idle=2 flags=P db=0 sub=0 psub=2 ssub=1 multi=-1 qbuf=33 qbuf-free=4063 ` +
			`argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=[01] omem=1082 tot-mem=5178 events=rw cmd=ssubscribe user=default redir=-1 resp=3 lib-name=lib lib-ver=\n` +
			`id=2 addr=127\.0\.0\.2:50000 laddr=\S+ fd=-?\d+ name= age=2 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 .* events=r cmd=client\|list user=default redir=-1 resp=2\n` +
			"\r\n$"
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s\nwant\n%s", got, want)
		}
		if got := b.say("CLIENT LIST ID 1 2 3", "CLIENT LIST TYPE pubsub", "CLIENT LIST TYPE normal"); strings.Count(got[0], "id=") != 2 ||
			!strings.Contains(got[1], "id=1 ") || strings.Contains(got[1], "id=2 ") || !strings.Contains(got[2], "id=2 ") || strings.Contains(got[2], "id=1 ") {
			t.Errorf("%q", got)
		}
		if got := b.say("CLIENT KILL 127.0.0.1:1", "CLIENT KILL 127.0.0.1:50000", "CLIENT KILL LADDR pipe SKIPME no"); got[0] != "-ERR No such client\r\n" || got[1] != "+OK\r\n" || got[2] != ":1\r\n" {
			t.Errorf("%q", got)
		}
		if rest, err := io.ReadAll(b.r); len(rest) > 0 || err != nil {
			t.Errorf("after it ended itself: %q, %v", rest, err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestMonitor: every client's commands, in each one's order, on this node only.
func TestMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ls, c, stop := serveAll(t, 2, Options{Password: "secret"})
		m, a, far := newTalker(t, ls[0].dial("127.0.0.1")), newTalker(t, ls[0].dial("127.0.0.3")), newTalker(t, ls[1].dial("127.0.0.1"))
		if got := m.say("MONITOR", "AUTH secret", "MONITOR"); !strings.HasPrefix(got[0], "-NOAUTH") || got[2] != "+OK\r\n" {
			t.Fatalf("%q", got)
		}
		lines := make(chan string, 20)
		go func() {
			for range 7 {
				lines <- m.hear()
			}
			m.Close()
			close(lines)
		}()
		far.say("AUTH secret", "SET elsewhere v")
		a.say("GET k", "AUTH secret", "HELLO 3 AUTH default secret SETNAME AUTH")
		fmt.Fprint(a, "SET k v\r\nGET k\r\nINCR n\r\n")
		a.hear()
		a.hear()
		a.hear()
		a.say("CLIENT NO-EVICT on", "MGET a b", "nope", "DGET k")
		want := []string{
			`"AUTH" "(redacted)"`, `"HELLO" "3" "AUTH" "(redacted)" "(redacted)" "SETNAME" "AUTH"`,
			`"SET" "k" "v"`, `"GET" "k"`, `"INCR" "n"`, `"MGET" "a" "b"`, `"DGET" "k"`,
		}
		i := 0
		for got := range lines {
			if want := "+1700000000.000000 [0 127.0.0.3:50000] " + want[i] + "\r\n"; got != want {
				t.Errorf("%q\nwant %q", got, want)
			}
			i++
		}
		synctest.Wait()
		if c.nodes[0].server.monitors.on.Load() {
			t.Error("the monitor has left, and still is one")
		}
		stop()
	})
}
