package resp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/ring"
)

const (
	errSlot       = fault("ERR Invalid slot")
	errSlotNumber = fault("ERR Invalid slot or number of keys")
)

// slotTable returns the table, or fails: there is none yet.
func (b *batch) slotTable() *SlotTable {
	t := b.s.opts.Cluster.Slots()
	if t == nil {
		b.fail(coordinator.ErrLoading)
	}
	return t
}

// clusterSlots answers every range of slots: its bounds, who leads it and who
// else owns it.
func clusterSlots(b *batch, _ [][]byte) {
	t := b.slotTable()
	if t == nil {
		return
	}
	b.array(len(t.shown))
	for _, r := range t.shown {
		b.array(2 + len(r.Nodes))
		b.int(int64(r.Lo))
		b.int(int64(r.Hi))
		for _, i := range r.Nodes {
			n := &t.Nodes[i]
			b.array(4)
			b.str(n.Host)
			b.int(int64(n.Port))
			b.str(n.ID)
			b.mapping(0)
		}
	}
}

// clusterShards answers a shard for every node whose address is known, with the
// slots that it leads. Its replicas are those that own all of them.
func clusterShards(b *batch, _ [][]byte) {
	t := b.slotTable()
	if t == nil {
		return
	}
	var leaders []int
	for i := range t.Nodes {
		if t.Nodes[i].Host != "" {
			leaders = append(leaders, i)
		}
	}
	b.array(len(leaders))
	for _, i := range leaders {
		led, followers := t.Led(i), t.Followers(i)
		b.mapping(2)
		b.str("slots")
		b.array(2 * len(led))
		for _, r := range led {
			b.int(int64(r.Lo))
			b.int(int64(r.Hi))
		}
		b.str("nodes")
		b.array(1 + len(followers))
		b.shardNode(&t.Nodes[i], "master")
		for _, f := range followers {
			b.shardNode(&t.Nodes[f], "replica")
		}
	}
}

func (b *batch) shardNode(n *SlotNode, role string) {
	health := "online"
	if !n.Up {
		health = "fail"
	}
	b.mapping(7)
	b.field("id", n.ID)
	b.number("port", int64(n.Port))
	b.field("ip", n.Host)
	b.field("endpoint", n.Host)
	b.field("role", role)
	b.number("replication-offset", 0)
	b.field("health", health)
}

// clusterNodes answers a line for every member: each is shown as the master of
// the slots that it leads.
func clusterNodes(b *batch, _ [][]byte) {
	t := b.slotTable()
	if t == nil {
		return
	}
	var out strings.Builder
	for i := range t.Nodes {
		out.WriteString(t.line(i, b.s.opts.Now().UnixMilli()))
		out.WriteByte('\n')
	}
	b.text(out.String())
}

// line is a node's line of CLUSTER NODES.
func (t *SlotTable) line(i int, now int64) string {
	n := &t.Nodes[i]
	flags, link, heard := "master", "connected", now
	switch {
	case i == t.Self:
		flags, heard = "myself,master", 0
	case !n.Up:
		flags, link, heard = "master,fail", "disconnected", 0
	}
	if n.Host == "" {
		flags += ",noaddr"
	}
	s := fmt.Sprintf("%s %s@%d %s - 0 %d %d %s", n.ID, n.Addr(), n.PeerPort, flags, heard, n.Epoch, link)
	for _, r := range t.Led(i) {
		s += " " + r.String()
	}
	return s
}

func clusterInfo(b *batch, _ [][]byte) {
	t := b.slotTable()
	if t == nil {
		return
	}
	size, epoch := 0, 0
	for i := range t.Nodes {
		if len(t.Led(i)) > 0 {
			size++
		}
		epoch = max(epoch, t.Nodes[i].Epoch)
	}
	var out strings.Builder
	for _, f := range []Field{
		line("cluster_state", "ok"),
		line("cluster_slots_assigned", slots),
		line("cluster_slots_ok", slots),
		line("cluster_slots_pfail", 0),
		line("cluster_slots_fail", 0),
		line("cluster_known_nodes", len(t.Nodes)),
		line("cluster_size", size),
		line("cluster_current_epoch", epoch),
		line("cluster_my_epoch", t.Nodes[t.Self].Epoch),
		line("cluster_stats_messages_sent", 0),
		line("cluster_stats_messages_received", 0),
		line("total_cluster_links_buffer_limit_exceeded", 0),
	} {
		out.WriteString(f.Name + ":" + f.Value + "\r\n")
	}
	b.text(out.String())
}

func clusterMyID(b *batch, _ [][]byte) {
	if t := b.slotTable(); t != nil {
		b.str(t.Nodes[t.Self].ID)
	}
}

