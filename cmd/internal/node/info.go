package node

import (
	"context"
	"fmt"

	"github.com/dynaring/dynaring/resp"
)

// respOptions maps the settings to those of the client protocol.
func (n *Node) respOptions() resp.Options {
	return resp.Options{
		Backend: n.coordinator, Cluster: cluster{n}, Self: n.cfg.Name, Version: n.cfg.Version,
		Password: n.cfg.RequirePass, Unprotected: !n.cfg.ProtectedMode,
		MaxClients: n.cfg.MaxClients, MaxValue: int(n.cfg.MaxValue), MaxKey: int(n.cfg.MaxKey),
		Now: n.deps.Now, Logger: n.log.With("part", "resp"),
	}
}

func (n *Node) serveRESP(ctx context.Context) error {
	return n.resp.Serve(ctx, n.listeners.plain)
}

// Info returns what this node adds to INFO.
func (c cluster) Info() []resp.Section {
	n := c.n
	v := n.gossip.View()
	field := func(name string, value any) resp.Field { return resp.Field{Name: name, Value: fmt.Sprint(value)} }
	stats, p := n.coordinator.Stats(), n.takeover.Progress()
	s := resp.Section{Name: "Dynaring", Fields: []resp.Field{
		field("dynaring_node", n.cfg.Name),
		field("dynaring_actor", n.store.Actor()),
		field("dynaring_durability", n.cfg.Durability),
		field("dynaring_members", len(v.Members)),
		field("dynaring_members_alive", len(v.Alive)),
		field("dynaring_forwarded", stats.Forwarded),
		field("dynaring_read_repairs", stats.RepairsDone),
		field("dynaring_noquorum", stats.NoQuorum),
		field("dynaring_uncertain", stats.Uncertain),
		field("dynaring_takeover_slots", p.Slots-p.Pulled),
		field("dynaring_takeover_cells", p.Cells),
	}}
	if v.Ring != nil {
		cfg := v.Ring.Config()
		s.Fields = append(s.Fields, field("dynaring_cluster", fmt.Sprintf("%016x", cfg.Cluster)),
			field("dynaring_n", cfg.N), field("dynaring_r", n.cfg.R), field("dynaring_w", n.cfg.W))
	}
	return []resp.Section{s}
}
