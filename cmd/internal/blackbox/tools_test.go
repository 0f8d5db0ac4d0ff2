package blackbox

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// complaint is what a tool prints that finds something missing.
var complaint = regexp.MustCompile(`(?i)error|warning|could not|unable|fail|\[ERR\]|MOVED`)

// noComplaint is a line of redis-cli --pipe that looks like one.
const noComplaint = "errors: 0, replies: "

// tool is one call of a program of Redis's, and what it has to print.
type tool struct {
	stdin  string
	args   []string
	prints []string
}

// run runs the tool to its end and returns what it printed.
func (u tool) run(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, u.args[0], u.args[1:]...)
	cmd.Stdin = strings.NewReader(u.stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", u.args, err, out)
	}
	return string(out)
}

// check runs the tool; it may complain of nothing, and prints what it is to.
func (u tool) check(t *testing.T) {
	t.Helper()
	out := u.run(t)
	for line := range strings.FieldsFuncSeq(out, func(c rune) bool { return c == '\n' || c == '\r' }) {
		if complaint.MatchString(line) && !strings.HasPrefix(line, noComplaint) {
			t.Errorf("%v complains: %s", u.args, line)
		}
	}
	for _, text := range u.prints {
		if !strings.Contains(out, text) {
			t.Errorf("%v does not print %q:\n%s", u.args, text, out)
		}
	}
}

// piped is a file for redis-cli --pipe.
func piped(commands int) string {
	var b strings.Builder
	for i := range commands {
		k := fmt.Sprintf("piped:%04d", i)
		fmt.Fprintf(&b, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$5\r\nvalue\r\n", len(k), k)
	}
	return b.String()
}

// TestTools has Redis's own tools work on a cluster's plain and cluster ports
// as they do on a redis-server and on a Redis Cluster.
func TestTools(t *testing.T) {
	cli, bench := needClient(t, "redis-cli", "--version"), needClient(t, "redis-benchmark", "--version")
	c := startCluster(t, 3, "--timeout", "10s") // a busy machine is no failure
	node := func(i int, args ...string) []string {
		return append([]string{cli, "-p", strconv.Itoa(c.n(i).port)}, args...)
	}
	member := func(i int, args ...string) []string {
		return append([]string{cli, "-c", "-p", strconv.Itoa(c.n(i).port + 3000)}, args...)
	}
	long := strings.Repeat("long", 1000)
	work := []string{"-t", "ping,set,get,incr,mset", "-P", "16", "-c", "20", "-n", "20000", "-q"}
	done := []string{"PING_INLINE: ", "PING_MBULK: ", "SET: ", "GET: ", "INCR: ", "MSET (10 keys): "}
	for _, u := range []tool{
		{args: node(1, "--pipe"), stdin: piped(10_000), prints: []string{noComplaint + "10000"}},
		{args: node(2, "-x", "SET", "long"), stdin: long, prints: []string{"OK"}},
		{args: node(3, "GET", "long"), prints: []string{long}},
		{args: node(1, "-X", "it", "SET", "x", "it"), stdin: "v", prints: []string{"OK"}},
		{args: node(1, "--bigkeys"), prints: []string{
			"Sampled 10002 keys", `Biggest string found '"long"' has 4000 bytes`, "10002 strings with 54001 bytes"}},
		{args: node(2, "--memkeys"), prints: []string{"Sampled 10002 keys", `Biggest string found '"long"' has 4`}},
		{args: node(3, "--latency"), prints: []string{"."}},
		{args: node(1, "-r", "3", "-i", "0.01", "PING"), prints: []string{"PONG\nPONG\nPONG\n"}},
		{args: node(1, "-3", "--json", "CONFIG", "GET", "save"), prints: []string{`{"save":""}`}},
		{args: node(1), stdin: "SET {t}a 1\nINCR {t}a\nGET {t}a\n", prints: []string{"OK\n2\n2\n"}},
		{args: member(1), stdin: "SET a 1\nSET b 2\nSET c 3\nMGET {a}1 {a}2\n", prints: []string{"OK\nOK\nOK\n\n\n"}},
		{args: member(3), stdin: "GET a\nGET b\nGET c\n", prints: []string{"1\n2\n3\n"}},
		{args: append(append([]string{bench, "-p", strconv.Itoa(c.n(1).port)}, work...), "-d", "20", "-r", "1000"), prints: done},
		{args: append(append([]string{bench, "--cluster", "-p", strconv.Itoa(c.n(2).port + 3000)}, work...), "-n", "6000"),
			prints: append([]string{"Cluster has 3 master nodes"}, done...)},
		{args: []string{cli, "--cluster", "check", fmt.Sprint("127.0.0.1:", c.n(2).port+3000)}, prints: []string{
			"[OK] All nodes agree about slots configuration.", "[OK] All 16384 slots covered.", "in 3 masters."}},
		{args: []string{cli, "--cluster", "info", fmt.Sprint("127.0.0.1:", c.n(3).port)}, prints: []string{"in 3 masters."}},
		{args: []string{cli, "--cluster", "call", fmt.Sprint("127.0.0.1:", c.n(1).port+3000), "PING"}, prints: []string{
			fmt.Sprintf("%d: PONG", c.n(1).port+3000), fmt.Sprintf("%d: PONG", c.n(2).port+3000), fmt.Sprintf("%d: PONG", c.n(3).port+3000)}},
	} {
		u.check(t)
	}
	scanned(t, node(2, "--scan", "--pattern", "piped:12*"), 100)
	scanned(t, node(3, "--scan", "--pattern", "piped:*"), 10_000)
	stat(t, node(1, "--stat", "-i", "0.01"))
}

// scanned has redis-cli --scan print so many keys, each of them once.
func scanned(t *testing.T, args []string, keys int) {
	t.Helper()
	lines := strings.Fields(tool{args: args}.run(t))
	slices.Sort(lines)
	if got := len(slices.Compact(lines)); got != keys || len(lines) != keys {
		t.Errorf("%v prints %d lines, %d of them different; want %d", args, len(lines), got, keys)
	}
}

// stat has redis-cli --stat, which does not end by itself, print for a while.
func stat(t *testing.T, args []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 4096) // it prints so much at once where it is not on a terminal
	_, err = io.ReadFull(out, first)
	cancel()
	_ = cmd.Wait() // it was killed
	line := regexp.MustCompile(`(?m)^\d+ +\d+\.\d+[KMG] +\d+ +0 +\d+ \(\+\d+\) +\d+ *$`)
	if err != nil || complaint.Match(first) || len(line.FindAll(first, -1)) < 20 {
		t.Errorf("%v: %v\n%s", args, err, first)
	}
}
