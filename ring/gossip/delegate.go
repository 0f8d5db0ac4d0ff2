package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/hashicorp/memberlist"

	"github.com/dynaring/dynaring/ring"
)

// Why a push/pull is not merged.
var (
	errJoining  = errors.New("that node has not joined a cluster yet")
	errNameBusy = errors.New("the name of this node is in use")
)

// delegate is what memberlist calls back. Most calls come with memberlist's
// lock held, so they only look at memory and leave things in the inbox.
type delegate struct {
	inbox  *inbox
	queue  *memberlist.TransmitLimitedQueue
	view   func() *View
	listen string // the address that memberlist advertises
	log    *slog.Logger

	mu        sync.Mutex
	self      Meta
	encoded   []byte
	candidate uint64 // the cluster whose member answered, while self has none
	refused   refusal
	busy      *NameTakenError // the last one to be met under this name
}

// refusal is the last push/pull of a foreign cluster.
type refusal struct {
	cluster uint64
	addrs   []string // of its nodes
}

var (
	_ memberlist.Delegate         = (*delegate)(nil)
	_ memberlist.EventDelegate    = (*delegate)(nil)
	_ memberlist.MergeDelegate    = (*delegate)(nil)
	_ memberlist.AliveDelegate    = (*delegate)(nil)
	_ memberlist.ConflictDelegate = (*delegate)(nil)
)

func (d *delegate) setSelf(m Meta) error {
	b, err := m.Encode()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.self, d.encoded = m, b
	return nil
}

// clusterID returns the cluster that this node belongs to, or is about to join.
func (d *delegate) clusterID() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.self.Cluster != 0 {
		return d.self.Cluster
	}
	return d.candidate
}

// foreign returns the cluster of the refused node at addr, 0 if there was none.
func (d *delegate) foreign(addr string) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.refused.addrs {
		if a == addr {
			return d.refused.cluster
		}
	}
	return 0
}

// takeBusy returns who was met under this node's name since the last call.
func (d *delegate) takeBusy() *NameTakenError {
	d.mu.Lock()
	defer d.mu.Unlock()
	busy := d.busy
	d.busy = nil
	return busy
}

// NodeMeta implements memberlist.Delegate.
func (d *delegate) NodeMeta(int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.encoded
}

// NotifyMsg implements memberlist.Delegate: an event that was broadcast.
func (d *delegate) NotifyMsg(b []byte) { d.receive(bytes.Clone(b)) }

// MergeRemoteState implements memberlist.Delegate: a whole history.
func (d *delegate) MergeRemoteState(b []byte, _ bool) { d.receive(b) }

func (d *delegate) receive(b []byte) {
	cluster, h, err := decodeState(b)
	switch {
	case err != nil:
	case h.Len() == 0 || h.Digest() == d.view().History.Digest():
		return
	case cluster != d.clusterID():
		err = fmt.Errorf("%w: %016x", ring.ErrForeignCluster, cluster)
	default:
		err = d.inbox.events(h)
	}
	if err != nil {
		d.log.Debug("gossip that is not taken in", "err", err)
	}
}

// GetBroadcasts implements memberlist.Delegate.
func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.queue.GetBroadcasts(overhead, limit)
}

// LocalState implements memberlist.Delegate.
func (d *delegate) LocalState(bool) []byte {
	h := d.view().History
	return encodeState(h.Cluster(), h)
}

// NotifyJoin implements memberlist.EventDelegate.
func (d *delegate) NotifyJoin(n *memberlist.Node) { d.notice(n, true) }

// NotifyUpdate implements memberlist.EventDelegate.
func (d *delegate) NotifyUpdate(n *memberlist.Node) { d.notice(n, true) }

// NotifyLeave implements memberlist.EventDelegate.
func (d *delegate) NotifyLeave(n *memberlist.Node) { d.notice(n, false) }

func (d *delegate) notice(n *memberlist.Node, alive bool) {
	d.mu.Lock()
	self := d.self.Name
	d.mu.Unlock()
	if n.Name != self {
		d.inbox.node(n, alive)
	}
}

// NotifyMerge implements memberlist.MergeDelegate: it keeps clusters apart
// before anything of the other one is merged. A joining node is answered, and
// not merged before it has joined.
func (d *delegate) NotifyMerge(peers []*memberlist.Node) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ours := d.self.Cluster
	if ours == 0 {
		ours = d.candidate
	}
	for _, p := range peers {
		if p.State == memberlist.StateDead || p.State == memberlist.StateLeft {
			continue
		}
		m, err := DecodeMeta(p.Meta)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", p.Name, err)
		case m.Cluster == 0:
			return fmt.Errorf("%s: %w", p.Name, errJoining)
		case ours == 0:
			ours = m.Cluster
		case m.Cluster != ours:
			d.refuse(m.Cluster, peers)
			return fmt.Errorf("%w: %s belongs to %016x, this node to %016x", ring.ErrForeignCluster, p.Name, m.Cluster, ours)
		}
		if d.self.Cluster == 0 && p.Name == d.self.Name && m.Actor != d.self.Actor && p.Address() != d.listen {
			d.busy = &NameTakenError{Name: p.Name, Actor: m.Actor, Addr: p.Address()}
			return fmt.Errorf("%w: by the node at %s", errNameBusy, p.Address())
		}
	}
	d.candidate = ours
	return nil
}

// refuse is called with d.mu held.
func (d *delegate) refuse(cluster uint64, peers []*memberlist.Node) {
	d.refused = refusal{cluster: cluster}
	for _, p := range peers {
		d.refused.addrs = append(d.refused.addrs, p.Address())
	}
}

// NotifyAlive implements memberlist.AliveDelegate: it keeps nodes of other
// clusters, and of none, out. What is said of this node itself passes, so that
// memberlist can set it right.
func (d *delegate) NotifyAlive(n *memberlist.Node) error {
	d.mu.Lock()
	self := d.self.Name
	d.mu.Unlock()
	if n.Name == self {
		return nil
	}
	m, err := DecodeMeta(n.Meta)
	switch {
	case err != nil:
		return err
	case m.Name != n.Name:
		return fmt.Errorf("%w: %q calls itself %q", ErrBadMeta, n.Name, m.Name)
	case m.Cluster == 0:
		return errJoining
	case m.Cluster != d.clusterID():
		return fmt.Errorf("%w: %016x", ring.ErrForeignCluster, m.Cluster)
	}
	return nil
}

// NotifyConflict implements memberlist.ConflictDelegate. Which of two nodes
// has the name is decided by the history, not here.
func (d *delegate) NotifyConflict(existing, other *memberlist.Node) {
	d.log.Debug("two nodes under one name", "name", existing.Name, "at", existing.Address(), "and", other.Address())
}

// eventBroadcast is an event on its way by gossip. No two are the same.
type eventBroadcast []byte

func (eventBroadcast) Invalidates(memberlist.Broadcast) bool { return false }

func (b eventBroadcast) Message() []byte { return b }

func (eventBroadcast) Finished() {}

// UniqueBroadcast implements memberlist.UniqueBroadcast.
func (eventBroadcast) UniqueBroadcast() {}
