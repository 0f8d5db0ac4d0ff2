package resp

import (
	"strconv"

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
		b.mapping(7)
		b.field("name", r.Name)
		b.field("role", r.Role)
		b.field("state", state(r.Up))
		b.held(r)
	}
}

// held appends what a replica holds, nulls if it did not say.
func (b *batch) held(r KeyReplica) {
	b.clocks("clocks", r.Clocks, r.Asked)
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
	b.clocks("hinted-clocks", r.Hinted, r.Asked)
}

func (b *batch) clocks(name string, clocks []string, known bool) {
	b.str(name)
	if !known {
		b.nullArray()
		return
	}
	b.array(len(clocks))
	for _, c := range clocks {
		b.str(c)
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
	b.mapping(24)
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
	b.memberState(m.State)
	b.str("seen-by")
	b.array(len(m.SeenBy))
	for _, s := range m.SeenBy {
		b.array(2)
		b.str(s.Node)
		b.str(state(s.Up))
	}
	b.hintsFor(m.State)
}

// memberState appends what a member says of itself: -1, and null, if it did
// not answer.
func (b *batch) memberState(s *MemberState) {
	if s == nil {
		for _, name := range []string{"hints", "hint-bytes", "oldest-hint", "strays", "unstepped", "lag", "last-full", "collected"} {
			b.number(name, -1)
		}
		b.str("held-up")
		b.null()
		return
	}
	var cells, bytes, oldest int64
	for _, h := range s.Hints {
		cells, bytes, oldest = cells+h.Cells, bytes+h.Bytes, max(oldest, h.Age)
	}
	b.number("hints", cells)
	b.number("hint-bytes", bytes)
	b.number("oldest-hint", oldest)
	b.number("strays", int64(s.Strays))
	b.number("unstepped", int64(s.Unstepped))
	b.number("lag", s.Lag)
	b.number("last-full", s.LastFull)
	b.number("collected", int64(s.Collected))
	b.field("held-up", s.HeldUp)
}

// hintsFor appends what a member keeps, by owner.
func (b *batch) hintsFor(s *MemberState) {
	b.str("hints-for")
	if s == nil {
		b.nullArray()
		return
	}
	b.array(len(s.Hints))
	for _, h := range s.Hints {
		b.mapping(5)
		b.field("owner", h.Owner)
		b.number("cells", h.Cells)
		b.number("bytes", h.Bytes)
		b.number("age", h.Age)
		b.field("rate", strconv.FormatFloat(h.Rate, 'f', 1, 64))
	}
}

// dclusterSettled answers 1, or 0 and why not.
func dclusterSettled(b *batch, _ [][]byte) {
	reasons, err := b.s.opts.Cluster.Settled(b.ctx)
	if err != nil {
		b.fail(err)
		return
	}
	b.array(1 + len(reasons))
	if len(reasons) > 0 {
		b.int(0)
	} else {
		b.int(1)
	}
	for _, r := range reasons {
		b.str(r)
	}
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
		"SETTLED",
		"    Return 1 if all members say that all owners of every key hold the same,",
		"    or 0 and the reasons why not.",
		"STATUS",
		"    Return the cluster's settings and its members, as this node sees them,",
		"    with what each of them says of itself.")
}
