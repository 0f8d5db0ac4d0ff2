package resp

import (
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
)

// state is how members and replicas are shown.
func state(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// field appends a field of a map.
func (r *reply) field(name, value string) {
	r.str(name)
	r.str(value)
}

func (r *reply) number(name string, value int64) {
	r.str(name)
	r.int(value)
}

// dexplain shows where a key lives, and what each of its replicas holds.
func dexplain(b *batch, args [][]byte) {
	key := args[1]
	x, err := b.s.opts.Cluster.Explain(b.ctx, replica.Key{Slot: ring.Slot(key), Key: key})
	if err != nil {
		b.fail(err)
		return
	}
	b.mapping(3)
	b.number("slot", int64(x.Slot))
	b.number("partition", int64(x.Partition))
	b.str("replicas")
	b.array(len(x.Replicas))
	for _, r := range x.Replicas {
		b.mapping(6)
		b.field("name", r.Name)
		b.field("role", r.Role)
		b.field("state", state(r.Up))
		b.held(r)
	}
}

// held appends what a replica holds, nulls if it did not say.
func (b *batch) held(r KeyReplica) {
	b.str("clocks")
	if r.Asked {
		b.array(len(r.Clocks))
		for _, c := range r.Clocks {
			b.str(c)
		}
	} else {
		b.nullArray()
	}
	b.str("digest")
	if r.Asked && r.Digest != "" {
		b.str(r.Digest)
	} else {
		b.null()
	}
	b.str("hints")
	if r.Asked {
		b.int(int64(r.Hints))
	} else {
		b.null()
	}
}

// dclusterStatus shows the members as this node sees them.
func dclusterStatus(b *batch, _ [][]byte) {
	st, err := b.s.opts.Cluster.Status(b.ctx)
	if err != nil {
		b.fail(err)
		return
	}
	b.mapping(8)
	b.field("cluster", st.Cluster)
	b.field("self", st.Self)
	b.number("n", int64(st.N))
	b.number("r", int64(st.R))
	b.number("w", int64(st.W))
	b.field("placement", st.Placement)
	b.number("partitions", int64(st.Partitions))
	b.str("members")
	b.array(len(st.Members))
	for i := range st.Members {
		b.member(&st.Members[i])
	}
}

func (b *batch) member(m *Member) {
	b.mapping(13)
	b.field("name", m.Name)
	b.field("state", state(m.Up))
	b.field("actor", m.Actor)
	b.field("zone", m.Zone)
	b.number("weight", int64(m.Weight))
	b.number("slots", int64(m.Owned))
	b.number("coming", int64(m.Coming))
	b.field("addr", m.Addr)
	b.field("cluster-addr", m.ClusterAddr)
	b.field("peer-addr", m.PeerAddr)
	b.field("gossip-addr", m.GossipAddr)
	b.field("http-addr", m.HTTPAddr)
	b.field("version", m.Version)
}

// dclusterHistory shows the events that made the ring, the oldest first.
func dclusterHistory(b *batch, _ [][]byte) {
	events, err := b.s.opts.Cluster.History(b.ctx)
	if err != nil {
		b.fail(err)
		return
	}
	b.array(len(events))
	for _, e := range events {
		b.mapping(5)
		b.field("id", e.ID)
		b.number("time", e.Millis)
		b.field("kind", e.Kind)
		b.field("name", e.Name)
		b.field("detail", e.Detail)
	}
}

func dclusterHelp(b *batch, _ [][]byte) {
	b.help("DCLUSTER",
		"HISTORY",
		"    Return the events that made the ring, the oldest first.",
		"STATUS",
		"    Return the cluster's settings and its members, as this node sees them.")
}
