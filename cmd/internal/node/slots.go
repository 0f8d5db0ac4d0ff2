package node

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"net"
	"slices"
	"strconv"

	"github.com/dynaring/dynaring/resp"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
)

// slotTable is the latest table, and what it was made of.
type slotTable struct {
	view  *gossip.View
	live  string // a byte a member: whether it can be used
	table *resp.SlotTable
}

// Owns reports whether this node is an owner of the slot now.
func (c cluster) Owns(slot uint16) bool {
	r := c.n.gossip.View().Ring
	return r != nil && slices.Contains(r.Lookup(slot).Owners, c.n.cfg.Name)
}

// Slots returns who leads and owns every slot. A new table is made only when
// the members, or who of them can be used, have changed.
func (c cluster) Slots() *resp.SlotTable {
	v := c.n.gossip.View()
	members := v.Ring.Members()
	if len(members) == 0 {
		return nil
	}
	live := make([]byte, len(members))
	for i, m := range members {
		live[i] = '0'
		if c.usable(v, m.Name) {
			live[i] = '1'
		}
	}
	last := c.n.slots.Load()
	if last == nil || last.view != v || last.live != string(live) {
		last = &slotTable{v, string(live), c.newSlotTable(v, live)}
		c.n.slots.Store(last)
	}
	return last.table
}

// usable reports whether requests go to a member now.
func (c cluster) usable(v *gossip.View, name string) bool {
	return c.n.coordinator.Usable(name) && (name == c.n.cfg.Name || v.Alive[name])
}

func (c cluster) newSlotTable(v *gossip.View, live []byte) *resp.SlotTable {
	members := v.Ring.Members()
	places := map[string]int{}
	nodes := make([]resp.SlotNode, len(members))
	joins := joinOrder(v.History)
	for i, m := range members {
		places[m.Name] = i
		meta := v.Members[m.Name]
		host, port := hostPort(meta.ClusterAddr)
		_, peer := hostPort(meta.PeerAddr)
		nodes[i] = resp.SlotNode{
			Name: m.Name, ID: nodeID(v.Ring.Config().Cluster, m.Actor), Host: host, Port: port, PeerPort: peer,
			Up: live[i] == '1', Epoch: joins[m.Name],
		}
	}
	var ranges []resp.SlotRange
	for _, s := range v.Ring.Ranges() {
		r := resp.SlotRange{Range: s.Range, Nodes: []int{places[c.n.coordinator.Leader(s.Preference)]}}
		for _, o := range s.Preference.Owners {
			if i := places[o]; live[i] == '1' && i != r.Nodes[0] {
				r.Nodes = append(r.Nodes, i)
			}
		}
		if n := len(ranges); n > 0 && slices.Equal(ranges[n-1].Nodes, r.Nodes) {
			ranges[n-1].Hi = r.Hi
			continue
		}
		ranges = append(ranges, r)
	}
	return resp.NewSlotTable(nodes, places[c.n.cfg.Name], ranges)
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

func hostPort(addr string) (host string, port int) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, 0
	}
	port, _ = strconv.Atoi(p)
	return host, port
}
