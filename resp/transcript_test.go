package resp

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// TestTranscripts replays sessions. Each file is a cluster of its own:
//
//	cluster nodes=3 requirepass=secret   begins anew
//	down node=n2                         the others' tables leave it out
//	send [conn=c] [node=n2] [view=cluster] commands, one after the other
//	pipeline [conn=c] [node=n2]          commands in one batch; save=x keeps
//	                                     the last reply's first string as $x
//	sleep ms=1500
//	fail op=read|write [key=k] with=…    from now on; with=nothing ends it
//
// A reply is one line, its line ends written out.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, filepath.Join("testdata", "transcripts"), func(t *testing.T, path string) {
		x := &transcript{c: newFake(t, 1, Options{})}
		x.begin()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "cluster":
				nodes, password := 1, ""
				d.MaybeScanArgs(t, "nodes", &nodes)
				d.MaybeScanArgs(t, "requirepass", &password)
				x.c = newFake(t, nodes, Options{Password: password, MaxKey: 100, MaxValue: 1000})
				x.begin()
				return ""
			case "sleep":
				var ms int64
				d.ScanArgs(t, "ms", &ms)
				x.c.sleep(time.Duration(ms) * time.Millisecond)
				return ""
			case "fail":
				return failWith(t, x.c, d)
			case "down":
				var node string
				d.ScanArgs(t, "node", &node)
				n, _ := x.session("", node)
				n.down = true
				return ""
			case "send", "pipeline":
				return x.converse(t, d)
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

// transcript is the state of one file.
type transcript struct {
	c     *fakeCluster
	conns map[string]*Session
	saved map[string]string
}

func (x *transcript) begin() {
	x.conns, x.saved = map[string]*Session{}, map[string]string{}
}

func (x *transcript) session(conn, node string) (*fakeNode, *Session) {
	i := slices.IndexFunc(x.c.nodes, func(n *fakeNode) bool { return n.name == node })
	n := x.c.nodes[i]
	ss := x.conns[conn+"@"+node]
	if ss == nil {
		ss = n.client()
		x.conns[conn+"@"+node] = ss
	}
	return n, ss
}

func (x *transcript) converse(t *testing.T, d *datadriven.TestData) string {
	conn, node, save := "", "n1", ""
	d.MaybeScanArgs(t, "conn", &conn)
	d.MaybeScanArgs(t, "node", &node)
	d.MaybeScanArgs(t, "save", &save)
	n, ss := x.session(conn, node)
	if d.HasArg("view") {
		ss.view = ClusterView
	}
	var replies [][]byte
	var all [][][]byte
	for line := range strings.Lines(d.Input) {
		for _, name := range x.names() {
			line = strings.ReplaceAll(line, "$"+name, x.saved[name])
		}
		args := words(line)
		all = append(all, args)
		if d.Cmd == "send" {
			replies = append(replies, n.do(ss, args))
		}
	}
	if d.Cmd == "pipeline" {
		replies = splitReplies(n.do(ss, all...))
	}
	if save != "" {
		x.saved[save] = firstString(replies[len(replies)-1])
	}
	var out strings.Builder
	for _, r := range replies {
		fmt.Fprintf(&out, "%s\n", x.printable(r))
	}
	if ss.closed {
		out.WriteString("(closed)\n")
	}
	return out.String()
}

// names returns what was saved, a name before those that it begins with.
func (x *transcript) names() []string {
	names := slices.Sorted(maps.Keys(x.saved))
	slices.Reverse(names)
	return names
}

// contextToken is a context as a reply.
var contextToken = regexp.MustCompile(`\$\d+\r\nAQ[\w-]{20,}\r\n`)

// printable writes control characters out, saved strings by their names, and
// other contexts as what they are.
func (x *transcript) printable(b []byte) string {
	s := string(b)
	for _, name := range x.names() {
		token := x.saved[name]
		s = strings.ReplaceAll(s, fmt.Sprintf("$%d\r\n%s\r\n", len(token), token), "<"+name+">\r\n")
	}
	s = contextToken.ReplaceAllString(s, "<context>\r\n")
	return strings.NewReplacer("\r\n", `\r\n`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s)
}

// firstString returns the first bulk string of a reply.
func firstString(reply []byte) string {
	_, rest, _ := strings.Cut(string(reply), "$")
	_, rest, _ = strings.Cut(rest, "\r\n")
	s, _, _ := strings.Cut(rest, "\r\n")
	return s
}

func failWith(t *testing.T, c *fakeCluster, d *datadriven.TestData) string {
	var op, with, key string
	d.ScanArgs(t, "with", &with)
	d.MaybeScanArgs(t, "op", &op)
	d.MaybeScanArgs(t, "key", &key)
	err, ok := map[string]error{
		"nothing":     nil,
		"noquorum":    &coordinator.NoQuorumError{Op: op, Need: 2, Got: 1},
		"uncertain":   &coordinator.UncertainError{K: 1, W: 2, Dot: version.Dot{Actor: version.Actor{ID: 1, Inc: 2}, Counter: 7}},
		"lost":        &coordinator.UncertainError{W: 2, Lost: true},
		"loading":     coordinator.ErrLoading,
		"notowner":    coordinator.ErrNotOwner,
		"disk-full":   &storage.DiskFullError{Dir: "/data", Free: 1, Need: 2},
		"disk-failed": fmt.Errorf("%w: sync", storage.ErrFailed),
		"internal":    errDisk,
	}[with]
	if !ok {
		d.Fatalf(t, "unknown failure %s", with)
	}
	for _, n := range c.nodes {
		n.fault = func(o string, k []byte) error {
			if o == op && (key == "" || key == string(k)) {
				return err
			}
			return nil
		}
	}
	return ""
}

// splitReplies cuts bytes into whole replies.
func splitReplies(b []byte) (replies [][]byte) {
	for len(b) > 0 {
		n, err := replyLen(b)
		if err != nil {
			return append(replies, fmt.Appendf(nil, "%v: %q", err, b))
		}
		replies, b = append(replies, b[:n]), b[n:]
	}
	return replies
}

// replyLen returns the length of the first reply in b.
func replyLen(b []byte) (int, error) {
	_, n, err := parseAnswer(b)
	return n, err
}
