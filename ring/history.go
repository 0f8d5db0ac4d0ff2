package ring

import (
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/dynaring/dynaring/storage/version"
)

// Bounds of a history. MaxHistoryBytes stays below what memberlist's push/pull
// carries.
const (
	MaxEvents       = 1 << 16
	MaxHistoryBytes = 16 << 20
)

// History is a set of events, sorted by (time, id). It never changes; nil is
// the empty one. A history without a Found event is a part of some cluster's.
type History struct {
	events  []Event
	enc     []byte
	digest  uint64
	cluster uint64
}

// NewHistory returns the history of events. Errors wrap [ErrBadEvent],
// [ErrForeignCluster] or [ErrHistoryFull].
func NewHistory(events ...Event) (*History, error) {
	for i := range events {
		if err := events[i].Validate(); err != nil {
			return nil, err
		}
	}
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b Event) int { return compareEvents(&a, &b) })
	var out []Event
	for i := range events {
		e := &events[i]
		if n := len(out); n == 0 || compareEvents(&out[n-1], e) != 0 {
			out = append(out, *e)
		} else if !preferEvent(&out[n-1], e) {
			out[n-1] = *e
		}
	}
	return buildHistory(out)
}

// buildHistory takes events that are sorted, valid and without duplicates.
func buildHistory(events []Event) (*History, error) {
	if len(events) == 0 {
		return nil, nil
	}
	if len(events) > MaxEvents {
		return nil, fmt.Errorf("%w: more than %d events", ErrHistoryFull, MaxEvents)
	}
	h := &History{events: events}
	for i := range events {
		c := events[i].Config
		if events[i].Kind != Found || c == nil {
			continue
		}
		if h.cluster != 0 && h.cluster != c.Cluster {
			return nil, fmt.Errorf("%w: it holds both %016x and %016x", ErrForeignCluster, h.cluster, c.Cluster)
		}
		h.cluster = c.Cluster
	}
	h.enc = appendHistory(nil, events)
	if len(h.enc) > MaxHistoryBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrHistoryFull, MaxHistoryBytes)
	}
	h.digest = xxhash.Sum64(h.enc)
	return h, nil
}

// Merge returns the union of both. Where that is h or o, that pointer is
// returned. Errors wrap [ErrForeignCluster] or [ErrHistoryFull].
func (h *History) Merge(o *History) (*History, error) {
	switch {
	case o.Len() == 0 || h == o:
		return h, nil
	case h.Len() == 0:
		return o, nil
	case h.cluster != 0 && o.cluster != 0 && h.cluster != o.cluster:
		return nil, fmt.Errorf("%w: ours is %016x, theirs %016x", ErrForeignCluster, h.cluster, o.cluster)
	case h.digest == o.digest:
		return h, nil
	}
	events, isH, isO := mergeEvents(h.events, o.events)
	switch {
	case isH:
		return h, nil
	case isO:
		return o, nil
	}
	return buildHistory(events)
}

// mergeEvents also reports whether the answer is a, or b.
func mergeEvents(a, b []Event) (out []Event, isA, isB bool) {
	out = make([]Event, 0, max(len(a), len(b)))
	isA, isB = true, true
	for len(a) > 0 && len(b) > 0 {
		switch c := compareEvents(&a[0], &b[0]); {
		case c < 0:
			out, a, isB = append(out, a[0]), a[1:], false
		case c > 0:
			out, b, isA = append(out, b[0]), b[1:], false
		default:
			e, first, second := a[0], preferEvent(&a[0], &b[0]), preferEvent(&b[0], &a[0])
			if !first {
				e = b[0]
			}
			isA, isB = isA && first, isB && second
			out, a, b = append(out, e), a[1:], b[1:]
		}
	}
	isA, isB = isA && len(b) == 0, isB && len(a) == 0
	return append(append(out, a...), b...), isA, isB
}

// With returns h with events added, as [History.Merge] does.
func (h *History) With(events ...Event) (*History, error) {
	o, err := NewHistory(events...)
	if err != nil {
		return nil, err
	}
	return h.Merge(o)
}

// Len returns the number of events.
func (h *History) Len() int {
	if h == nil {
		return 0
	}
	return len(h.events)
}

// Events returns the events in order, not to be changed.
func (h *History) Events() []Event {
	if h == nil {
		return nil
	}
	return h.events
}

// Has reports whether h holds an event of this id.
func (h *History) Has(id EventID) bool {
	return slices.ContainsFunc(h.Events(), func(e Event) bool { return e.ID == id })
}

// Missing returns o's events that h does not hold.
func (h *History) Missing(o *History) []Event {
	var out []Event
	a := h.Events()
	for _, e := range o.Events() {
		for len(a) > 0 && compareEvents(&a[0], &e) < 0 {
			a = a[1:]
		}
		if len(a) == 0 || compareEvents(&a[0], &e) != 0 {
			out = append(out, e)
		}
	}
	return out
}

// Cluster returns the id of the cluster, 0 if h holds no Found event.
func (h *History) Cluster() uint64 {
	if h == nil {
		return 0
	}
	return h.cluster
}

// Latest returns the time of the last event.
func (h *History) Latest() version.Timestamp {
	if h.Len() == 0 {
		return 0
	}
	return h.events[len(h.events)-1].Time
}

// Digest returns a hash of the set, 0 for the empty one.
func (h *History) Digest() uint64 {
	if h == nil {
		return 0
	}
	return h.digest
}

// Encoded returns the canonical encoding, not to be changed; nil for the empty
// history.
func (h *History) Encoded() []byte {
	if h == nil {
		return nil
	}
	return h.enc
}

// AppendBinary implements encoding.BinaryAppender.
func (h *History) AppendBinary(dst []byte) ([]byte, error) { return append(dst, h.Encoded()...), nil }
