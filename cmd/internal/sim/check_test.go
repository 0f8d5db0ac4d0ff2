package sim

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/dynaring/dynaring/storage/version"
)

// TestCheck judges histories that are written down in testdata/check. A line
// is one operation, times in ms:
//
//	START-END KIND KEY [VALUE] [PX MS] [given DOTS] [R=n] [W=n] -> ok|failed|uncertain [VALUE…] [DOTS]
//
// where DOTS is {a:2,4-4 b:1} as Op.String prints it, without spaces: a:2,4-4;b:1.
func TestCheck(t *testing.T) {
	datadriven.Walk(t, "testdata/check", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			rules := Rules{N: 3, Clocks: !d.HasArg("skewed"), Faultless: d.HasArg("faultless"), Durable: true, Healed: never}
			if d.HasArg("sloppy") {
				rules.From = never
			}
			d.MaybeScanArgs(t, "wiped", &rules.Wiped)
			var settled, healed int
			if d.MaybeScanArgs(t, "settled", &settled); settled > 0 {
				rules.Settled = []time.Duration{time.Duration(settled) * time.Millisecond}
			}
			if d.MaybeScanArgs(t, "healed", &healed); healed > 0 {
				rules.Healed = time.Duration(healed) * time.Millisecond
			}
			var ops []*Op
			for i, line := range strings.Split(d.Input, "\n") {
				o, err := parseOp(line)
				if err != nil {
					d.Fatalf(t, "line %d: %v", i+1, err)
				}
				ops = append(ops, o)
			}
			broken := Check(rules, ops)
			if len(broken) == 0 {
				return "ok\n"
			}
			return strings.Join(broken, "\n") + "\n"
		})
	})
}

// TestWritable judges writes that failed, from histories in testdata/reach. The
// first line names the nodes, lines that begin with @ are faults, at so many
// ms, the others operations of TestCheck by client c and, after "at", a node.
func TestWritable(t *testing.T) {
	datadriven.Walk(t, "testdata/reach", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var steps []Step
			var ops []*Op
			lines := strings.Split(d.Input, "\n")
			for _, line := range lines[1:] {
				if at, fault, ok := strings.Cut(line, " "); ok && strings.HasPrefix(at, "@") {
					ms, err := strconv.Atoi(at[1:])
					if err != nil {
						d.Fatalf(t, "%v", err)
					}
					steps = append(steps, Step{At: time.Duration(ms) * time.Millisecond, Fault: fault})
					continue
				}
				line, node, _ := strings.Cut(line, " at ")
				o, err := parseOp(line)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				o.Node = node
				if o.Outcome != Acked {
					o.Err = "NOQUORUM"
				}
				ops = append(ops, o)
			}
			c := checker{Rules: Rules{N: 3}}
			c.writable(strings.Fields(lines[0]), steps, ops)
			if len(c.broken) == 0 {
				return "ok\n"
			}
			return strings.Join(c.broken, "\n") + "\n"
		})
	})
}

func parseOp(line string) (*Op, error) {
	asked, told, ok := strings.Cut(line, " -> ")
	words := strings.Fields(asked)
	if !ok || len(words) < 3 {
		return nil, fmt.Errorf("%q is no operation", line)
	}
	o := &Op{Client: "c", Node: "n", Key: words[2], R: 2, W: 2}
	var start, end int64
	if _, err := fmt.Sscanf(words[0], "%d-%d", &start, &end); err != nil {
		return nil, err
	}
	o.Start, o.End = time.Duration(start)*time.Millisecond, time.Duration(end)*time.Millisecond
	for i, name := range kindNames {
		if name == words[1] {
			o.Kind = Kind(i)
		}
	}
	for words = words[3:]; len(words) > 0; words = words[1:] {
		switch w := words[0]; {
		case w == "PX":
			ms, err := strconv.Atoi(words[1])
			if err != nil {
				return nil, err
			}
			o.TTL, words = time.Duration(ms)*time.Millisecond, words[1:]
		case w == "given":
			o.Given, words = &version.Context{Past: parseDots(words[1])}, words[1:]
		case strings.HasPrefix(w, "R="):
			o.R, _ = strconv.Atoi(w[2:])
		case strings.HasPrefix(w, "W="):
			o.W, _ = strconv.Atoi(w[2:])
		case o.Kind == Incr:
			o.By, _ = strconv.ParseInt(w, 10, 64)
		default:
			o.Value = w
		}
	}
	words = strings.Fields(told)
	for i, name := range outcomeNames {
		if name == words[0] {
			o.Outcome = Outcome(i)
		}
	}
	for _, w := range words[1:] {
		switch {
		case strings.Contains(w, ":"):
			o.Got.Past = parseDots(w)
		case o.Kind.reads():
			o.Values = append(o.Values, w)
		default:
			o.Number, _ = strconv.ParseInt(w, 10, 64)
		}
	}
	return o, nil
}

// parseDots reads a:2,4-4;b:1.
func parseDots(s string) version.Past {
	var past version.Past
	for _, pair := range strings.Split(s, ";") {
		actor, ranges, _ := strings.Cut(pair, ":")
		a := version.Actor{ID: uint64(actor[0]-'a'+0xa) << 60}
		for _, r := range strings.Split(ranges, ",") {
			lo, hi, ok := strings.Cut(r, "-")
			first, _ := strconv.ParseUint(lo, 10, 64)
			last := first
			if ok {
				last, _ = strconv.ParseUint(hi, 10, 64)
			} else {
				first = 1
			}
			for n := first; n <= last; n++ {
				past = past.With(version.Dot{Actor: a, Counter: n}, 0)
			}
		}
	}
	return past
}
