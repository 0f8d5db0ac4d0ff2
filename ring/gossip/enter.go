package gossip

import (
	"fmt"
	"math/rand/v2"

	"github.com/dynaring/dynaring/ring"
)

// Stored returns the history that a store keeps: empty, if the node never was
// a member.
func Stored(store Store) (*ring.History, error) {
	b, err := store.GetMeta(historyKey)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's history: %w", err)
	}
	h, err := ring.DecodeHistory(b)
	if err != nil {
		return nil, fmt.Errorf("the cluster's history in the data directory is damaged: %w", err)
	}
	return h, nil
}

// Unjoin has a store forget which cluster it was a member's in: the node joins
// anew, by its seeds. It is for copies of data directories, whose place is not
// theirs.
func Unjoin(store Store) error { return store.PutMeta(historyKey, nil) }

// load reads what the store holds and checks that this node still fits it.
func (k *keeper) load() error {
	store, self := k.g.opts.Store, &k.g.self
	h, err := Stored(store)
	if err != nil || h.Len() == 0 {
		return err
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
	b, err := store.GetMeta(membersKey)
	if err != nil {
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
