package resp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/dynaring/dynaring/ring"
)

// TestSlotsShown replays testdata/slots: what CLUSTER says of a table.
//
//	table    a line a node: its name, host:port or unknown, up or down; then a
//	         line a range: its slots and its nodes' names. The first node answers
//	send     commands, one after the other
func TestSlotsShown(t *testing.T) {
	n := newFake(t, 1, Options{}).nodes[0]
	datadriven.RunTest(t, "testdata/slots", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "table":
			n.table, n.tableOf = parseTable(t, d.Input), fmt.Sprint(false)
			return ""
		case "send":
			ss := n.server.newSession("", "")
			ss.view = ClusterView
			var out strings.Builder
			for line := range strings.Lines(d.Input) {
				fmt.Fprintf(&out, "%s\n", (&transcript{}).printable(n.do(ss, words(line))))
			}
			return out.String()
		}
		d.Fatalf(t, "%s is unknown", d.Cmd)
		return ""
	})
}

func parseTable(t *testing.T, text string) *SlotTable {
	var nodes []SlotNode
	var ranges []SlotRange
	place := map[string]int{}
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if i := len(nodes); !strings.Contains(w[0], "-") {
			n := SlotNode{Name: w[0], ID: fmt.Sprintf("%040x", i+1), Up: w[2] == "up", Epoch: i + 1}
			if w[1] != "unknown" {
				host, port, _ := strings.Cut(w[1], ":")
				n.Host, n.PeerPort = host, 17000+i
				if _, err := fmt.Sscan(port, &n.Port); err != nil {
					t.Fatal(err)
				}
			}
			place[w[0]], nodes = i, append(nodes, n)
			continue
		}
		r := SlotRange{}
		if _, err := fmt.Sscanf(w[0], "%d-%d", &r.Lo, &r.Hi); err != nil {
			t.Fatal(err)
		}
		for _, name := range w[1:] {
			r.Nodes = append(r.Nodes, place[name])
		}
		ranges = append(ranges, r)
	}
	if last := ranges[len(ranges)-1].Hi; last != ring.Slots-1 {
		t.Fatalf("the table ends at slot %d", last)
	}
	return NewSlotTable(nodes, 0, ranges)
}
