package gossip

import (
	"bytes"

	"github.com/dynaring/dynaring/ring"
)

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
