package resp

import (
	"fmt"
	"slices"

	"github.com/dynaring/dynaring/ring"
)

// View is how a listener's clients see the node.
type View uint8

const (
	// PlainView: the node is the whole database.
	PlainView View = iota
	// ClusterView: the node is one member of a Redis Cluster. What is not its
	// own is elsewhere, and commands without a key mean the slots that it leads.
	ClusterView
	views = iota
)

// mode is what the node says it is.
func (v View) mode() string {
	if v == ClusterView {
		return "cluster"
	}
	return "standalone"
}

// SlotTable is who leads and who owns every slot, as this node sees it now. It
// never changes.
type SlotTable struct {
	Nodes  []SlotNode // by name
	Self   int        // this node's place in Nodes
	Ranges []SlotRange

	at    [slots]uint16 // places in Ranges
	shown []SlotRange   // as CLUSTER SLOTS has them
}

// SlotNode is a member as Redis Cluster's clients know it.
type SlotNode struct {
	Name     string
	ID       string // 40 hex digits, the same as long as its data directory is
	Host     string // empty: never heard of, and so not up
	Port     int    // of its cluster view
	PeerPort int
	Up       bool
	Epoch    int // its place among the joins
}

// Addr is where the node's cluster view is.
func (n *SlotNode) Addr() string { return fmt.Sprintf("%s:%d", n.Host, n.Port) }

// SlotRange is neighbouring slots with the same nodes: who leads them, which is
// the first owner that can be reached, or stands in for all, and then the other
// owners that can be reached, as places in Nodes.
type SlotRange struct {
	ring.Range
	Nodes []int
}

// NewSlotTable makes a table of ranges that are in order and cover all slots.
func NewSlotTable(nodes []SlotNode, self int, ranges []SlotRange) *SlotTable {
	t := &SlotTable{Nodes: nodes, Self: self, Ranges: ranges}
	for i, r := range ranges {
		for s := int(r.Lo); s <= int(r.Hi); s++ {
			t.at[s] = uint16(i)
		}
	}
	t.shown = t.introduce()
	return t
}

// introduce returns the ranges in an order in which no leader is met as a replica
// before it is met as a leader: redis-py and node-redis keep the role in which
// they met a node, and where they ask all masters would leave it out. Where a
// leader has no range in which it can be met so, one slot of its own comes first,
// without those replicas that are still to be met: with many partitions and N
// owners that can be reached these are N-1 slots of all.
func (t *SlotTable) introduce() (out []SlotRange) {
	leads, met := make([]bool, len(t.Nodes)), make([]bool, len(t.Nodes))
	for _, r := range t.Ranges {
		leads[r.Nodes[0]] = true
	}
	stranger := func(n int) bool { return leads[n] && !met[n] }
	rest := slices.Clone(t.Ranges)
	for node := range t.Nodes {
		best, fewest := -1, 0
		for i, r := range rest {
			if r.Nodes[0] != node {
				continue
			}
			if n := count(r.Nodes[1:], stranger); best < 0 || n < fewest {
				best, fewest = i, n
			}
		}
		if best < 0 {
			continue
		}
		first := rest[best]
		if fewest == 0 || first.Len() == 1 {
			rest = slices.Delete(rest, best, best+1)
		} else {
			rest[best].Lo++
			first.Hi = first.Lo
		}
		first.Nodes = slices.Concat(first.Nodes[:1], slices.DeleteFunc(slices.Clone(first.Nodes[1:]), stranger))
		met[node] = true
		out = append(out, first)
	}
	return append(out, rest...)
}

// count returns how many of nodes are so.
func count(nodes []int, so func(int) bool) (n int) {
	for _, i := range nodes {
		if so(i) {
			n++
		}
	}
	return n
}

// Leader returns who leads a slot.
func (t *SlotTable) Leader(slot uint16) *SlotNode {
	return &t.Nodes[t.Ranges[t.at[slot%slots]].Nodes[0]]
}

// Led returns the slots that a node leads, in as few ranges as can be.
func (t *SlotTable) Led(node int) (out []ring.Range) {
	for _, r := range t.Ranges {
		if r.Nodes[0] == node {
			out = append(out, r.Range)
		}
	}
	return ring.JoinRanges(out)
}

// Followers returns the nodes that own all slots that a node leads.
func (t *SlotTable) Followers(node int) (out []int) {
	slotsOf := make([]int, len(t.Nodes))
	led := 0
	for _, r := range t.Ranges {
		if r.Nodes[0] != node {
			continue
		}
		led += r.Len()
		for _, n := range r.Nodes[1:] {
			slotsOf[n] += r.Len()
		}
	}
	for n, owned := range slotsOf {
		if led > 0 && owned == led {
			out = append(out, n)
		}
	}
	return out
}

// find returns the place of the node with an id; -1: there is none.
func (t *SlotTable) find(id []byte) int {
	for i := range t.Nodes {
		if t.Nodes[i].ID == string(id) {
			return i
		}
	}
	return -1
}

const errCrossSlot = fault("CROSSSLOT Keys in request don't hash to the same slot")

// redirect says why a command on the cluster view is not for this node: its
// keys are of several slots, or of one that this node neither owns nor leads.
func (b *batch) redirect(r *row, args [][]byte) error {
	var slot uint16
	some := false
	for at := range r.keys(len(args)) {
		switch s := ring.Slot(args[at]); {
		case !some:
			slot, some = s, true
		case s != slot:
			return errCrossSlot
		}
	}
	if !some || b.s.opts.Cluster.Owns(slot) {
		return nil
	}
	t := b.s.opts.Cluster.Slots()
	if t == nil {
		return nil // loading, which it will be told
	}
	leader := t.Leader(slot)
	if leader == &t.Nodes[t.Self] {
		return nil
	}
	return fault(fmt.Sprintf("MOVED %d %s", slot, leader.Addr()))
}

// mine returns the slots that commands without a key mean; nil: all.
func (b *batch) mine() []ring.Range {
	if b.ss.view == PlainView {
		return nil
	}
	t := b.s.opts.Cluster.Slots()
	if t == nil {
		return nil
	}
	led := t.Led(t.Self)
	if led == nil {
		led = []ring.Range{}
	}
	return led
}

// scanPage returns a page of the keys that the session sees.
func (b *batch) scanPage(at Position, limit int) (Page, error) {
	mine := b.mine()
	if mine == nil {
		return b.s.opts.Cluster.Scan(b.ctx, at, slots-1, limit)
	}
	for i, r := range mine {
		if r.Hi < at.Slot {
			continue
		}
		if at.Slot < r.Lo {
			at = Position{Slot: r.Lo}
		}
		page, err := b.s.opts.Cluster.Scan(b.ctx, at, r.Hi, limit)
		if page.Done && i+1 < len(mine) {
			page.Done, page.Next = false, Position{Slot: mine[i+1].Lo}
		}
		return page, err
	}
	return Page{Done: true}, nil
}
