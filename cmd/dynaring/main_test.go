package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peterbourgon/ff/v3"
	"github.com/rogpeppe/go-internal/testscript"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/cmd/internal/node"
)

func TestMain(m *testing.M) {
	// `local` starts its nodes as this very program: under test, too, that must
	// be a node, and never the tests once more.
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"dynaring": main})
}

// TestScripts runs the command line as its user does.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true})
}

func TestEveryFlagOfServeHasItsPlaceInTheHelp(t *testing.T) {
	var s settings
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	s.register(fs)
	grouped := map[string]int{}
	for _, g := range serveGroups {
		for _, name := range g.flags {
			if fs.Lookup(name) == nil {
				t.Errorf("group %q names --%s, which is no flag", g.title, name)
			}
			grouped[name]++
		}
	}
	fs.VisitAll(func(f *flag.Flag) {
		if grouped[f.Name] != 1 {
			t.Errorf("--%s is in %d groups of the help, want 1", f.Name, grouped[f.Name])
		}
		if arg, text := flag.UnquoteUsage(f); !strings.HasPrefix(text, arg+" ") {
			t.Errorf("--%s: its usage does not begin with the argument in backquotes", f.Name)
		}
	})
	for _, name := range perNode {
		if fs.Lookup(name) == nil {
			t.Errorf("perNode names --%s, which is no flag of serve", name)
		}
	}
}

// parseServe reads settings from a command line and a config file's text.
func parseServe(t *testing.T, file string, args ...string) (settings, error) {
	t.Helper()
	if file != "" {
		path := filepath.Join(t.TempDir(), "dynaring.toml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	var s settings
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(&bytes.Buffer{})
	s.register(fs)
	err := ff.Parse(fs, args, sources()...)
	s.remember(fs)
	return s, err
}

func TestCommandLineWinsOverEnvironmentOverFile(t *testing.T) {
	t.Setenv("DYNARING_W", "3")
	t.Setenv("DYNARING_R", "3")
	s, err := parseServe(t, `
n = 4
w = 4
r = 4
join = ["a:1", "b:2"]
protected-mode = false
max-value = "1MiB"
timeout = "2s"
`, "--r", "1")
	if err != nil {
		t.Fatal(err)
	}
	c := s.node
	if c.N != 4 || c.W != 3 || c.R != 1 {
		t.Errorf("n, w, r = %d, %d, %d; want 4 from the file, 3 from the environment, 1 from the command line", c.N, c.W, c.R)
	}
	if got := strings.Join(c.Join, " "); got != "a:1 b:2" {
		t.Errorf("join = %q", got)
	}
	if c.ProtectedMode || c.MaxValue != 1<<20 || c.Timeout.Seconds() != 2 {
		t.Errorf("protected-mode %v, max-value %d, timeout %v", c.ProtectedMode, c.MaxValue, c.Timeout)
	}
	want := []string{"config", "join", "max-value", "n", "protected-mode", "r", "timeout", "w"}
	if got := slices.Sorted(maps.Keys(c.Explicit)); !slices.Equal(got, want) {
		t.Errorf("explicit = %v, want %v", got, want)
	}
}

func TestConfigFileMistakesAreNamed(t *testing.T) {
	for file, want := range map[string]string{
		"n = ":                "no TOML",
		"nn = 3":              `"nn" not defined`,
		"n = \"many\"":        `"n"`,
		"[ring]\nn = 3":       "ring: write a string",
		"max-value = \"big\"": "64MiB",
	} {
		if _, err := parseServe(t, file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want it to contain %q", file, err, want)
		}
	}
}

func TestSizesPrintAsTheyAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := size(rapid.Int64Min(0).Draw(t, "size"))
		var got size
		if err := got.Set(want.String()); err != nil || got != want {
			t.Fatalf("%d printed as %s read as %d (%v)", int64(want), want.String(), int64(got), err)
		}
	})
	for text, want := range map[string]size{"7": 7, "7kb": 7 << 10, "7 MiB": 7 << 20, "2gib": 2 << 30} {
		var got size
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%q = %d (%v), want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "1.5MiB", "MiB", "9999999999GiB"} {
		if new(size).Set(text) == nil {
			t.Errorf("%q is taken for a size", text)
		}
	}
}

func TestLocalNodesShareNoPortAndNoFolder(t *testing.T) {
	o := localOptions{nodes: 20, port: 7001, dir: "d"}
	o.serve.node = node.DefaultConfig()
	configs, err := o.configs()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for i, c := range configs {
		for _, v := range []string{c.Name, c.Addr, c.ClusterAddr, c.PeerAddr, c.GossipAddr, c.HTTPAddr, c.DataDir} {
			if other, ok := seen[v]; ok {
				t.Errorf("%s and %s share %s", other, c.Name, v)
			}
			seen[v] = c.Name
		}
		if founds := len(c.Join) == 0; founds != (i == 0) {
			t.Errorf("%s joins %v", c.Name, c.Join)
		}
	}
	// A node's own flags are all on its command line, whatever the environment says.
	for _, name := range perNode {
		if !slices.ContainsFunc(serveArgs(configs[1]), func(arg string) bool { return strings.HasPrefix(arg, "--"+name+"=") }) {
			t.Errorf("--%s is left to the environment", name)
		}
	}
}

