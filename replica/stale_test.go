package replica

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynaring/dynaring/storage"
)

// Cells that were read longer ago than OpLifetime are refused when their turn
// comes, however long ago they were queued.
func TestOldReadsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := startRig(t, storage.Options{}, Options{})
		defer func() { g.close() }()
		other := newForeign(7, 10)
		other.put(t, "v")
		resume := g.pause(Options{})
		for i, tc := range []struct {
			age, queued time.Duration
			want        error
		}{
			{0, 0, nil},
			{OpLifetime, 0, nil},
			{OpLifetime + 1, 0, ErrStale},
			{0, OpLifetime + 1, ErrStale},
		} {
			k, ended := keyOf(i), make(chan error, 1)
			g.Apply(&ApplyBatch{
				Cells: []KeyedCell{{k, other.cell}}, Read: time.Now().Add(-tc.age), Done: func(err error) { ended <- err },
			})
			time.Sleep(tc.queued)
			resume()
			if err := <-ended; !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Errorf("read %v ago and queued for %v: %v, want %v", tc.age, tc.queued, err, tc.want)
			}
			if stored := g.get(k) != nil; stored != (tc.want == nil) {
				t.Errorf("read %v ago and queued for %v: stored %v", tc.age, tc.queued, stored)
			}
			resume = g.pause(Options{})
		}
		resume()
	})
}

// So are those that a peer sent in time, and that then waited for long: what is
// asked about them meanwhile may be answered before them.
func TestOldMessagesAreRefusedWhenTheirTurnComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := startRig(t, storage.Options{}, Options{})
		defer func() { g.close() }()
		other := newForeign(7, 10)
		other.put(t, "v")
		for i, queued := range []time.Duration{MaxMessageAge, MaxMessageAge + time.Millisecond} {
			resume, a := g.pause(Options{}), newAnswers()
			g.serve(KindApply, AppendApply(nil, []KeyedCell{{keyOf(i), other.cell}}), g.clock.Now(), a)
			time.Sleep(queued)
			resume()
			want := queued <= MaxMessageAge
			if r := <-a.ch; (r.err == "") != want || !want && r.code != CodeStale {
				t.Errorf("queued for %v: %+v", queued, r)
			}
			if stored := g.get(keyOf(i)) != nil; stored != want {
				t.Errorf("queued for %v: stored %v", queued, stored)
			}
		}
	})
}
