package node

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dynaring/dynaring/antientropy"
	"github.com/dynaring/dynaring/resp"
)

// respOptions maps the settings to those of the client protocol.
func (n *Node) respOptions() resp.Options {
	return resp.Options{
		Backend: n.coordinator, Cluster: cluster{n}, Self: n.cfg.Name, Version: n.cfg.Version,
		Password: n.cfg.RequirePass, Unprotected: !n.cfg.ProtectedMode,
		MaxClients: n.cfg.MaxClients, MaxValue: int(n.cfg.MaxValue), MaxKey: int(n.cfg.MaxKey),
		Fixed: n.fixedParameters(), Parameters: n.cfg.RedisConfig, Process: n.process(),
		Now: n.deps.Now, Logger: n.log.With("part", "resp"),
	}
}

// serveRESP serves clients on both ports, each with its view. Clients that
// connect earlier wait in the listeners.
func (n *Node) serveRESP(ctx context.Context) error {
	if copied, err := n.store.GetMeta(forgetKey); err != nil {
		return err
	} else if len(copied) > 0 && !n.fit(ctx) {
		return nil
	}
	var others []string
	if v := n.gossip.View(); v.Ring != nil {
		for name := range v.Members {
			if name != n.cfg.Name {
				others = append(others, name)
			}
		}
	}
	meet(ctx, others, n.peers.Up, n.cfg.Timeout)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.resp.Serve(ctx, n.listeners.plain, resp.PlainView) })
	g.Go(func() error { return n.resp.Serve(ctx, n.listeners.cluster, resp.ClusterView) })
	return g.Wait()
}

// meetEvery is how often a starting node looks whether it has met the others.
const meetEvery = 5 * time.Millisecond

// meet waits until all members are up, at most for as long as one request may
// take: a node that has just come back would else answer that there is no
// quorum, where there is one.
func meet(ctx context.Context, members []string, up func(name string) bool, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(meetEvery)
	defer tick.Stop()
	for slices.ContainsFunc(members, func(m string) bool { return !up(m) }) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Info returns what this node adds to INFO.
func (c cluster) Info() []resp.Section {
	n := c.n
	v := n.gossip.View()
	field := func(name string, value any) resp.Field { return resp.Field{Name: name, Value: fmt.Sprint(value)} }
	stats, p := n.coordinator.Stats(), n.background.takeover.Progress()
	st := n.status()
	cells, mortal := n.replica.Cells()
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
		field("dynaring_hints_sent", stats.HintsSent),
		field("dynaring_stand_ins", stats.StandIns),
		field("dynaring_passed_over", stats.PassedOver),
		field("dynaring_takeover_slots", p.Slots-p.Pulled),
		field("dynaring_takeover_cells", p.Cells),
		field("dynaring_cells", cells),
		field("dynaring_mortal_cells", mortal),
		field("dynaring_disk_bytes", n.store.Metrics().DiskBytes),
	}}
	if v.Ring != nil {
		cfg := v.Ring.Config()
		s.Fields = append(s.Fields, field("dynaring_cluster", fmt.Sprintf("%016x", cfg.Cluster)),
			field("dynaring_n", cfg.N), field("dynaring_r", n.cfg.R), field("dynaring_w", n.cfg.W))
	}
	s.Fields = append(s.Fields, settling(&st)...)
	return []resp.Section{s}
}

// settling returns what INFO says of the work that brings owners into step.
func settling(s *antientropy.Status) []resp.Field {
	field := func(name string, value any) resp.Field {
		return resp.Field{Name: "dynaring_" + name, Value: fmt.Sprint(value)}
	}
	var cells, bytes, oldest int64
	var full []string
	for _, h := range s.Hints {
		cells, bytes, oldest = cells+h.Cells, bytes+h.Bytes, max(oldest, s.HintAge(h.Oldest).Milliseconds())
		if h.Full {
			full = append(full, h.Owner)
		}
	}
	out := []resp.Field{
		field("hints", cells),
		field("hint_bytes", bytes),
		field("oldest_hint_ms", oldest),
		field("hints_full_for", strings.Join(full, ",")),
		field("handoff_delivered", s.Handoff.Cells),
		field("handoff_delivered_bytes", s.Handoff.Bytes),
		field("handoff_last_error", lastError(s)),
		field("strays", s.Strays),
		field("strays_returned", s.Returned.Cells),
		field("unstepped", s.Unstepped),
		field("lag_ms", s.Lag.Milliseconds()),
		field("collected", s.Collect.Collected),
		field("collection_waiting", s.Collect.Waiting),
		field("collection_held_up", s.Collect.HeldUp),
		field("exchange_sent", s.Exchange.Sent),
		field("exchange_received", s.Exchange.Received),
		field("scrub_slots", s.Scrub.Slots),
		field("scrub_hashes_wrong", s.Scrub.LeavesWrong),
		field("scrub_rows_damaged", s.Scrub.RowsDamaged),
		field("damaged_found", s.Damage.Found),
		field("damaged_mended", s.Damage.Mended),
		field("damaged_hints", s.Damage.Hints),
		field("damaged_now", s.Damage.Now),
		field("damaged_lost", s.Damage.Lost),
		field("background_share", strconv.FormatFloat(s.Slices, 'f', 2, 64)),
	}
	for _, h := range s.Hints {
		if h.Cells > 0 {
			out = append(out, field("hints_for_"+h.Owner, fmt.Sprintf("cells=%d,bytes=%d,age_ms=%d,rate=%.1f",
				h.Cells, h.Bytes, s.HintAge(h.Oldest).Milliseconds(), s.Handoff.Owners[h.Owner].Rate)))
		}
	}
	return out
}

// lastError returns why hints that are kept still could not be handed over the
// last time that it was tried; "" if nothing is kept, or it was not tried.
func lastError(s *antientropy.Status) string {
	var last antientropy.HandedOver
	name := ""
	for _, h := range s.Hints {
		if o := s.Handoff.Owners[h.Owner]; h.Cells > 0 && o.LastErrorAt.After(last.LastErrorAt) {
			last, name = o, h.Owner
		}
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf("for %s, %s: %s", name, last.LastErrorAt.UTC().Format(time.RFC3339), last.LastError)
}
