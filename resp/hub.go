package resp

import (
	"maps"
	"slices"
	"sync"
)

// hub knows who on this node subscribed to what. A message is delivered to the
// subscribers that are found in it, outside of its lock; whether they still
// want it is their outbox's word.
type hub struct {
	mu sync.RWMutex
	by [channelKinds]map[string][]*outbox // never changed, replaced
}

func (h *hub) add(kind channelKind, name string, o *outbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by[kind] == nil {
		h.by[kind] = map[string][]*outbox{}
	}
	old := h.by[kind][name]
	h.by[kind][name] = append(old[:len(old):len(old)], o)
}

func (h *hub) remove(kind channelKind, name string, o *outbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.by[kind][name]
	at := slices.Index(old, o)
	switch {
	case at < 0:
	case len(old) == 1:
		delete(h.by[kind], name)
	default:
		h.by[kind][name] = slices.Concat(old[:at], old[at+1:])
	}
}

// found is the subscribers of one channel or pattern.
type found struct {
	kind channelKind
	name string
	out  []*outbox
}

// find returns who subscribed to a channel: by its name first, then by
// patterns.
func (h *hub) find(kind channelKind, channel []byte) (all []found) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if out := h.by[kind][string(channel)]; out != nil {
		all = append(all, found{kind, string(channel), out})
	}
	if kind == shardChannel {
		return all
	}
	for pattern, out := range h.by[channelPattern] {
		if glob([]byte(pattern), channel) {
			all = append(all, found{channelPattern, pattern, out})
		}
	}
	return all
}

// publish delivers a message to this node's subscribers, and returns to how
// many subscriptions. It never waits for one.
func (h *hub) publish(kind channelKind, channel, message []byte) (n int64) {
	for _, f := range h.find(kind, channel) {
		var p push
		switch f.kind {
		case plainChannel:
			p.parts = [][]byte{[]byte("message"), channel, message}
		case shardChannel:
			p.parts = [][]byte{[]byte("smessage"), channel, message}
		default:
			p.parts = [][]byte{[]byte("pmessage"), []byte(f.name), channel, message}
		}
		for _, o := range f.out {
			if o.deliver(&p, f.kind, f.name) {
				n++
			}
		}
	}
	return n
}

// names returns the channels or patterns that have subscribers, in no order.
func (h *hub) names(kind channelKind) []string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return slices.Collect(maps.Keys(h.by[kind]))
}

// count returns how many subscribed to a channel by its name.
func (h *hub) count(kind channelKind, name []byte) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.by[kind][string(name)])
}
