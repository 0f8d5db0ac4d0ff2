package resp

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/ring"
)

// TestSlotTable: the slots that the nodes lead are all slots, each once, and
// followers own all that their leader leads.
func TestSlotTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := make([]SlotNode, rapid.IntRange(1, 6).Draw(t, "nodes"))
		var ranges []SlotRange
		for lo := 0; lo < slots; {
			hi := min(lo+rapid.IntRange(0, 5000).Draw(t, "slots"), slots-1)
			own := rapid.Permutation([]int{0, 1, 2, 3, 4, 5}[:len(nodes)]).Draw(t, "order")
			ranges = append(ranges, SlotRange{ring.Range{Lo: uint16(lo), Hi: uint16(hi)}, own[:rapid.IntRange(1, len(own)).Draw(t, "owners")]})
			lo = hi + 1
		}
		table := NewSlotTable(nodes, 0, ranges)
		var led [slots]int
		for n := range nodes {
			for _, r := range table.Led(n) {
				for s := int(r.Lo); s <= int(r.Hi); s++ {
					led[s]++
					if table.Leader(uint16(s)) != &table.Nodes[n] {
						t.Fatalf("slot %d is not led by %d", s, n)
					}
				}
			}
			for _, f := range table.Followers(n) {
				for _, r := range ranges {
					if r.Nodes[0] == n && !slices.Contains(r.Nodes, f) {
						t.Fatalf("%d follows %d, but does not own %v", f, n, r.Range)
					}
				}
			}
		}
		if i := slices.IndexFunc(led[:], func(n int) bool { return n != 1 }); i >= 0 {
			t.Fatalf("slot %d is led by %d nodes", i, led[i])
		}
	})
}

func (n *fakeNode) Owns(slot uint16) bool {
	node, err := n.Route(slot, coordinator.RMW)
	return err == nil && node == ""
}

// Slots is a table in which every slot has a range and, where it can be
// reached, the next node as its second owner.
func (n *fakeNode) Slots() *SlotTable {
	down := ""
	for _, m := range n.nodes {
		down += fmt.Sprint(m.down)
	}
	if n.table != nil && n.tableOf == down {
		return n.table
	}
	var nodes []SlotNode
	self := 0
	for i, m := range n.nodes {
		if m == n {
			self = i
		}
		nodes = append(nodes, SlotNode{
			Name: m.name, ID: fmt.Sprintf("%040x", i+1), Host: "10.0.0.1", Port: 9000 + i, PeerPort: 16000 + i,
			Up: !m.down, Epoch: i + 1,
		})
	}
	var ranges []SlotRange
	for s := range slots {
		r := SlotRange{Range: ring.Range{Lo: uint16(s), Hi: uint16(s)}}
		for k := range min(2, len(nodes)) {
			if i := (s + k) % len(nodes); nodes[i].Up {
				r.Nodes = append(r.Nodes, i)
			}
		}
		ranges = append(ranges, r)
	}
	n.table, n.tableOf = NewSlotTable(nodes, self, ranges), down
	return n.table
}
