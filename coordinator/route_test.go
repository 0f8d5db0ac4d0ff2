package coordinator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// Reads and blind writes stay on an owner; a read-modify-write goes to the
// first owner that can be reached, those that the gossip gave up last.
func TestRoute(t *testing.T) {
	bubble(t, 5, Options{}, func(r *rig) {
		out, p := r.outsider("k")
		slot := key("k").Slot
		route := func(n *node, class Class) string {
			to, err := n.Route(slot, class)
			if err != nil {
				t.Fatal(err)
			}
			return to
		}
		first, second := r.nodes[p.Owners[0]], r.nodes[p.Owners[1]]
		for _, n := range []*node{first, second} {
			if route(n, Reading) != "" || route(n, Blind) != "" {
				t.Fatal("an owner passes on what it can do")
			}
		}
		if route(first, RMW) != "" || route(second, RMW) != first.name || route(out, RMW) != first.name {
			t.Fatal("not the first owner")
		}
		sticky := route(out, Reading)
		for range 10 {
			if route(out, Blind) != sticky {
				t.Fatal("not sticky")
			}
		}
		r.setDown(first.name, true)
		if route(second, RMW) != "" || route(out, RMW) != second.name {
			t.Fatal("not the second owner")
		}
		r.setDown(first.name, false)
		table := second.View().Ring
		second.setView(View{Ring: table, Alive: map[string]bool{second.name: true}})
		if route(second, RMW) != "" {
			t.Fatal("a node given up comes before this one")
		}
		out.setView(View{Ring: table, Alive: map[string]bool{p.Owners[2]: true}})
		if route(out, RMW) != p.Owners[2] || route(out, Reading) != p.Owners[2] {
			t.Fatal("a node given up comes first")
		}
		out.setView(View{Ring: table, Alive: map[string]bool{}})
		if route(out, RMW) != first.name {
			t.Fatal("a node that can be called is not, because of gossip")
		}
	})
}

// TestRanking replays testdata/ranking: what each owner usually takes, for how
// long, and the order in which they are asked afterwards.
func TestRanking(t *testing.T) {
	var k *ranking
	now := time.Unix(0, 0)
	datadriven.RunTest(t, "testdata/ranking", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "owners":
			var owners []string
			self := ""
			for _, a := range d.CmdArgs {
				if a.Key == "self" {
					self = a.Vals[0]
					continue
				}
				owners = append(owners, a.Key)
			}
			k = newRanking(owners, self)
		case "for":
			long, err := time.ParseDuration(d.CmdArgs[0].Key)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			end := now.Add(long)
			for ; now.Before(end); now = now.Add(reviewEvery) {
				usual := make([]time.Duration, len(k.order))
				for _, a := range d.CmdArgs[1:] {
					ms, err := strconv.Atoi(a.Vals[0])
					if err != nil {
						d.Fatalf(t, "%v", err)
					}
					if i := slices.Index(k.order, a.Key); i >= 0 {
						usual[i] = time.Duration(ms) * time.Millisecond
					}
				}
				k.review(k.order, usual, now)
			}
		}
		return fmt.Sprintln(strings.Join(k.order, " "))
	})
}
