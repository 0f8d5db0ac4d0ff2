package gossip

import (
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"

	"github.com/dynaring/dynaring/ring"
)

// maxNodes bounds the nodes that are remembered, members or not.
const maxNodes = 4096

// news is what memberlist last said of a node.
type news struct {
	meta  []byte
	addr  memberlist.Address
	alive bool
}

// inbox is where memberlist's callbacks leave what they were told, without
// waiting for anything; the keeper empties it.
type inbox struct {
	signal chan struct{} // holds one if there is something

	mu      sync.Mutex
	nodes   map[string]news
	history *ring.History
	others  bool // any other node was ever heard of
}

func newInbox() *inbox { return &inbox{signal: make(chan struct{}, 1), nodes: map[string]news{}} }

func (b *inbox) notify() {
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

// node takes in that a node is alive or not. n is memberlist's own and valid
// only now.
func (b *inbox) node(n *memberlist.Node, alive bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.nodes[n.Name]; !ok && len(b.nodes) >= maxNodes {
		return
	}
	b.others = true
	b.nodes[n.Name] = news{slices.Clone(n.Meta), n.FullAddress(), alive}
	b.notify()
}

// events takes in a history. It fails if that is another cluster's than what
// is waiting here.
func (b *inbox) events(h *ring.History) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next, err := b.history.Merge(h)
	if err != nil {
		return err
	}
	b.history = next
	b.notify()
	return nil
}

// take empties the inbox.
func (b *inbox) take() (map[string]news, *ring.History) {
	b.mu.Lock()
	defer b.mu.Unlock()
	nodes, h := b.nodes, b.history
	b.nodes, b.history = map[string]news{}, nil
	return nodes, h
}

// sawOthers reports whether memberlist ever knew another node.
func (b *inbox) sawOthers() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.others
}
