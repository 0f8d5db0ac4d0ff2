package gossip

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/dynaring/dynaring/ring"
)

// persistAgain is how long the keeper waits after the store failed.
const persistAgain = time.Second

// keeper owns what this node knows about its cluster. Only the goroutine in
// run touches it, once that has begun.
type keeper struct {
	g        *Gossip
	delegate *delegate // nil before Run

	history *ring.History // nil until joined
	ring    *ring.Ring
	offer   *ring.History // what others have, until joined
	backlog *ring.History // what the store would not take yet

	metas     map[string]Meta               // last known, of this cluster's nodes
	addrs     map[string]memberlist.Address // where memberlist reaches them
	alive     map[string]bool
	persisted []byte // the members, as stored
}

func newKeeper(g *Gossip) *keeper {
	return &keeper{g: g, metas: map[string]Meta{}, addrs: map[string]memberlist.Address{}, alive: map[string]bool{}}
}

// run serves the inbox and those who ask, until ctx ends or this node's place
// in the cluster is lost.
func (k *keeper) run(ctx context.Context) error {
	defer close(k.g.stopped)
	var again <-chan time.Time
	for {
		var fail error
		select {
		case <-ctx.Done():
			return nil
		case w := <-k.g.work:
			w.done <- w.do(k)
			fail = k.lost()
		case <-k.g.inbox.signal:
			fail = k.collect()
		case <-again:
			fail = k.collect()
		}
		if fail != nil {
			return fail
		}
		again = nil
		if k.backlog != nil {
			again = time.After(persistAgain)
		}
	}
}

// lost returns an error if a younger node has this node's place.
func (k *keeper) lost() error {
	if k.ring == nil {
		return nil
	}
	return place(k.ring, k.g.self)
}

// collect takes in what memberlist's callbacks left.
func (k *keeper) collect() error {
	nodes, h := k.g.inbox.take()
	changed := false
	for name, n := range nodes {
		changed = k.note(name, n) || changed
	}
	if k.history == nil {
		if offer, err := k.offer.Merge(h); err == nil {
			k.offer = offer
		}
		return nil
	}
	if changed {
		k.persistMembers()
		k.publish()
	}
	next, err := k.backlog.Merge(h)
	if err != nil {
		next = h // what waited is of no use: it came from elsewhere
	}
	k.backlog = nil
	if next.Len() == 0 {
		return nil
	}
	if _, err := k.merge(next); err != nil {
		k.g.log.Warn("events of the cluster cannot be taken in", "err", err)
		if k.storeFailed(next) {
			k.backlog = next
		}
	}
	return k.lost()
}

// storeFailed reports whether h is fit to be merged, so that only the store
// can have refused it.
func (k *keeper) storeFailed(h *ring.History) bool {
	next, err := k.history.Merge(h)
	if err == nil {
		_, err = ring.Replay(next)
	}
	return err == nil
}

// note takes in what memberlist said of a node, and reports whether that is
// new.
func (k *keeper) note(name string, n news) bool {
	m, err := DecodeMeta(n.meta)
	if err != nil || m.Name != name || m.Cluster != k.delegate.clusterID() {
		return false
	}
	old, known := k.metas[name]
	if !known && len(k.metas) >= maxNodes {
		return false
	}
	flips := k.alive[name] != n.alive
	k.metas[name], k.addrs[name], k.alive[name] = m, n.addr, n.alive
	if _, member := k.ring.Member(name); member && flips {
		k.g.log.Info("member", "name", name, "alive", n.alive)
	}
	return !known || old != m || flips
}

// add appends an event of this node.
func (k *keeper) add(e ring.Event) error {
	if k.history == nil {
		return ErrNotJoined
	}
	if e.ID == 0 {
		e.ID = ring.EventID(randomID())
	}
	if e.Time == 0 {
		e.Time = k.g.opts.Clock.Now() // which has observed the whole history
	}
	e.Slots = ring.JoinRanges(e.Slots)
	h, err := ring.NewHistory(e)
	if err != nil {
		return err
	}
	_, err = k.merge(h)
	return err
}

// merge takes h in, and spreads what is new of it.
func (k *keeper) merge(h *ring.History) (changed bool, err error) {
	missing := k.history.Missing(h)
	next, err := k.history.Merge(h)
	if err != nil || next == k.history {
		return false, err
	}
	if err := k.commit(next); err != nil {
		return false, err
	}
	k.spread(missing)
	return true, nil
}

// commit makes h the history: persisted first, then published.
func (k *keeper) commit(h *ring.History) error {
	r, err := ring.Replay(h)
	if err != nil {
		return err
	}
	if err := k.g.opts.Store.PutMeta(historyKey, h.Encoded()); err != nil {
		return fmt.Errorf("store the cluster's history: %w", err)
	}
	k.g.opts.Clock.Observe(h.Latest())
	k.settle(h, r)
	k.persistMembers()
	return nil
}

// spread sends events on their way to everybody.
func (k *keeper) spread(events []ring.Event) {
	for i := range events {
		h, err := ring.NewHistory(events[i])
		if err != nil {
			continue
		}
		b := encodeState(k.history.Cluster(), h)
		if len(b) <= maxBroadcast {
			k.g.queue.QueueBroadcast(eventBroadcast(b))
			continue
		}
		select {
		case k.g.big <- b:
		default: // push/pull takes it along
		}
	}
}

// others returns where memberlist reaches the other members that are alive.
func (k *keeper) others() []memberlist.Address {
	var out []memberlist.Address
	for name, addr := range k.addrs {
		if k.alive[name] {
			out = append(out, addr)
		}
	}
	return out
}
