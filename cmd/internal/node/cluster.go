package node

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/resp"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
	"github.com/dynaring/dynaring/storage/version"
)

// cluster answers what clients ask about the cluster as a whole: it puts
// together what the layers know.
type cluster struct{ n *Node }

// Local returns the cell as this node's replica holds it.
func (c cluster) Local(key replica.Key) (*version.Cell, error) { return c.n.replica.Held(key) }

// Quorum returns the cluster's N and this node's R and W.
func (c cluster) Quorum() (n, r, w int) {
	n = c.n.cfg.N
	if v := c.n.gossip.View(); v.Ring != nil {
		n = v.Ring.Config().N
	}
	return n, c.n.cfg.R, c.n.cfg.W
}

// actorNames maps data directories to members, as of one history.
type actorNames struct {
	history *ring.History
	byID    map[uint64]string
}

// ActorName prints an actor by the node that minted under it: "n1", "n1/2".
func (c cluster) ActorName(a version.Actor) string {
	h := c.n.gossip.View().History
	names, _ := c.n.names.Load().(actorNames)
	if names.history != h {
		names = actorNames{history: h, byID: map[uint64]string{}}
		for _, e := range events(h) {
			if e.Kind == ring.Join {
				names.byID[e.Actor] = e.Name
			}
		}
		c.n.names.Store(names)
	}
	name, ok := names.byID[a.ID]
	if !ok {
		return a.String()
	}
	if a.Inc > 0 {
		name += "/" + strconv.FormatUint(uint64(a.Inc), 10)
	}
	return name
}

func events(h *ring.History) []ring.Event {
	if h == nil {
		return nil
	}
	return h.Events()
}

// Status returns the members as this node sees them.
func (c cluster) Status(ctx context.Context) (resp.Status, error) {
	v := c.n.gossip.View()
	if v.Ring == nil {
		return resp.Status{}, coordinator.ErrLoading
	}
	cfg := v.Ring.Config()
	st := resp.Status{
		Cluster: fmt.Sprintf("%016x", cfg.Cluster), Self: c.n.cfg.Name,
		N: cfg.N, R: c.n.cfg.R, W: c.n.cfg.W, Placement: cfg.Placement, Partitions: cfg.Partitions,
	}
	owned, coming := slotCounts(v.Ring)
	for _, m := range v.Ring.Members() {
		meta := v.Members[m.Name]
		st.Members = append(st.Members, resp.Member{
			Name: m.Name, Actor: fmt.Sprintf("%016x", m.Actor), Zone: m.Zone, Weight: m.Weight,
			Up:   c.up(v, m.Name),
			Addr: meta.Addr, ClusterAddr: meta.ClusterAddr, PeerAddr: meta.PeerAddr,
			GossipAddr: meta.GossipAddr, HTTPAddr: meta.HTTPAddr,
			Owned: owned[m.Name], Coming: coming[m.Name], Version: meta.Version,
		})
	}
	c.addStates(ctx, v, st.Members)
	return st, nil
}

// up reports whether this node can use another one now.
func (c cluster) up(v *gossip.View, name string) bool {
	return name == c.n.cfg.Name || v.Alive[name] && c.n.peers.Up(name)
}

func slotCounts(r *ring.Ring) (owned, coming map[string]int) {
	owned, coming = map[string]int{}, map[string]int{}
	for _, s := range r.Ranges() {
		for _, name := range s.Preference.Owners {
			owned[name] += s.Range.Len()
		}
		for _, name := range s.Preference.Coming {
			coming[name] += s.Range.Len()
		}
	}
	return owned, coming
}

// History returns the cluster's events, the oldest first.
func (c cluster) History(context.Context) ([]resp.Event, error) {
	v := c.n.gossip.View()
	if v.History == nil {
		return nil, coordinator.ErrLoading
	}
	var out []resp.Event
	for _, e := range v.History.Events() {
		out = append(out, resp.Event{
			ID: e.ID.String(), Millis: e.Time.Millis(), Kind: e.Kind.String(), Name: e.Name, Detail: eventDetail(&e),
		})
	}
	return out, nil
}

func eventDetail(e *ring.Event) string {
	switch e.Kind {
	case ring.Found:
		return fmt.Sprintf("cluster=%016x n=%d placement=%s partitions=%d",
			e.Config.Cluster, e.Config.N, e.Config.Placement, e.Config.Partitions)
	case ring.Join:
		d := fmt.Sprintf("actor=%016x weight=%d", e.Actor, e.Weight)
		if e.Zone != "" {
			d += " zone=" + e.Zone
		}
		return d
	case ring.Ready:
		slots := make([]string, len(e.Slots))
		for i, r := range e.Slots {
			slots[i] = r.String()
		}
		return "slots=" + strings.Join(slots, ",")
	}
	return ""
}

// Count returns how many keys are alive in ranges of slots, or all, and how long
// they live.
func (c cluster) Count(ctx context.Context, in ...ring.Range) (resp.Keys, error) {
	k, err := c.n.coordinator.Count(ctx, in...)
	return resp.Keys{Live: int64(k.Live), Expiring: int64(k.Expiring), MeanTTL: int64(k.TTL / max(k.Expiring, 1))}, err
}

// Expired returns how many expired keys were collected on this node's
// initiative: each once in the cluster.
func (c cluster) Expired() int64 { return int64(c.n.background.collect.Status().Expired) }

// Members returns how many nodes are members.
func (c cluster) Members() int {
	if v := c.n.gossip.View(); v.Ring != nil {
		return len(v.Ring.Members())
	}
	return 1
}

// Scan returns a page of the cluster's live keys.
func (c cluster) Scan(ctx context.Context, from resp.Position, last uint16, limit int) (resp.Page, error) {
	page, err := c.n.coordinator.ScanPage(ctx, coordinator.Position(from), last, limit)
	if err != nil {
		return resp.Page{}, err
	}
	out := resp.Page{Next: resp.Position(page.Next), Done: page.Done}
	for _, k := range page.Keys {
		out.Keys = append(out.Keys, resp.ScannedKey{Key: k.Key, Type: "string"})
	}
	return out, nil
}

// Seek finds a place in a slot.
func (c cluster) Seek(ctx context.Context, slot uint16, is func([]byte) bool) ([]byte, error) {
	return c.n.coordinator.Seek(ctx, slot, is)
}

// Sweep shows every cell of ranges of slots, or all, that may be alive.
func (c cluster) Sweep(ctx context.Context, in []ring.Range, handle func([]replica.KeyedCell) error) error {
	return c.n.coordinator.Sweep(ctx, in, handle)
}
