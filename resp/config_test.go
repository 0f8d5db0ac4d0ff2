package resp

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestParametersLikeRedis: CONFIG knows each of Redis's parameters and no
// others, with Redis's defaults but where a start sets them or they say what is
// so here.
func TestParametersLikeRedis(t *testing.T) {
	differ := map[string]bool{
		"port": true, "dir": true, "unixsocket": true, "databases": true, "cluster-enabled": true, "proto-max-bulk-len": true, "bind": true,
	}
	all := func(socket string) map[string]string {
		a, _, err := parseAnswer(talk(t, socket, []byte("CONFIG GET *\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]string{}
		for i := 0; i+1 < len(a.list); i += 2 {
			m[string(a.list[i].str)] = string(a.list[i+1].str)
		}
		return m
	}
	real, ours := all(startRedis(t, "")), all(startOurs(t, Options{}))
	for name, value := range real {
		if got, ok := ours[name]; !ok || got != value && !differ[name] {
			t.Errorf("%s is %q (%v), in Redis %q", name, got, ok, value)
		}
	}
	for name := range ours {
		if _, ok := real[name]; !ok {
			t.Errorf("Redis has no %s", name)
		}
	}
}

// What parameters do where it can be seen from a connection.
func TestParametersAct(t *testing.T) {
	level := new(slog.LevelVar)
	socket := startOurs(t, Options{Process: Process{Level: level}})
	ask := func(in string) string { return string(talk(t, socket, []byte(in+"\r\n"))) }
	if out := ask("CONFIG SET loglevel warning"); out != "+OK\r\n" || level.Level() != slog.LevelWarn {
		t.Errorf("%q, the level is %v", out, level.Level())
	}
	if out := ask("CONFIG SET proto-max-bulk-len 1mb"); out != "+OK\r\n" {
		t.Errorf("%q", out)
	}
	for size, want := range map[int]string{1 << 20: "$1048576\r\n", 1<<20 + 1: "-ERR "} {
		in := fmt.Sprintf("*2\r\n$4\r\nECHO\r\n$%d\r\n%s", size, strings.Repeat("x", size))
		if out := ask(in); !strings.HasPrefix(out, want) {
			t.Errorf("%d bytes: %.100q", size, out)
		}
	}
	if out := ask("CONFIG SET maxclients 1"); out != "+OK\r\n" {
		t.Errorf("%q", out)
	}
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	read := func(n int) string {
		buf := make([]byte, n)
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		k, err := io.ReadFull(c, buf)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("%q, %v", buf[:k], err)
		}
		return string(buf[:k])
	}
	eventually(t, func() bool { // the one before has left
		if _, err := c.Write([]byte("PING\r\n")); err == nil && read(7) == "+PONG\r\n" {
			return true
		}
		c.Close()
		c, _ = net.Dial("unix", socket)
		return false
	})
	if out := ask("PING"); out != "-ERR max number of clients reached\r\n" {
		t.Errorf("%q", out)
	}
	c.Write([]byte("CONFIG SET timeout 1\r\n"))
	if out := read(5); out != "+OK\r\n" {
		t.Errorf("%q", out)
	}
	if out := read(1); out != "" {
		t.Errorf("%q, not the end", out)
	}
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for range 200 {
		if done() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("it does not come to pass")
}

// CONFIG REWRITE hands over what CONFIG SET set, by the newest names.
func TestConfigRewrite(t *testing.T) {
	var got []Parameter
	var fails error
	n := newFake(t, 1, Options{
		Parameters: []Parameter{{"hz", "20"}},
		Process:    Process{Rewrite: func(p []Parameter) error { got = p; return fails }},
	}).nodes[0]
	out := n.do(n.client(), words("CONFIG SET slave-priority 5 maxmemory 1mb"), words("CONFIG SET timeout x"), words("CONFIG REWRITE"))
	want := []Parameter{{"hz", "20"}, {"maxmemory", "1048576"}, {"replica-priority", "5"}}
	if !strings.HasSuffix(string(out), "+OK\r\n") || !slices.Equal(got, want) {
		t.Errorf("%q: %v, want %v", out, got, want)
	}
	fails = errors.New("the disk is full")
	if out := string(n.do(n.client(), words("CONFIG REWRITE"))); out != "-ERR Rewriting config file: the disk is full\r\n" {
		t.Errorf("%q", out)
	}
	fake := newFake(t, 1, Options{}).nodes[0]
	if _, err := New(Options{Backend: fake, Cluster: fake, Parameters: []Parameter{{"hz", "x"}}}); err == nil || !strings.Contains(err.Error(), "hz x") {
		t.Errorf("%v", err)
	}
}

// SHUTDOWN stops once, and closes the connection without a reply; the commands
// that save sync, and say so.
func TestShutdownAndSave(t *testing.T) {
	stops, syncs := 0, 0
	var fails error
	n := newFake(t, 1, Options{Process: Process{
		Stop: func() { stops++ }, Sync: func() error { syncs++; return fails },
	}}).nodes[0]
	n.sleep(time.Minute)
	ss := n.client()
	out := string(n.do(ss, words("SAVE"), words("BGSAVE"), words("BGSAVE schedule"), words("BGREWRITEAOF"), words("LASTSAVE")))
	want := "+OK\r\n+Background saving started\r\n+Background saving started\r\n+Background append only file rewriting started\r\n:1700000060\r\n"
	if out != want || syncs != 4 {
		t.Errorf("%d syncs, %q", syncs, out)
	}
	n.sleep(time.Minute)
	fails = errDisk
	if out := string(n.do(ss, words("SAVE"), words("LASTSAVE"))); !strings.HasPrefix(out, "-ERR ") || !strings.HasSuffix(out, ":1700000060\r\n") {
		t.Errorf("%q", out)
	}
	if got := infoValue(n, ss, "persistence", "rdb_last_bgsave_status"); got != "err" {
		t.Errorf("status %q", got)
	}
	for _, line := range []string{"SHUTDOWN", "SHUTDOWN NOSAVE", "shutdown save now force"} {
		ss := n.client()
		if out := n.do(ss, words("PING"), words(line), words("PING")); string(out) != "+PONG\r\n" || !ss.closed {
			t.Errorf("%s: %q", line, out)
		}
	}
	if stops != 3 {
		t.Errorf("%d stops", stops)
	}
}

// DEBUG is for this machine's clients.
func TestDebugFromElsewhere(t *testing.T) {
	n := newFake(t, 1, Options{}).nodes[0]
	ss := n.server.newSession("192.0.2.1:5000", "192.0.2.2:6379")
	if out := string(n.do(ss, words("DEBUG SLEEP 0"))); !strings.HasPrefix(out, "-ERR DEBUG command not allowed") {
		t.Errorf("%q", out)
	}
	for _, addr := range []string{"127.0.0.1:5000", "[::1]:5000", filepath.Join("/", "socket")} {
		if out := string(n.do(n.server.newSession(addr, ""), words("DEBUG SLEEP 0"))); out != "+OK\r\n" {
			t.Errorf("from %s: %q", addr, out)
		}
	}
}

// ACL CAT has each command in the categories in which Redis has it.
func TestCategoriesLikeRedis(t *testing.T) {
	real, ours := startRedis(t, ""), startOurs(t, Options{})
	n := newFake(t, 1, Options{}).nodes[0]
	names := func(socket, category string) (out []string) {
		a, _, err := parseAnswer(talk(t, socket, []byte("ACL CAT "+category+"\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range a.list {
			name := string(x.str)
			if r := n.server.table.byName[name]; r != nil && r.since != sinceOurs && r.since < "7.2" {
				out = append(out, name)
			}
		}
		slices.Sort(out)
		return out
	}
	for _, c := range categories {
		if want, got := names(real, c), names(ours, c); !slices.Equal(want, got) {
			t.Errorf("%s:\nredis: %s\nours:  %s", c, want, got)
		}
	}
}
