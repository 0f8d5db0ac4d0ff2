package node

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/resp"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
)

// A table covers all slots, each with a leader whose address is known and the
// owners that can be reached behind it, whatever is down.
func TestSlotTableCoversAllSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		members := v.Ring.Members()
		stand := make([]coordinator.Standing, len(members))
		for i, m := range members {
			stand[i] = coordinator.Standing(rapid.IntRange(0, int(coordinator.Fit)).Draw(t, "stand"))
			if stand[i] == coordinator.Unreachable && rapid.Bool().Draw(t, "never heard of") {
				delete(v.Members, m.Name)
			}
		}
		self := rapid.IntRange(0, len(members)-1).Draw(t, "self")
		stand[self] = max(stand[self], coordinator.Passed)
		v.Members[members[self].Name] = gossip.Meta{ClusterAddr: "10.0.0.1:1", PeerAddr: "10.0.0.1:2"}

		table := newSlotTable(v, members[self].Name, stand)
		next := 0
		for i, r := range table.Ranges {
			if int(r.Lo) != next || r.Hi < r.Lo {
				t.Fatalf("range %v comes after slot %d", r.Range, next-1)
			}
			next = int(r.Hi) + 1
			if i > 0 && slices.Equal(r.Nodes, table.Ranges[i-1].Nodes) {
				t.Fatalf("%v and its neighbour have the same nodes", r.Range)
			}
			for _, slot := range []uint16{r.Lo, r.Hi} {
				checkRange(t, table, r.Nodes, v.Ring.Lookup(slot), stand)
			}
		}
		if next != ring.Slots {
			t.Fatalf("the table ends at slot %d", next)
		}
	})
}

// checkRange fails the test unless nodes are what is to be shown of the
// preference's slots.
func checkRange(t *rapid.T, table *resp.SlotTable, nodes []int, p *ring.Preference, stand []coordinator.Standing) {
	var fit, reachable []int
	for _, o := range p.Owners {
		switch i := placeOf(table, o); {
		case stand[i] == coordinator.Fit:
			fit = append(fit, i)
		case stand[i] == coordinator.Suspected:
			reachable = append(reachable, i)
		}
	}
	leader := nodes[0]
	switch n := table.Nodes[leader]; {
	case n.Host == "" || n.Port == 0 || !n.Up:
		t.Fatalf("%+v leads", n)
	case len(fit) > 0 && !slices.Equal(nodes, fit):
		t.Fatalf("shown are %v, of the owners can be reached %v", nodes, fit)
	case len(fit) == 0 && len(reachable) > 0 && !slices.Equal(nodes, reachable[:1]):
		t.Fatalf("shown are %v, the owners %v are doubtful", nodes, reachable)
	case len(nodes) > 1 && len(fit) == 0:
		t.Fatalf("%v follow, of whom none can be reached", nodes[1:])
	}
}

func placeOf(table *resp.SlotTable, name string) int {
	return slices.IndexFunc(table.Nodes, func(n resp.SlotNode) bool { return n.Name == name })
}

// drawView draws a cluster in which some of the members are still coming.
func drawView(t *rapid.T) *gossip.View {
	events := []ring.Event{{ID: 1, Time: 1, Kind: ring.Found, Config: &ring.Config{
		Cluster: 7, N: rapid.IntRange(1, 4).Draw(t, "n"), Placement: ring.PlacementEqual,
		Partitions: 1 << rapid.IntRange(0, 8).Draw(t, "partitions"),
	}}}
	add := func(e ring.Event) {
		e.ID, e.Time = ring.EventID(len(events)+1), events[len(events)-1].Time+1
		events = append(events, e)
	}
	v := &gossip.View{Members: map[string]gossip.Meta{}}
	for i := range rapid.IntRange(1, 7).Draw(t, "members") {
		name := fmt.Sprintf("n%d", i+1)
		add(ring.Event{Kind: ring.Join, Name: name, Actor: uint64(100 + i), Weight: 1})
		v.Members[name] = gossip.Meta{ClusterAddr: fmt.Sprintf("10.0.0.%d:10001", i+1), PeerAddr: "10.0.0.9:17001"}
		v.History, v.Ring = replay(t, events)
		if rapid.Bool().Draw(t, "ready") {
			for _, a := range v.Ring.ComingOf(name) {
				add(ring.Event{Kind: ring.Ready, Name: name, Since: a.Since, Slots: []ring.Range{a.Range}})
			}
		}
	}
	v.History, v.Ring = replay(t, events)
	return v
}

func replay(t *rapid.T, events []ring.Event) (*ring.History, *ring.Ring) {
	h, err := ring.NewHistory(events...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ring.Replay(h)
	if err != nil {
		t.Fatal(err)
	}
	return h, r
}

// A node keeps its id as long as its data directory, and no two have the same.
func TestNodeID(t *testing.T) {
	if a, b := nodeID(1, 2), nodeID(1, 2); a != b || len(a) != 40 {
		t.Errorf("%s and %s", a, b)
	}
	if nodeID(1, 2) == nodeID(2, 1) || nodeID(1, 2) == nodeID(1, 3) {
		t.Error("two nodes have one id")
	}
}
