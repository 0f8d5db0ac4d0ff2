package version

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestGolden replays histories of one cell on named nodes:
//
//	put node=Sx value=D1 [context=NAME | context=none] [as=NAME]
//	delete node=Sx
//	exchange a=Sx b=Sy
//	read node=Sx [as=NAME]
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		cells, contexts, names := map[string]*Cell{}, map[string]Context{}, map[Actor]string{}
		clockMax, clock := 0, int64(0)
		actor := func(node string) Actor {
			a := Actor{ID: uint64(node[len(node)-1])}
			names[a] = node
			return a
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var node, value, context, as, from string
			d.MaybeScanArgs(t, "node", &node)
			d.MaybeScanArgs(t, "value", &value)
			d.MaybeScanArgs(t, "context", &context)
			d.MaybeScanArgs(t, "as", &as)
			d.MaybeScanArgs(t, "from", &from)
			switch d.Cmd {
			case "clock-max":
				d.ScanArgs(t, "pairs", &clockMax)
				return "ok"
			case "put", "delete":
				clock++
				m := Mint{Actor: actor(node), Time: TimestampAt(clock), ClockMax: clockMax}
				w := Write{Value: []byte(value), Tombstone: d.Cmd == "delete"}
				if x := contexts[context]; context != "" {
					w.Context = &x
				}
				next, delta, dot, err := cells[node].Put(m, w)
				if err != nil {
					return err.Error()
				}
				cells[node], contexts[as] = next, delta.Context()
				return fmt.Sprintf("(%s,%d)", node, dot.Counter)
			case "exchange":
				both := Merge(cells[from], cells[node])
				cells[from], cells[node] = both, both
				return "ok"
			case "read":
				contexts[as] = cells[node].Context()
				var out strings.Builder
				for _, s := range cells[node].Siblings(0) {
					clock := FormatClock(s.Version.Clock(), func(a Actor) string { return names[a] })
					fmt.Fprintf(&out, "%s %s\n", s.Value, clock)
				}
				return out.String()
			}
			d.Fatalf(t, "unknown command")
			return ""
		})
	})
}
