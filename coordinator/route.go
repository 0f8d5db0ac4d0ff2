package coordinator

import (
	"slices"
	"sync"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
)

// Who is asked first changes slowly, so that noise does not scatter one key's
// writes over several actors.
const (
	reviewEvery = 50 * time.Millisecond // between two looks at how fast they are
	settleFor   = time.Second           // how long another has to be faster
	clearlyBy   = 2                     // how many times faster
)

// Route returns the node that should run a command on a key of the slot; ""
// is this node. Reads and blind writes stay here if this node is a present
// owner, and go to the owner that has been answering fastest if not. A
// read-modify-write goes to the first present owner that can be reached. Where
// none can be, the first member that can be stands in for them: fallbacks in
// their order, then nodes that are coming. It fails with *NoQuorumError where
// there is nobody, and with ErrLoading.
func (c *Coordinator) Route(slot uint16, class Class) (node string, err error) {
	node, _, err = c.route(slot, class, nil)
	return node, err
}

// route is Route among the nodes that are not in tried, and says whether the
// node stands in.
func (c *Coordinator) route(slot uint16, class Class, tried []string) (node string, standIn bool, err error) {
	v := c.views.View()
	if v.Ring == nil {
		return "", false, ErrLoading
	}
	if class != Reading && c.replica.DamagedIn(slot) {
		tried = append(tried[:len(tried):len(tried)], "") // another owner mints, if there is one
		if node, standIn, err = c.choose(&v, v.Ring.Lookup(slot), class, tried); err == nil {
			return node, standIn, nil
		}
		tried = tried[:len(tried)-1]
	}
	node, standIn, err = c.choose(&v, v.Ring.Lookup(slot), class, tried)
	if err != nil {
		c.counters.noQuorum.Add(1)
	}
	return node, standIn, err
}

func (c *Coordinator) choose(v *View, p *ring.Preference, class Class, tried []string) (node string, standIn bool, err error) {
	owners := p.Owners
	if class != RMW {
		if slices.Contains(owners, c.opts.Self) && c.standing(v, c.opts.Self, tried) > Passed {
			return "", false, nil
		}
		owners = c.others(v.Ring, p)
	}
	node, standIn, ok := lead(p, owners, func(n string) Standing { return c.standing(v, n, tried) })
	if !ok {
		return "", false, &NoQuorumError{Op: "route", Need: 1}
	}
	return c.asked(node), standIn, nil
}

// standsIn reports whether this node, which is no present owner, may carry out
// a write: told is that another node, which passed it on, says so.
func (c *Coordinator) standsIn(v *View, p *ring.Preference, told bool) bool {
	if p.Role(c.opts.Self) == ring.None {
		return false
	}
	if told {
		return true
	}
	return !c.ownerReachable(v, p)
}

// alive reports whether the gossip believes the node to be alive.
func (v *View) alive(node string) bool {
	if v.Alive == nil {
		return true
	}
	return v.Alive[node]
}

// reachable appends to dst those of nodes that can be called, the ones that
// the gossip believes to be dead, or that are passed over, last. One place in a
// tally is left for self.
func (c *Coordinator) reachable(dst []string, v *View, nodes []string) []string {
	last := 0
	for _, n := range nodes {
		if !c.peers.Up(n) || len(dst) == maxOwners-1 {
			continue
		}
		if v.alive(n) && !c.health.passed(n) {
			dst = slices.Insert(dst, len(dst)-last, n)
			continue
		}
		dst = append(dst, n)
		last++
	}
	return dst
}

// chooser keeps, for each set of owners, the order in which this node asks
// the others.
type chooser struct {
	mu   sync.Mutex
	ring *ring.Ring // whose Sets these are
	sets map[int]*ranking
}

// others returns the present owners of p but this node, the one to ask first
// first. The slice is not to be changed.
func (c *Coordinator) others(r *ring.Ring, p *ring.Preference) []string {
	now, h := time.Now(), &c.chooser
	h.mu.Lock()
	if h.ring != r {
		h.ring, h.sets = r, make(map[int]*ranking)
	}
	k := h.sets[p.Set]
	if k == nil {
		k = newRanking(p.Owners, c.opts.Self)
		h.sets[p.Set] = k
	}
	due := len(k.order) > 1 && now.Sub(k.reviewed) >= reviewEvery
	if due {
		k.reviewed = now
	}
	order := k.order
	h.mu.Unlock()
	if !due {
		return order
	}
	kind := replica.KindExec // what this node asks of them, if it is no owner
	if slices.Contains(p.Owners, c.opts.Self) {
		kind = replica.KindRead
	}
	usual := make([]time.Duration, len(order))
	for i, n := range order {
		usual[i] = c.late.mean(n, kind)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	k.review(order, usual, now)
	return k.order
}

// ranking is the order of one set's owners. order is replaced, never changed.
type ranking struct {
	order    []string
	since    []time.Time // since when order[i+1] has been clearly faster than order[i]
	reviewed time.Time
}

// newRanking starts with the order of the list, from self's place on, so that
// the nodes of a cluster begin by asking different ones.
func newRanking(owners []string, self string) *ranking {
	at := slices.Index(owners, self) + 1
	k := &ranking{order: make([]string, 0, len(owners))}
	for i := range owners {
		if o := owners[(at+i)%len(owners)]; o != self {
			k.order = append(k.order, o)
		}
	}
	k.since = make([]time.Time, len(k.order))
	return k
}

// review lets a neighbour pass that has been clearly faster for a while. usual
// is how long each of order usually takes, 0 where unknown.
func (k *ranking) review(order []string, usual []time.Duration, now time.Time) {
	if !slices.Equal(order, k.order) {
		return // another review has come in between
	}
	for i := range len(order) - 1 {
		switch a, b := usual[i], usual[i+1]; {
		case a == 0 || b == 0 || b*clearlyBy >= a:
			k.since[i] = time.Time{}
		case k.since[i].IsZero():
			k.since[i] = now
		case now.Sub(k.since[i]) >= settleFor:
			k.order = slices.Clone(order)
			k.order[i], k.order[i+1] = order[i+1], order[i]
			clear(k.since)
			return
		}
	}
}
