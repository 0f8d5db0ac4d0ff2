package resp

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// infoFields returns the names of an INFO's sections, "# Server", and fields.
func infoFields(t *testing.T, socket, args string) []string {
	out := talk(t, socket, []byte("INFO "+args+"\r\n"))
	var names []string
	for l := range strings.Lines(string(out)) {
		l = strings.TrimSpace(l)
		name, _, field := strings.Cut(l, ":")
		if field || strings.HasPrefix(l, "# ") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatalf("INFO %s: %q", args, out)
	}
	return names
}

// notOurs are Redis's fields that INFO leaves out, and why.
var notOurs = map[string]string{}

// TestInfoLikeRedis: whoever looks for a field or a section of Redis's finds it,
// in Redis's order.
func TestInfoLikeRedis(t *testing.T) {
	real, ours := startRedis(t, ""), startOurs(t, Options{})
	for _, args := range []string{"", "default", "all", "everything", "memory server", "stats persistence nope", "CPU"} {
		got := infoFields(t, ours, args)
		at := 0
		for _, name := range infoFields(t, real, args) {
			if notOurs[name] != "" || strings.HasPrefix(name, "cmdstat_") || strings.HasPrefix(name, "latency_") {
				continue
			}
			next := slices.Index(got[at:], name)
			if next < 0 {
				t.Errorf("INFO %s: %s is not there, or before its turn", args, name)
				continue
			}
			at += next
		}
		for _, name := range got {
			if strings.HasPrefix(name, "# ") && name != "# Dynaring" && !slices.Contains(infoFields(t, real, args), name) {
				t.Errorf("INFO %s: %s is too much", args, name)
			}
		}
	}
}

func infoValue(n *fakeNode, ss *Session, section, field string) string {
	for l := range strings.Lines(string(n.do(ss, words("INFO "+section)))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(l), ":"); ok && name == field {
			return value
		}
	}
	return "(none)"
}

// Calls are counted by command: those that failed, and those that were never
// begun.
func TestCommandStats(t *testing.T) {
	n := newFake(t, 3, Options{}).nodes[0]
	ss := n.client()
	n.do(ss, words("SET a x"), words("SET b x"), words("GET a"), words("INCR a"), words("SET a"), words("SET a b c"), words("nope"))
	for field, want := range map[string]string{
		"cmdstat_set":  "calls=3,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=1",
		"cmdstat_get":  "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0",
		"cmdstat_incr": "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1",
		"cmdstat_del":  "(none)",
	} {
		if got := infoValue(n, ss, "commandstats", field); got != want {
			t.Errorf("%s:%s, want %s", field, got, want)
		}
	}
	if got := infoValue(n, ss, "errorstats", "errorstat_ERR"); got != "count=4" {
		t.Errorf("errors: %s", got)
	}
	for _, other := range n.nodes[1:] { // it ran some of them for n1
		if got := infoValue(other, other.client(), "commandstats", "cmdstat_set"); got != "(none)" {
			t.Errorf("%s counts what n1 was asked: %s", other.name, got)
		}
	}
	n.do(ss, words("CONFIG RESETSTAT"))
	if got := infoValue(n, ss, "commandstats", "cmdstat_set"); got != "(none)" {
		t.Errorf("after RESETSTAT: %s", got)
	}
	if got := infoValue(n, ss, "errorstats", "errorstat_ERR"); got != "(none)" {
		t.Errorf("after RESETSTAT: %s", got)
	}
}

// slowNode is a node on which every write takes some time, by its own clock.
func slowNode(t *testing.T, takes time.Duration) (*fakeNode, *Session) {
	n := newFake(t, 1, Options{}).nodes[0]
	n.fault = func(op string, _ []byte) error {
		if op == "write" {
			n.sleep(takes)
		}
		return nil
	}
	ss := n.client()
	ss.name = "joe"
	return n, ss
}

func slowTexts(n *fakeNode) (out []string) {
	for _, e := range n.server.slowLog.latest(-1) {
		out = append(out, fmt.Sprintf("%d %s %s %s %s", e.id, e.took, strings.Join(e.args, " "), e.addr, e.name))
	}
	return out
}

