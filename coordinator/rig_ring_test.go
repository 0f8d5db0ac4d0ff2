package coordinator

import (
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// settledRing is the ring of members that have all become owners.
func settledRing(t rapid.TB, n int, names ...string) *ring.Ring {
	t.Helper()
	return replay(t, settledEvents(t, n, names...))
}

// settledEvents is its history.
func settledEvents(t rapid.TB, n int, names ...string) []ring.Event {
	t.Helper()
	events := foundation(n, names...)
	for {
		table := replay(t, events)
		if !table.Changing() {
			return events
		}
		for _, name := range names {
			for _, a := range table.ComingOf(name) {
				events = append(events, ready(name, a))
			}
		}
	}
}

func ready(name string, a ring.Assignment) ring.Event {
	return ring.Event{Kind: ring.Ready, Name: name, Since: a.Since, Slots: []ring.Range{a.Range}}
}

// foundation is a cluster's first events: it is founded, and all join.
func foundation(n int, names ...string) []ring.Event {
	events := []ring.Event{{Kind: ring.Found, Config: &ring.Config{
		Cluster: 7, N: n, Placement: ring.PlacementEqual, Partitions: 16,
	}}}
	for i, name := range names {
		events = append(events, ring.Event{Kind: ring.Join, Name: name, Actor: uint64(100 + i), Weight: 1})
	}
	return events
}

func replay(t rapid.TB, events []ring.Event) *ring.Ring {
	t.Helper()
	for i := range events {
		events[i].ID, events[i].Time = ring.EventID(i+1), version.Timestamp(i+1)
	}
	h, err := ring.NewHistory(events...)
	if err != nil {
		t.Fatal(err)
	}
	table, err := ring.Replay(h)
	if err != nil {
		t.Fatal(err)
	}
	return table
}
