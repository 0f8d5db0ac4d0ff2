package blackbox

import (
	"context"
	"os"
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
	syncEvery = 50 * time.Millisecond
	// longSync is how long the disk may take for a byte.
	longSync = 150 * time.Millisecond
	// aftermath is how long a stall is felt.
	aftermath = 300 * time.Millisecond
)

// stallWatch notes when the machine, or its disk, stood still.
type stallWatch struct {
	mu    sync.Mutex
	found []period
}

// timers watches until ctx ends; since counts the time of the history.
func (w *stallWatch) timers(ctx context.Context, since func() time.Duration) {
	for ctx.Err() == nil {
		begun := since()
		time.Sleep(watchEvery)
		w.note(begun, since(), watchEvery+longStall)
	}
}

// disk watches the disk of a folder until ctx ends.
func (w *stallWatch) disk(ctx context.Context, folder string, since func() time.Duration) error {
	f, err := os.CreateTemp(folder, "sync-")
	if err != nil {
		return err
	}
	defer f.Close()
	for ctx.Err() == nil {
		begun := since()
		if _, err := f.WriteAt([]byte{1}, 0); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		w.note(begun, since(), longSync)
		time.Sleep(syncEvery)
	}
	return nil
}

// note takes the begin and the end of what should have taken less than that.
func (w *stallWatch) note(begun, now, limit time.Duration) {
	if now-begun < limit {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, period{start: begun, end: now + aftermath})
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
	w.note(0, longStall-1, longStall)
	w.note(time.Second, time.Second+longStall, longStall)
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
