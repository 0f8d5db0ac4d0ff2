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
		checkShown(t, table)
	})
}

// checkShown fails the test unless CLUSTER SLOTS has every slot once, with its
// nodes, and nobody who leads is met as a replica first.
func checkShown(t *rapid.T, table *SlotTable) {
	roles := map[int]string{}
	meet := func(n int, role string) {
		if roles[n] == "" {
			roles[n] = role
		}
	}
	var seen [slots]bool
	less := 0
	for _, r := range table.shown {
		all := table.Ranges[table.at[r.Lo]]
		if r.Hi < r.Lo || r.Hi > all.Hi || r.Nodes[0] != all.Nodes[0] {
			t.Fatalf("%+v is not in %+v", r, all)
		}
		if !slices.Equal(r.Nodes, all.Nodes) {
			less++
			if r.Len() != 1 || count(r.Nodes, func(n int) bool { return !slices.Contains(all.Nodes, n) }) > 0 {
				t.Fatalf("%+v is no slot of %+v with less followers", r, all)
			}
		}
		for s := int(r.Lo); s <= int(r.Hi); s++ {
			if seen[s] {
				t.Fatalf("slot %d is there twice", s)
			}
			seen[s] = true
		}
		meet(r.Nodes[0], "leader")
		for _, n := range r.Nodes[1:] {
			meet(n, "replica")
		}
	}
	if slices.Contains(seen[:], false) {
		t.Fatal("a slot is not there")
	}
	leaders := 0
	for n := range table.Nodes {
		if led := table.Led(n); len(led) > 0 {
			leaders++
			if roles[n] != "leader" {
				t.Fatalf("%d, who leads %v, is met as a %s", n, led, roles[n])
			}
		}
	}
	if less >= leaders && less > 0 {
		t.Fatalf("%d slots are there without all their nodes", less)
	}
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