func clusterKeySlot(b *batch, args [][]byte) { b.int(int64(ring.Slot(args[2]))) }

// parseSlot reads a slot.
func parseSlot(arg []byte) (uint16, error) {
	n, err := parseInt(arg)
	switch {
	case err != nil:
		return 0, err
	case n < 0 || n >= slots:
		return 0, errSlot
	}
	return uint16(n), nil
}

func clusterCountKeysInSlot(b *batch, args [][]byte) {
	slot, err := parseSlot(args[2])
	var k Keys
	if err == nil {
		k, err = b.s.opts.Cluster.Count(b.ctx, ring.Range{Lo: slot, Hi: slot})
	}
	if err != nil {
		b.fail(err)
		return
	}
	b.int(k.Live)
}

func clusterGetKeysInSlot(b *batch, args [][]byte) {
	n, err := parseInt(args[2])
	var most int64
	if err == nil {
		most, err = parseInt(args[3])
	}
	if err == nil && (n < 0 || n >= slots || most < 0) {
		err = errSlotNumber
	}
	if err != nil {
		b.fail(err)
		return
	}
	var keys [][]byte
	for at, done := (Position{Slot: uint16(n)}), most == 0; !done && int64(len(keys)) < most; {
		page, err := b.s.opts.Cluster.Scan(b.ctx, at, uint16(n), int(min(most-int64(len(keys)), keysPage)))
		if err != nil {
			b.fail(err)
			return
		}
		for _, k := range page.Keys {
			keys = append(keys, k.Key)
		}
		at, done = page.Next, page.Done
	}
	b.array(len(keys))
	for _, k := range keys {
		b.bulk(k)
	}
}

// clusterLinks answers the links that this node keeps to the others.
func clusterLinks(b *batch, _ [][]byte) {
	t := b.slotTable()
	if t == nil {
		return
	}
	up := slices.DeleteFunc(slices.Clone(t.Nodes), func(n SlotNode) bool {
		return !n.Up || n.Name == t.Nodes[t.Self].Name
	})
	b.array(len(up))
	for i := range up {
		b.mapping(6)
		b.field("direction", "to")
		b.field("node", up[i].ID)
		b.number("create-time", b.s.started.UnixMilli())
		b.field("events", "rw")
		b.number("send-buffer-allocated", 0)
		b.number("send-buffer-used", 0)
	}
}

// knownNode returns the place of the node that an argument names, or fails.
func (b *batch) knownNode(t *SlotTable, id []byte) (at int, ok bool) {
	if at = t.find(id); at < 0 {
		b.error("ERR Unknown node " + quote(id, len(id)))
	}
	return at, at >= 0
}

// clusterFailureReports answers how many members say that a node is down: this
// one, if it does.
func clusterFailureReports(b *batch, args [][]byte) {
	t := b.slotTable()
	if t == nil {
		return
	}
	if at, ok := b.knownNode(t, args[2]); ok {
		b.bool(!t.Nodes[at].Up)
	}
}

// clusterReplicas answers the lines of those who replicate a node: as every
// member leads slots of its own, none does that alone.
func clusterReplicas(b *batch, args [][]byte) {
	t := b.slotTable()
	if t == nil {
		return
	}
	if _, ok := b.knownNode(t, args[2]); ok {
		b.array(0)
	}
}

// clusterFixed answers the subcommands that change a Redis Cluster.
func clusterFixed(b *batch, args [][]byte) {
	b.error("ERR CLUSTER " + strings.ToUpper(quote(args[1], quotedName)) +
		" is not how this cluster is changed: nodes join it with --join, see `dynaring cluster --help`")
}

func clusterHelp(b *batch, _ [][]byte) {
	b.help("CLUSTER",
		"COUNT-FAILURE-REPORTS <node-id>",
		"    Return number of failure reports for <node-id>.",
		"COUNTKEYSINSLOT <slot>",
		"    Return the number of keys in <slot>.",
		"GETKEYSINSLOT <slot> <count>",
		"    Return key names stored by current node in a slot.",
		"INFO",
		"    Return information about the cluster.",
		"KEYSLOT <key>",
		"    Return the hash slot for <key>.",
		"LINKS",
		"    Return information about all network links between this node and its peers.",
		"    Output format is an array where each array element is a map containing attributes of a link",
		"MYID",
		"    Return the node id.",
		"NODES",
		"    Return cluster configuration seen by node. Output format:",
		"    <id> <ip:port@bus-port[,hostname]> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...",
		"REPLICAS <node-id>",
		"    Return <node-id> replicas.",
		"SHARDS",
		"    Return information about slot range mappings and the nodes associated with them.",
		"SLOTS",
		"    Return information about slots range mappings. Each range is made of:",
		"    start, end, master and replicas IP addresses, ports and ids")
}
