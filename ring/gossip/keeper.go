package gossip

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
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

// load reads what the store holds and checks that this node still fits it.
func (k *keeper) load() error {
	store, self := k.g.opts.Store, &k.g.self
	b, err := store.GetMeta(historyKey)
	if err != nil {
		return fmt.Errorf("read the cluster's history: %w", err)
	}
	h, err := ring.DecodeHistory(b)
	if err != nil {
		return fmt.Errorf("the cluster's history in the data directory is damaged: %w", err)
	}
	if h.Len() == 0 {
		return nil
	}
	r, err := ring.Replay(h)
	if err != nil {
		return fmt.Errorf("the cluster's history in the data directory: %w", err)
	}
	if err := k.g.opts.mismatch(r.Config()); err != nil {
		return err
	}
	k.g.opts.Clock.Observe(h.Latest())
	if err := place(r, *self); err != nil {
		return err
	}
	if b, err = store.GetMeta(membersKey); err != nil {
		return fmt.Errorf("read the cluster's members: %w", err)
	}
	if k.metas, err = decodeMembers(b); err != nil {
		k.g.log.Warn("the members' addresses in the data directory are damaged, they will be learned again", "err", err)
		k.metas = map[string]Meta{}
	}
	k.persisted = b
	k.settle(h, r)
	return nil
}

// place returns nil if the node is the ring's member of its name.
func place(r *ring.Ring, self Meta) error {
	for _, m := range r.Members() {
		switch {
		case m.Actor == self.Actor && m.Name != self.Name:
			return &RenamedError{Name: self.Name, Was: m.Name}
		case m.Name == self.Name && m.Actor != self.Actor:
			return &NameTakenError{Name: m.Name, Actor: m.Actor}
		}
	}
	if _, ok := r.Member(self.Name); !ok {
		return fmt.Errorf("%w: it does not hold this node", ring.ErrBadHistory)
	}
	return nil
}

// mismatch returns a *MismatchError if the operator asked for what the cluster
// is not.
func (o *Options) mismatch(c ring.Config) error {
	var e MismatchError
	check := func(explicit bool, flag string, cluster, asked any) {
		if explicit && cluster != asked {
			e.Fields = append(e.Fields, Mismatch{flag, fmt.Sprint(cluster), fmt.Sprint(asked)})
		}
	}
	check(o.Explicit.N, "--n", c.N, o.Want.N)
	check(o.Explicit.Placement, "--placement", c.Placement, o.Want.Placement)
	check(o.Explicit.Partitions, "--partitions", c.Partitions, o.Want.Partitions)
	if len(e.Fields) > 0 {
		return &e
	}
	return nil
}

// found makes a cluster of this node alone.
func (k *keeper) found() error {
	o := &k.g.opts
	c := o.Want
	c.Cluster = randomID()
	h, err := ring.NewHistory(
		ring.Event{ID: ring.EventID(randomID()), Time: o.Clock.Now(), Kind: ring.Found, Config: &c},
		k.join())
	if err != nil {
		return err
	}
	if err := k.commit(h); err != nil {
		return err
	}
	k.g.log.Info("made a new cluster", "cluster", fmt.Sprintf("%016x", c.Cluster), "n", c.N, "placement", c.Placement, "partitions", c.Partitions)
	return nil
}

// join returns this node's own event.
func (k *keeper) join() ring.Event {
	o := &k.g.opts
	return ring.Event{
		ID: ring.EventID(randomID()), Time: o.Clock.Now(), Kind: ring.Join,
		Name: k.g.self.Name, Actor: k.g.self.Actor, Weight: o.Weight, Zone: o.Zone,
	}
}

// randomID returns 64 random bits that are not all 0.
func randomID() uint64 {
	for {
		if id := rand.Uint64(); id != 0 {
			return id
		}
	}
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

// settle makes h, which is persisted, what everybody sees.
func (k *keeper) settle(h *ring.History, r *ring.Ring) {
	k.history, k.ring = h, r
	k.g.self.Cluster = h.Cluster()
	k.publish()
	if _, ok := r.Member(k.g.self.Name); !ok {
		return
	}
	select {
	case <-k.g.joined:
	default:
		close(k.g.joined)
	}
}

// publish replaces the view and tells who waits for it.
func (k *keeper) publish() {
	v := View{Ring: k.ring, History: k.history, Members: k.members(), Alive: map[string]bool{}}
	for _, m := range k.ring.Members() {
		v.Alive[m.Name] = k.alive[m.Name] || m.Name == k.g.self.Name
	}
	old := k.g.published.Swap(&published{view: v, changed: make(chan struct{})})
	close(old.changed)
}

// members returns the metadata of the ring's members.
func (k *keeper) members() map[string]Meta {
	out := map[string]Meta{}
	for _, m := range k.ring.Members() {
		if meta, ok := k.metas[m.Name]; ok {
			out[m.Name] = meta
		}
	}
	if k.ring != nil {
		out[k.g.self.Name] = k.g.self
	}
	return out
}

// persistMembers stores who the members are. Without it a restarted node finds
// them at their older addresses, or by its seeds: a failure is no more than a
// warning.
func (k *keeper) persistMembers() {
	b, err := encodeMembers(k.members())
	if err == nil && bytes.Equal(b, k.persisted) {
		return
	}
	if err == nil {
		err = k.g.opts.Store.PutMeta(membersKey, b)
	}
	if err != nil {
		k.g.log.Warn("the members' addresses cannot be stored", "err", err)
		return
	}
	k.persisted = b
}

// introduce has memberlist say what this node is by now.
func (k *keeper) introduce() error {
	if err := k.delegate.setSelf(k.g.self); err != nil {
		return err
	}
	if k.ring != nil {
		k.persistMembers()
		k.publish()
	}
	return nil
}

// enter joins the cluster whose history was offered. It fails with
// errNoAnswer while none was.
func (k *keeper) enter() error {
	if err := k.collect(); err != nil {
		return err
	}
	if k.history != nil {
		return nil
	}
	if k.offer.Cluster() == 0 {
		return errNoAnswer
	}
	r, err := ring.Replay(k.offer)
	if err != nil {
		return fatal{fmt.Errorf("the cluster is not one that this program can join: %w", err)}
	}
	if err := k.g.opts.mismatch(r.Config()); err != nil {
		return fatal{err}
	}
	k.g.opts.Clock.Observe(k.offer.Latest())
	own := k.join()
	h, err := k.offer.With(own)
	if err != nil {
		return err
	}
	if r, err = ring.Replay(h); err == nil {
		err = place(r, k.g.self)
	}
	if err != nil {
		return fatal{fmt.Errorf("the cluster does not take this node in: %w", err)}
	}
	if err := k.commit(h); err != nil {
		return err
	}
	k.offer = nil
	k.spread([]ring.Event{own})
	k.g.log.Info("joined the cluster", "cluster", fmt.Sprintf("%016x", h.Cluster()), "members", len(r.Members()))
	return k.introduce()
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
