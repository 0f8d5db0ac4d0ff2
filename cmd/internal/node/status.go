package node

import (
	"bytes"
	"context"
	"time"

	"github.com/dynaring/dynaring/antientropy"
	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/resp"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
)

// statusTimeout bounds how long a member is waited for that is asked about
// itself.
const statusTimeout = 500 * time.Millisecond

// status is what this node knows of itself.
func (n *Node) status() antientropy.Status {
	b, v := &n.background, n.gossip.View()
	s := antientropy.Status{
		Node: n.cfg.Name, Now: n.deps.Now().UnixMilli(), History: v.History.Digest(), Peers: map[string]bool{},
		Hints: n.replica.HintStats(), Pulled: b.takeover.Progress().Pulled,
		Scrub: b.scrubber.Status(), Damage: n.replica.DamageStats(), Slices: b.pacer.Granted(),
	}
	if v.Ring == nil {
		return s
	}
	for _, m := range v.Ring.Members() {
		if m.Name != n.cfg.Name {
			s.Peers[m.Name] = v.Alive[m.Name] && n.peers.Up(m.Name)
		}
	}
	for _, a := range v.Ring.ComingOf(n.cfg.Name) {
		s.Coming += a.Range.Len()
	}
	b.exchange.Fill(&s)
	s.Strays, s.Collect = b.strays.Count(), b.collect.Status()
	s.Handoff, s.Returned = b.handoff.Status(), b.strays.Status()
	return s
}

// serveStatus tells another node what this one knows of itself, or, where it
// is asked about a key, what it holds of that.
func (n *Node) serveStatus(req *peer.Request) {
	if len(req.Body) > 0 {
		n.serveHolding(req)
		return
	}
	s := n.status()
	req.Reply(s.Encode())
}

// statuses asks all members about themselves at once. Those that do not answer
// in time are left out.
func (n *Node) statuses(ctx context.Context, r *ring.Ring) map[string]antientropy.Status {
	type answer struct {
		name string
		body []byte
		err  error
	}
	found := map[string]antientropy.Status{}
	answers := make(chan answer, len(r.Members()))
	asked := 0
	for _, m := range r.Members() {
		if m.Name == n.cfg.Name {
			found[m.Name] = n.status()
			continue
		}
		asked++
		n.peers.Call(m.Name, peer.Foreground, replica.KindStatus, nil, time.Now().Add(statusTimeout), func(reply peer.Reply) {
			answers <- answer{m.Name, bytes.Clone(reply.Body), reply.Err}
		})
	}
	for ; asked > 0; asked-- {
		select {
		case a := <-answers:
			if a.err != nil {
				continue
			}
			if s, err := antientropy.DecodeStatus(a.body); err == nil {
				found[a.name] = s
			}
		case <-ctx.Done():
			return found
		}
	}
	return found
}

// Settled returns why the cluster is not at rest, none if it is.
func (c cluster) Settled(ctx context.Context) ([]string, error) {
	v := c.n.gossip.View()
	if v.Ring == nil {
		return nil, coordinator.ErrLoading
	}
	var members []string
	for _, m := range v.Ring.Members() {
		members = append(members, m.Name)
	}
	return antientropy.Unsettled(members, c.n.statuses(ctx, v.Ring)), nil
}

// addStates fills in what members say of themselves and of each other.
func (c cluster) addStates(ctx context.Context, v *gossip.View, members []resp.Member) {
	found := c.n.statuses(ctx, v.Ring)
	partners := coOwners(v.Ring)
	for i := range members {
		m := &members[i]
		if s, ok := found[m.Name]; ok {
			m.State = memberState(&s, partners[m.Name])
		}
		for _, other := range members {
			if s, ok := found[other.Name]; ok && other.Name != m.Name {
				m.SeenBy = append(m.SeenBy, resp.Sight{Node: other.Name, Up: s.Peers[m.Name]})
			}
		}
	}
}

// coOwners returns for each member those that it shares slots with.
func coOwners(r *ring.Ring) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, s := range r.Ranges() {
		for _, a := range s.Preference.Owners {
			if out[a] == nil {
				out[a] = map[string]bool{}
			}
			for _, b := range s.Preference.Owners {
				if a != b {
					out[a][b] = true
				}
			}
		}
	}
	return out
}

func memberState(s *antientropy.Status, partners map[string]bool) *resp.MemberState {
	out := &resp.MemberState{
		Strays: s.Strays, Unstepped: s.Unstepped, Lag: s.Lag.Milliseconds(),
		Collected: s.Collect.Collected, HeldUp: s.Collect.HeldUp,
	}
	for _, h := range s.Hints {
		if h.Cells == 0 {
			continue
		}
		out.Hints = append(out.Hints, resp.HintsFor{
			Owner: h.Owner, Cells: h.Cells, Bytes: h.Bytes, Age: s.HintAge(h.Oldest).Milliseconds(),
			Rate: s.Handoff.Owners[h.Owner].Rate,
		})
	}
	for name := range partners {
		at, ok := s.LastFull[name]
		if !ok {
			out.LastFull = 0
			break
		}
		if ms := at.UnixMilli(); out.LastFull == 0 || ms < out.LastFull {
			out.LastFull = ms
		}
	}
	return out
}
