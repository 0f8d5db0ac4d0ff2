package replica

import (
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// TestStale: cells that a peer sent too long ago are refused, by the clocks that
// the two have in common.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := startRig(t, storage.Options{}, Options{})
		defer g.close()
		f := newForeign(7, 0)
		f.put(t, "v")
		send := func(kind uint8, k Key, sent version.Timestamp) answered {
			cells := []KeyedCell{{k, f.cell}}
			body := AppendApply(nil, cells)
			if kind == KindHint {
				body = AppendHint(nil, "n2", true, cells)
			}
			a := newAnswers()
			g.serve(kind, body, sent, a)
			return <-a.ch
		}
		for i, kind := range []uint8{KindApply, KindHint} {
			k := keyOf(i)
			now := g.clock.Now().Millis()
			if r := send(kind, k, version.TimestampAt(now-MaxMessageAge.Milliseconds()-1)); r.code != CodeStale || r.err == "" {
				t.Errorf("kind %d, too old: %+v", kind, r)
			}
			if g.held(t, k) != nil {
				t.Errorf("kind %d: it was stored all the same", kind)
			}
			if r := send(kind, k, version.TimestampAt(now-MaxMessageAge.Milliseconds())); r.err != "" || g.held(t, k) == nil {
				t.Errorf("kind %d, just in time: %+v", kind, r)
			}
		}
		g.clock.Observe(version.TimestampAt(g.now() + 3600_000)) // of a peer whose clock is ahead
		if r := send(KindApply, keyOf(2), version.TimestampAt(g.now())); r.code != CodeStale {
			t.Errorf("by a wall clock that is behind: %+v", r)
		}
	})
}

// TestProbe: the answer comes when the disk has synced, in every mode, and takes
// one worker however many ask.
func TestProbe(t *testing.T) {
	eachMode(t, func(t *testing.T, mode storage.Durability) {
		synctest.Test(t, func(t *testing.T) {
			fs := &faultyFS{FS: vfs.NewMem()}
			fs.free.Store(1 << 30)
			g := startRig(t, storage.Options{FS: fs, Durability: mode}, Options{})
			release := make(chan struct{})
			slow := func() error { <-release; return nil }
			fs.syncs.Store(&slow)
			var asked []answers
			for range 2 * pointWorkers {
				a := newAnswers()
				g.serve(KindProbe, nil, 0, a)
				asked = append(asked, a)
			}
			synctest.Wait()
			answered := 0
			for _, a := range asked {
				answered += len(a.ch)
			}
			if answered > 0 {
				t.Errorf("%d of %d answered while the disk hangs", answered, len(asked))
			}
			if r := g.ask(KindRead, AppendRead(nil, []Ask{{Key: keyOf(1)}}, false)); r.err != "" {
				t.Errorf("reads have to wait: %+v", r)
			}
			fs.syncs.Store(nil)
			close(release)
			for _, a := range asked {
				if r := <-a.ch; r.err != "" {
					t.Errorf("%+v", r)
				}
			}
			if r := g.ask(KindProbe, nil); r.err != "" {
				t.Errorf("the next: %+v", r)
			}
			g.close()
		})
	})
}

// TestProbesAreBounded: what waits for a disk that hangs does not pile up.
func TestProbesAreBounded(t *testing.T) {
	g := startRig(t, storage.Options{}, Options{})
	g.halt()
	g.Replica = New(Options{Store: g.store}) // not running
	last := newAnswers()
	var waiting []answers
	for range maxJobs {
		a := newAnswers()
		g.serve(KindProbe, nil, 0, a)
		waiting = append(waiting, a)
	}
	g.serve(KindProbe, nil, 0, last)
	if r := <-last.ch; r.code != CodeOverloaded {
		t.Errorf("%+v", r)
	}
	g.run()
	for _, a := range waiting {
		if r := <-a.ch; r.err != "" {
			t.Errorf("%+v", r)
		}
	}
	g.halt()
	if r := g.ask(KindProbe, nil); r.code != CodeOverloaded {
		t.Errorf("after the end: %+v", r)
	}
	if err := g.store.Close(); err != nil {
		t.Fatal(err)
	}
}