func TestChildEnvHidesOurOwnSettings(t *testing.T) {
	got := childEnv([]string{"PATH=/bin", "DYNARING_NAME=x", "DYNARING_N=7"}, []string{"DYNARING_N=3"})
	if want := []string{"PATH=/bin", "DYNARING_N=3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPrefixWriterKeepsLinesWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chunks := rapid.SliceOf(rapid.StringMatching(`[ab\n]{0,5}`)).Draw(t, "chunks")
		var out bytes.Buffer
		p := &prefixWriter{prefix: "n1 | ", out: &out}
		for _, c := range chunks {
			fmt.Fprint(p, c)
		}
		p.flush()
		var want strings.Builder
		whole := strings.TrimSuffix(strings.Join(chunks, ""), "\n")
		if strings.Join(chunks, "") != "" {
			for line := range strings.SplitSeq(whole, "\n") {
				want.WriteString("n1 | " + line + "\n")
			}
		}
		if out.String() != want.String() {
			t.Fatalf("got %q, want %q", out.String(), want.String())
		}
	})
}

func TestTableLeavesEmptyColumnsOut(t *testing.T) {
	rows, err := records([]any{
		[]any{"name", "n1", "zone", "", "slots", int64(16384), "peers", []any{"n2", "n3"}},
		[]any{"name", "n2", "zone", "", "slots", nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := table(&b, rows); err != nil {
		t.Fatal(err)
	}
	want := "NAME  SLOTS  PEERS\nn1    16384  n2,n3\nn2    -      -\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestTablePutsWideColumnsLast(t *testing.T) {
	long := strings.Repeat("0-1,", 20)
	rows, err := records([]any{[]any{"kind", "ready", "detail", long, "name", "n1"}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := table(&b, rows); err != nil {
		t.Fatal(err)
	}
	if want := "KIND   NAME  DETAIL\nready  n1    " + long + "\n"; b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// lockedBuffer is a buffer that is read while others write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The nodes of this fleet are shells: what matters is who is told, and that
// nothing is left running.
func TestFleetTellsOfADeathAndStopsTheOthers(t *testing.T) {
	var log lockedBuffer
	f := newFleet(&log)
	for name, script := range map[string]string{
		"n1": "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done",
		"n2": "echo no; exit 3",
		"n3": "exec sleep 1000", // has not come to catching signals
	} {
		if err := f.start("/bin/sh", name, []string{"-c", script}, os.Environ()); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range f.children {
		if c.name == "n2" {
			<-c.done
		}
	}
	for !strings.Contains(log.String(), "n1 | up\n") { // its trap is set by then
		time.Sleep(time.Millisecond)
	}
	if f.running("n2") || !f.running("n1") {
		t.Fatalf("running: n1 %v, n2 %v", f.running("n1"), f.running("n2"))
	}
	if err := f.stop(localStopTimeout); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"n1 | up\n", "n1 | bye\n", "n2 | no\n", "n2 ended by itself (exit status 3)"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %q:\n%s", want, log.String())
		}
	}
}

func TestRunExplainsInOneParagraph(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), []string{"serve", "--n", "0", "--durability", "never"}, &stdout, &stderr)
	if code != 1 || stdout.Len() > 0 {
		t.Errorf("exit code %d, stdout %q", code, stdout.String())
	}
	if got := stderr.String(); strings.Contains(got, "\n\n") || !strings.Contains(got, "--n 0") || !strings.Contains(got, "--durability \"never\"") {
		t.Errorf("stderr:\n%s", got)
	}
}

// TestConfigurationDocument keeps docs/configuration.md complete.
func TestConfigurationDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var s settings
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	s.register(fs)
	fs.VisitAll(func(f *flag.Flag) {
		row := regexp.MustCompile("(?m)^\\|[^|]*`--" + f.Name + "`[^|]*\\|([^|]*)\\|").FindSubmatch(text)
		if row == nil {
			t.Errorf("--%s has no row", f.Name)
			return
		}
		if !strings.Contains(strings.ToLower(string(row[1])), strings.ToLower(f.DefValue)) {
			t.Errorf("--%s: the row says default %q, it is %s", f.Name, row[1], f.DefValue)
		}
	})
}

// Where another program has one of the ports, no node is started: with two
// clusters on the same ports, nodes of the one would join the other.
func TestLocalWantsItsPortsFree(t *testing.T) {
	var s settings
	s.register(flag.NewFlagSet("", flag.ContinueOnError))
	// Below the ports that the kernel hands out, so that nobody gets one of
	// the derived ports meanwhile.
	port := 11000
	for ; ; port += 7 {
		configs, err := localOptions{nodes: 3, port: port - 1, serve: s}.configs()
		if err != nil {
			t.Fatal(err)
		}
		if portsFree(configs) == nil {
			break
		}
	}
	taken, err := net.Listen("tcp", net.JoinHostPort(localHost, strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for what, o := range map[string]localOptions{
		"n1's --addr":        {nodes: 1, port: port, serve: s},
		"n2's --addr":        {nodes: 2, port: port - 1, serve: s},
		"n1's --gossip-addr": {nodes: 1, port: port - 1000, serve: s},
	} {
		configs, err := o.configs()
		if err != nil {
			t.Fatal(err)
		}
		if err := portsFree(configs); err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "--port") {
			t.Errorf("%s: got %v", what, err)
		}
	}
	taken.Close()
	configs, err := localOptions{nodes: 1, port: port, serve: s}.configs()
	if err == nil {
		err = portsFree(configs)
	}
	if err != nil {
		t.Error(err)
	}
}
