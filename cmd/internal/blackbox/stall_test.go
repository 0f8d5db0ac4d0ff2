package blackbox

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

// A machine that is busy with something else holds up nodes and clients alike,
// and what took long then says nothing about the nodes.
const (
	watchEvery = 10 * time.Millisecond
	// longStall is how late a timer of the test may be.
	longStall = 40 * time.Millisecond
	// aftermath is how long a stall is felt.
	aftermath = 300 * time.Millisecond
)

// stallWatch notes when the machine stood still.
type stallWatch struct {
	mu    sync.Mutex
	found []period
}

// run watches until ctx ends; since counts the time of the history.
func (w *stallWatch) run(ctx context.Context, since func() time.Duration) {
	for last := since(); ctx.Err() == nil; {
		time.Sleep(watchEvery)
		now := since()
		w.note(last, now)
		last = now
	}
}

// note takes the times between which nothing was to happen but a short sleep.
func (w *stallWatch) note(last, now time.Duration) {
	if now-last < watchEvery+longStall {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, period{start: last, end: now + aftermath})
}

// undisturbed returns the requests that no stall fell into.
func (w *stallWatch) undisturbed(ops []op) []op {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(ops), func(o op) bool {
		return slices.ContainsFunc(w.found, func(p period) bool { return o.start < p.end && p.start < o.end })
	})
}

func TestStallWatch(t *testing.T) {
	var w stallWatch
	w.note(0, watchEvery)
	w.note(time.Second, time.Second+watchEvery+longStall)
	ops := []op{
		{key: "before", start: 0, end: time.Second},
		{key: "into it", start: time.Second - 1, end: time.Second + 1},
		{key: "over it", start: 0, end: 3 * time.Second},
		{key: "its aftermath", start: time.Second + aftermath, end: 3 * time.Second},
		{key: "after", start: 2 * time.Second, end: 3 * time.Second},
	}
	var got []string
	for _, o := range w.undisturbed(ops) {
		got = append(got, o.key)
	}
	if want := []string{"before", "after"}; !slices.Equal(got, want) {
		t.Errorf("undisturbed are %q, want %q", got, want)
	}
}