func TestSlowLog(t *testing.T) {
	n, ss := slowNode(t, 20*time.Millisecond)
	n.do(ss, words("SET a 1"))
	n.do(ss, words("GET a"))
	n.do(ss, words("SET a 1"), words("SET b 1"))                                               // 20 ms each
	n.do(ss, words("GET a"), words("GET b"), words("SET c 1"), words("GET d"), words("GET e")) // 4 ms each
	n.do(ss, words("CONFIG SET slowlog-log-slower-than 0"))
	n.do(ss, words("AUTH hush"))
	n.do(ss, words("CONFIG SET requirepass hush"))
	n.do(ss, words("SET "+strings.Repeat("k", 130)+" v"), append(words("DEL"), bytes.Fields([]byte(strings.Repeat("x ", 40)))...))
	n.do(ss, words("CONFIG SET slowlog-log-slower-than -1"))
	n.do(ss, words("SET a 1"))
	want := []string{
		"0 20ms SET a 1 127.0.0.1:50000 joe",
		"1 20ms SET a 1 127.0.0.1:50000 joe",
		"2 20ms SET b 1 127.0.0.1:50000 joe",
		"3 20ms GET a ... (4 more commands of its pipeline) 127.0.0.1:50000 joe",
		"4 0s CONFIG SET slowlog-log-slower-than 0 127.0.0.1:50000 joe",
		"5 0s AUTH (redacted) 127.0.0.1:50000 joe",
		"6 0s CONFIG SET requirepass (redacted) 127.0.0.1:50000 joe",
	}
	got := slowTexts(n)
	slices.Reverse(got)
	if len(got) != 9 || !slices.Equal(got[:7], want) {
		t.Fatalf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(got[7], strings.Repeat("k", 128)+"... (2 more bytes) v") || !strings.HasSuffix(got[8], "x ... (10 more arguments) 127.0.0.1:50000 joe") {
		t.Errorf("long ones: %s\n%s", got[7], got[8])
	}
	n.do(ss, words("CONFIG SET slowlog-max-len 2"))
	if out := string(n.do(ss, words("SLOWLOG LEN"), words("SLOWLOG GET 1"), words("SLOWLOG RESET"), words("SLOWLOG LEN"))); !strings.HasPrefix(out, ":2\r\n*1\r\n*6\r\n:8\r\n") || !strings.HasSuffix(out, "+OK\r\n:0\r\n") {
		t.Errorf("%q", out)
	}
}

func TestLatencyEvents(t *testing.T) {
	n, ss := slowNode(t, 20*time.Millisecond)
	n.do(ss, words("SET a 1"))
	if out := string(n.do(ss, words("LATENCY LATEST"))); out != "*0\r\n" {
		t.Errorf("off: %q", out)
	}
	n.do(ss, words("CONFIG SET latency-monitor-threshold 20"))
	n.do(ss, words("SET a 1"))
	n.do(ss, words("APPEND a 1"))
	n.sleep(5 * time.Second)
	n.fault = func(string, []byte) error { n.sleep(50 * time.Millisecond); return nil }
	n.do(ss, words("SET a 1"))
	n.do(ss, words("CONFIG SET latency-monitor-threshold 60"))
	n.do(ss, words("SET a 1"))
	const first = 1700000000
	want := fmt.Sprintf("*2\r\n*4\r\n$7\r\ncommand\r\n:%d\r\n:50\r\n:50\r\n*4\r\n$12\r\nfast-command\r\n:%d\r\n:20\r\n:20\r\n", first+5, first) +
		fmt.Sprintf("*2\r\n*2\r\n:%d\r\n:20\r\n*2\r\n:%d\r\n:50\r\n", first, first+5) + ":1\r\n*0\r\n"
	if got := string(n.do(ss, words("LATENCY LATEST"), words("LATENCY HISTORY command"), words("LATENCY RESET fast-command"), words("LATENCY HISTORY fast-command"))); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	graph := string(n.do(ss, words("LATENCY GRAPH command")))
	if !strings.Contains(graph, "command - high 50 ms, low 20 ms (all time high 50 ms)\n"+strings.Repeat("-", 80)+"\n #\n |\n |\n_|\n50\nss\n") {
		t.Errorf("%s", graph)
	}
	if doctor := string(n.do(ss, words("LATENCY DOCTOR"))); !strings.Contains(doctor, "1. command: 2 latency spikes (average 35ms, mean deviation 15ms, period 2.50 sec). Worst all time event 50ms.") {
		t.Errorf("%s", doctor)
	}
}

// A histogram's bucket is less than 1% wide and ends where the next begins.
func TestHistogramBuckets(t *testing.T) {
	for i := range bucket(histogramMost) {
		top := bucketTop(i)
		if bucket(time.Duration(top)) != max(i, 1) || top < int64(histogramMost) && bucket(time.Duration(top+1)) != i+1 {
			t.Fatalf("bucket %d ends at %d, which is in %d, and the next in %d", i, top, bucket(time.Duration(top)), bucket(time.Duration(top+1)))
		}
	}
	h := new(histogram)
	for i := range 1000 {
		h[bucket(time.Duration(i+1)*time.Microsecond)].Add(1)
	}
	h[bucket(time.Hour)].Add(1)
	for p, want := range map[float64]int64{0: 1000, 50: 500_000, 99: 991_000, 100: int64(histogramMost)} {
		if got := h.at(p); got < want || float64(got) > 1.01*float64(want) {
			t.Errorf("%v%%: %d ns, want %d", p, got, want)
		}
	}
	var text string
	h.doublings(func(micros, n int64) { text += fmt.Sprint(micros, ":", n, " ") })
	if want := "1:1 2:2 4:4 8:8 16:16 33:33 66:66 132:132 264:264 528:528 1056:1000 "; !strings.HasPrefix(text, want) || !strings.HasSuffix(text, ":1001 ") {
		t.Errorf("%s, want %s", text, want)
	}
}

// The rate is that of the last second and a half, and falls to 0.
func TestOpsPerSecond(t *testing.T) {
	n := newFake(t, 1, Options{}).nodes[0]
	s, ss := n.server, n.client()
	for range 40 { // 4 s of 100 commands a second
		b := s.take(context.Background(), ss)
		s.stats.add(b, 10)
		s.give(b)
		n.sleep(100 * time.Millisecond)
	}
	rate := func() int {
		i, err := strconv.Atoi(infoValue(n, ss, "stats", "instantaneous_ops_per_sec"))
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	if got := rate(); got < 90 || got > 110 {
		t.Errorf("%d commands a second, want 100", got)
	}
	n.sleep(2 * time.Second)
	if got := rate(); got != 0 {
		t.Errorf("%d commands a second, of nothing", got)
	}
}

// INFO counts keys anew when it is asked for them, and else now and then.
func TestKeyspace(t *testing.T) {
	n := newFake(t, 1, Options{}).nodes[0]
	ss := n.client()
	n.do(ss, words("SET a 1"), words("SET b 1 PX 3000"))
	for _, step := range []struct{ section, want string }{
		{"", "keys=2,expires=1,avg_ttl=3000"}, {"keyspace", "keys=2,expires=1,avg_ttl=3000"},
	} {
		if got := infoValue(n, ss, step.section, "db0"); got != step.want {
			t.Errorf("INFO %s: %s, want %s", step.section, got, step.want)
		}
	}
	n.do(ss, words("DEL b"))
	if got := infoValue(n, ss, "", "db0"); got != "keys=2,expires=1,avg_ttl=3000" {
		t.Errorf("the count was made anew: %s", got)
	}
	if got := infoValue(n, ss, "keyspace", "db0"); got != "keys=1,expires=0,avg_ttl=0" {
		t.Errorf("the count was not made anew: %s", got)
	}
	n.sleep(keyspaceFresh)
	if got := infoValue(n, ss, "", "db0"); got != "keys=1,expires=0,avg_ttl=0" {
		t.Errorf("after %v: %s", keyspaceFresh, got)
	}
}
