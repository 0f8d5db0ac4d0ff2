package node

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"net"
	"slices"
	"strconv"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/resp"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
)

// slotTable is the latest table, and what it was made of.
type slotTable struct {
	view  *gossip.View
	stand []coordinator.Standing
	table *resp.SlotTable
}

// Owns reports whether this node is an owner of the slot. One that is coming
// is, too: those who send it clients know of more events than it does yet.
func (c cluster) Owns(slot uint16) bool {
	r := c.n.gossip.View().Ring
	if r == nil {
		return false
	}
	role := r.Lookup(slot).Role(c.n.cfg.Name)
	return role == ring.Owner || role == ring.Coming
}

// Slots returns who leads and owns every slot; nil before the node is a member.
// A new table is made only when the members, or how they stand, have changed.
func (c cluster) Slots() *resp.SlotTable {
	v := c.n.gossip.View()
	if _, ok := v.Ring.Member(c.n.cfg.Name); !ok {
		return nil
	}
	members := v.Ring.Members()
	stand := make([]coordinator.Standing, len(members))
	for i, m := range members {
		stand[i] = c.n.coordinator.Standing(m.Name)
	}
	last := c.n.slots.Load()
	if last == nil || last.view != v || !slices.Equal(last.stand, stand) {
		last = &slotTable{v, stand, newSlotTable(v, c.n.cfg.Name, stand)}
		c.n.slots.Store(last)
	}
	return last.table
}

// newSlotTable makes the table of a node, which is a member, and for which the
// members stand as they do. Where it can reach nobody, it leads: it says why not.
func newSlotTable(v *gossip.View, self string, stand []coordinator.Standing) *resp.SlotTable {
	places := map[string]int{}
	for i, m := range v.Ring.Members() {
		places[m.Name] = i
	}
	standing := func(name string) coordinator.Standing { return stand[places[name]] }
	nodes := slotNodes(v, stand)
	var ranges []resp.SlotRange
	for _, s := range v.Ring.Ranges() {
		leader, ok := coordinator.Lead(s.Preference, standing)
		if !ok {
			leader = self
		}
		r := resp.SlotRange{Range: s.Range, Nodes: []int{places[leader]}}
		nodes[places[leader]].Up = true
		for _, o := range s.Preference.Owners {
			if o != leader && standing(o) == coordinator.Fit {
				r.Nodes = append(r.Nodes, places[o])
			}
		}
		if n := len(ranges); n > 0 && slices.Equal(ranges[n-1].Nodes, r.Nodes) {
			ranges[n-1].Hi = r.Hi
			continue
		}
		ranges = append(ranges, r)
	}
	return resp.NewSlotTable(nodes, places[self], ranges)
}

// slotNodes describes the members, as far as can be said without the ranges.
func slotNodes(v *gossip.View, stand []coordinator.Standing) []resp.SlotNode {
	joins := joinOrder(v.History)
	var nodes []resp.SlotNode
	for i, m := range v.Ring.Members() {
		meta := v.Members[m.Name]
		host, port := hostPort(meta.ClusterAddr)
		_, peer := hostPort(meta.PeerAddr)
		nodes = append(nodes, resp.SlotNode{
			Name: m.Name, ID: nodeID(v.Ring.Config().Cluster, m.Actor), Host: host, Port: port, PeerPort: peer,
			Up: stand[i] == coordinator.Fit || stand[i] == coordinator.Passed, Epoch: joins[m.Name],
		})
	}
	return nodes
}

// joinOrder numbers the members by their last join, from 1 on.
func joinOrder(h *ring.History) map[string]int {
	order := map[string]int{}
	n := 0
	for _, e := range events(h) {
		if e.Kind == ring.Join {
			n++
			order[e.Name] = n
		}
	}
	return order
}

// nodeID is a member's id in the form that Redis Cluster's have. It is that of
// its data directory, so it outlives restarts.
func nodeID(cluster, actor uint64) string {
	b := binary.BigEndian.AppendUint64(nil, cluster)
	sum := sha1.Sum(binary.BigEndian.AppendUint64(b, actor))
	return hex.EncodeToString(sum[:])
}

// hostPort takes an address apart; that of a member that was never heard of is
// empty.
func hostPort(addr string) (host string, port int) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, 0
	}
	port, _ = strconv.Atoi(p)
	return host, port
}
