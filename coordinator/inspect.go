package coordinator

import (
	"bytes"
	"context"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// Holding is what one node of a key's preference list holds of it.
type Holding struct {
	Node string
	Role ring.Role
	Up   bool          // it can be reached from this node
	Cell *version.Cell // nil: it holds nothing, or did not answer
	Err  error         // why it did not answer; nil for fallbacks, which are not asked
}

// Inspect asks every owner of the key, present and coming, for the cell that
// it holds, and returns the preference list with the answers. It decides and
// repairs nothing. It fails only with ErrLoading.
func (c *Coordinator) Inspect(ctx context.Context, key replica.Key) ([]Holding, error) {
	v := c.views.View()
	if v.Ring == nil {
		return nil, ErrLoading
	}
	p := v.Ring.Lookup(key.Slot)
	var all []Holding
	for _, nodes := range [][]string{p.Owners, p.Coming, p.Fallbacks} {
		for _, n := range nodes {
			all = append(all, Holding{Node: n, Role: p.Role(n), Up: n == c.opts.Self || c.peers.Up(n)})
		}
	}
	asked := all[:len(p.Owners)+len(p.Coming)]
	type answer struct {
		at   int
		body []byte
		err  error
	}
	answers := make(chan answer, len(asked))
	request := replica.AppendRead(nil, []replica.Ask{{Key: key}}, false)
	deadline, calls := c.deadline(ctx, time.Now()), 0
	for i := range asked {
		if asked[i].Node == c.opts.Self {
			asked[i].Cell, asked[i].Err = c.replica.Get(key)
			continue
		}
		calls++
		c.peers.Call(asked[i].Node, peer.Foreground, replica.KindRead, request, deadline, func(r peer.Reply) {
			answers <- answer{i, bytes.Clone(r.Body), r.Err}
		})
	}
	for range calls {
		a := <-answers
		h := &asked[a.at]
		if h.Err = a.err; h.Err != nil {
			continue
		}
		var got []replica.Answer
		if got, h.Err = replica.DecodeAnswers(nil, a.body, 1); h.Err == nil {
			h.Cell = got[0].Cell
		}
	}
	return all, nil
}
