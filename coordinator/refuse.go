package coordinator

import (
	"slices"
	"sync/atomic"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
)

// Refuse fails a request for cells of slots that this node is no present owner
// of, and reports whether it did; all others are the replica's to answer. A
// node that knows an older ring may ask one that has lost its data since, or
// has not received it yet, and would take "absent" for an answer. Reads without
// values are let through: nobody's quorum counts them, and they show what a
// coming owner holds. So are those that ask a stand-in: that it holds nothing
// is no answer to them. It never blocks.
func (c *Coordinator) Refuse(req *peer.Request) bool {
	switch req.Kind {
	case replica.KindRead, replica.KindScan, replica.KindCount:
		return c.refuse(req.Kind, req.Body, req)
	}
	return false
}

func (c *Coordinator) refuse(kind uint8, body []byte, from answerer) bool {
	r := c.views.View().Ring
	if r == nil {
		from.Fail(CodeLoading, ErrLoading.Error())
		return true
	}
	if c.allMine.of(r, c.opts.Self) || c.answersFor(r, kind, body) {
		return false
	}
	from.Fail(CodeNotOwner, "this node is not a present owner of all the slots it was asked about")
	return true
}

// answersFor reports whether this node is a present owner of all slots that a
// request is about. One that cannot be read is left to the replica.
func (c *Coordinator) answersFor(r *ring.Ring, kind uint8, body []byte) bool {
	switch kind {
	case replica.KindRead:
		asks, stripped, err := replica.DecodeRead(body)
		return err != nil || stripped || replica.StandsIn(body) || !slices.ContainsFunc(asks, func(a replica.Ask) bool {
			return !slices.Contains(r.Lookup(a.Key.Slot).Owners, c.opts.Self)
		})
	case replica.KindScan:
		s, err := replica.DecodeScan(body)
		return err != nil || s.Of != replica.ScanOwned || ownsAll(r, c.opts.Self, s.First, s.Last)
	default:
		n, err := replica.DecodeCount(body)
		return err != nil || !slices.ContainsFunc(n.Ranges, func(s replica.SlotRange) bool {
			return !ownsAll(r, c.opts.Self, s.First, s.Last)
		})
	}
}

// ownsAll reports whether a node is a present owner of all slots of a range.
func ownsAll(r *ring.Ring, node string, first, last uint16) bool {
	var owned *ring.Preference
	for slot := int(first); slot <= int(last); slot++ {
		p := r.Lookup(uint16(slot))
		if p == owned {
			continue
		}
		if !slices.Contains(p.Owners, node) {
			return false
		}
		owned = p
	}
	return true
}

// everything remembers whether a node is a present owner of every slot of the
// latest ring: in a cluster of N nodes that settles all requests at once.
type everything struct{ known atomic.Pointer[ownership] }

type ownership struct {
	ring *ring.Ring
	all  bool
}

func (e *everything) of(r *ring.Ring, node string) bool {
	k := e.known.Load()
	if k == nil || k.ring != r {
		k = &ownership{r, ownsAll(r, node, 0, ring.Slots-1)}
		e.known.Store(k)
	}
	return k.all
}
