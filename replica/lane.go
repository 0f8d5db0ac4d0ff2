package replica

import (
	"sync/atomic"

	"github.com/dynaring/dynaring/storage"
)

// lane owns every lanes-th slot. See the package's documentation.
type lane struct {
	r      *Replica
	queue  queue
	runway runway      // to the syncer
	free   chan []work // slices on their way back from it
	group  group       // the run goroutine's own
	writer writer      // of the journal of leaves; likewise
	counts laneCounts
}

type laneCounts struct {
	groups, updates, applies, writes, refused atomic.Uint64
}

func newLane(r *Replica) *lane {
	l := &lane{r: r, free: make(chan []work, easyFlights)}
	l.queue.init()
	l.runway.init()
	l.group = group{r: r, index: make(map[uint64]int32), floors: make(map[uint16]uint64),
		leaves: changes{leaves: r.leaves}, journal: &l.writer}
	return l
}

// run works until the queue is closed and drained.
func (l *lane) run() {
	defer close(l.runway.flights)
	for {
		works := l.queue.take(l.slice())
		if len(works) == 0 {
			return
		}
		l.process(works)
	}
}

func (l *lane) slice() []work {
	select {
	case s := <-l.free:
		return s
	default:
		return nil
	}
}

func (l *lane) recycle(works []work) {
	clear(works)
	select {
	case l.free <- works[:0]:
	default:
	}
}

func (l *lane) process(works []work) {
	g := &l.group
	defer g.reset()
	g.begin()
	for i := range works {
		if w := &works[i]; w.visit != nil {
			w.visit(l, nil)
			*w = work{} // it has been answered
		}
	}
	for i := range works {
		w := &works[i]
		if w.update != nil {
			for n := range w.ops {
				g.update(&w.update.Ops[w.at(n)])
			}
			l.counts.updates.Add(uint64(w.ops))
			continue
		}
		if w.task == nil {
			continue
		}
		for n := range w.ops {
			if err := w.task.run(g, w.at(n)); err != nil {
				w.err = err
			}
		}
		if _, ok := w.task.(*ApplyBatch); ok {
			l.counts.applies.Add(uint64(w.ops))
		}
	}
	l.counts.groups.Add(1)
	l.commit(works)
}

// commit stores the group, lets readers see it, and tells its owners: those
// who asked for no sync at once, the others through the syncer.
func (l *lane) commit(works []work) {
	g, f := &l.group, flight{works: works}
	var failed error
	if g.dirty > 0 || g.marked {
		var err error
		f.synced = l.r.durability == storage.Always || l.r.durability == storage.One && g.updated
		if f.commit, err = g.store(f.synced); err != nil {
			g.shut(false)
			l.refuse(works, err)
			return
		}
		l.counts.writes.Add(uint64(g.dirty))
		if !f.synced {
			failed = f.commit.Wait() // for nothing; it ends the commit
		}
	}
	g.shut(true)
	deferred := false
	for i := range works {
		w := &works[i]
		f.bytes += int64(w.bytes)
		w.applied()
		if l.deferred(w) {
			deferred = true
		} else {
			w.settled(failed)
		}
	}
	if deferred || f.synced {
		l.runway.launch(f)
		return
	}
	l.recycle(works)
}

// deferred reports whether w's owner is told only after a sync. Work that
// wrote nothing takes the same way: what it found may be on its way to the
// disk ahead of it.
func (l *lane) deferred(w *work) bool {
	switch l.r.durability {
	case storage.Always:
		return true
	case storage.One:
		return w.update != nil
	}
	return false
}

func (l *lane) refuse(works []work, err error) {
	for i := range works {
		l.counts.refused.Add(uint64(works[i].ops))
		works[i].refused(err)
	}
	l.recycle(works)
}

// sync waits for the lane's commits in order, while the lane is at work on the
// next ones. Once one has failed, nothing after it can be vouched for.
func (l *lane) sync() {
	var failed error
	for f := range l.runway.flights {
		if f.synced {
			if err := f.commit.Wait(); err != nil && failed == nil {
				failed = err
			}
		}
		for i := range f.works {
			if w := &f.works[i]; l.deferred(w) {
				w.settled(failed)
			}
		}
		l.runway.land(f)
		l.recycle(f.works)
	}
}
