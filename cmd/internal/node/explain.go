package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/resp"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	// explainTimeout bounds how long DEXPLAIN waits for one replica's truth.
	explainTimeout = time.Second
	// maxExplains bounds how many of other nodes' DEXPLAINs wait.
	maxExplains = 64
)

// holding is what a node holds of a key, as it tells another: the encodings of
// its own cell and of that merged with the hints it keeps, without values, and
// for how many owners it keeps some.
type holding struct {
	Own, Held []byte
	Hints     int
}

// holds returns what this node's replica holds of a key.
func (n *Node) holds(key replica.Key) (holding, error) {
	own, err := n.replica.Get(key)
	if err != nil {
		return holding{}, err
	}
	held, err := n.replica.Held(key)
	if err != nil {
		return holding{}, err
	}
	return holding{Own: own.Stripped().Bytes(), Held: held.Stripped().Bytes(), Hints: n.replica.PendingHints(key)}, nil
}

// explainJob is another node's question about a key.
type explainJob struct {
	req *peer.Request
	key replica.Key
}

// serveHolding takes another node's question about a key. It runs on the
// connection's reader, which the disk must not hold up: answerHoldings answers.
func (n *Node) serveHolding(req *peer.Request) {
	asks, _, err := replica.DecodeRead(slices.Clone(req.Body))
	if err != nil || len(asks) != 1 {
		req.Fail(replica.CodeMalformed, "not a question about one key")
		return
	}
	select {
	case n.explains <- explainJob{req, asks[0].Key}:
	default:
		req.Fail(replica.CodeOverloaded, "too many are asked of this node already")
	}
}

// answerHoldings tells other nodes what this one holds of keys, until ctx ends.
func (n *Node) answerHoldings(ctx context.Context) error {
	for {
		select {
		case j := <-n.explains:
			n.answerHolding(j)
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *Node) answerHolding(j explainJob) {
	h, err := n.holds(j.key)
	if err != nil {
		j.req.Fail(replica.CodeFailed, err.Error())
		return
	}
	b, err := json.Marshal(h)
	if err != nil {
		j.req.Fail(replica.CodeFailed, err.Error())
		return
	}
	j.req.Reply(b)
}

// Explain tells where a key lives and what each of its replicas holds.
func (c cluster) Explain(ctx context.Context, key replica.Key) (resp.Explanation, error) {
	v := c.n.gossip.View()
	if v.Ring == nil {
		return resp.Explanation{}, coordinator.ErrLoading
	}
	p := v.Ring.Lookup(key.Slot)
	x := resp.Explanation{Slot: int(key.Slot), Partition: v.Ring.Partition(key.Slot)}
	for _, name := range slices.Concat(p.Owners, p.Coming, p.Fallbacks) {
		x.Replicas = append(x.Replicas, resp.KeyReplica{
			Name: name, Role: p.Role(name).String(), Up: c.up(v, name),
		})
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	answers := make(chan func(), len(x.Replicas))
	for i := range x.Replicas {
		r := &x.Replicas[i]
		c.ask(key, r, func(h holding, err error) {
			answers <- func() { c.explain(r, h, err) }
		})
	}
	for range x.Replicas {
		select {
		case fill := <-answers:
			fill()
		case <-ctx.Done():
			return x, nil
		}
	}
	return x, nil
}

// ask finds out what a replica holds of a key.
func (c cluster) ask(key replica.Key, r *resp.KeyReplica, done func(holding, error)) {
	switch {
	case r.Name == c.n.cfg.Name:
		done(c.n.holds(key))
		return
	case !r.Up:
		done(holding{}, peer.ErrUnreachable)
		return
	}
	body := replica.AppendRead(nil, []replica.Ask{{Key: key}}, true)
	c.n.peers.Call(r.Name, peer.Foreground, replica.KindStatus, body, time.Now().Add(explainTimeout), func(reply peer.Reply) {
		var h holding
		err := reply.Err
		if err == nil {
			if err = json.Unmarshal(reply.Body, &h); err != nil {
				err = fmt.Errorf("%s: %w", r.Name, err)
			}
		}
		done(h, err)
	})
}

// explain fills in what a replica holds.
func (c cluster) explain(r *resp.KeyReplica, h holding, err error) {
	if err != nil {
		return
	}
	own, err := version.DecodeCell(h.Own)
	if err != nil {
		return
	}
	held, err := version.DecodeCell(h.Held)
	if err != nil {
		return
	}
	r.Asked, r.Hints = true, h.Hints
	if own != nil {
		r.Digest = fmt.Sprintf("%016x", own.Digest())
		r.Clocks = c.clocks(own.Versions)
	}
	if held != nil {
		r.Hinted = c.clocks(slices.DeleteFunc(slices.Clone(held.Versions), func(v version.Version) bool {
			return own != nil && slices.ContainsFunc(own.Versions, func(o version.Version) bool { return o.Dot == v.Dot })
		}))
	}
}

// clocks prints the clocks of versions.
func (c cluster) clocks(versions []version.Version) (out []string) {
	for i := range versions {
		out = append(out, version.FormatClock(versions[i].Clock(), c.ActorName))
	}
	return out
}
