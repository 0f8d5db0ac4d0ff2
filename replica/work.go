package replica

import (
	"sync"

	"github.com/dynaring/dynaring/storage/version"
)

// task is a batch of something else than updates. One that was split is run by
// several lanes at once, each with operations of its own.
type task interface {
	slot(n int) uint16         // of the n-th operation
	run(g *group, n int) error // carries it out; an error of it does not keep the others
	end(err error)             // of the whole, once
}

// work is one batch, or the share of it that belongs to one lane. Exactly one
// of update, task and visit is set.
type work struct {
	update *UpdateBatch
	task   task
	visit  func(*lane, error) // called on the lane before its next group, or with what refused it
	share  []int32            // which of the batch's operations; nil: all
	join   *join              // nil if this is the whole batch
	ops    int
	bytes  int
	err    error // of a task: what kept one of its operations from being carried out
}

// at returns the batch's index of w's n-th operation, n < w.ops.
func (w *work) at(n int) int {
	if w.share != nil {
		return int(w.share[n])
	}
	return n
}

// applied says that w's operations are in the store and visible.
func (w *work) applied() {
	switch {
	case w.update == nil:
	case w.join != nil:
		w.join.applied(w.update, true)
	case w.update.Applied != nil:
		w.update.Applied()
	}
}

// settled says, after applied, how durable w is.
func (w *work) settled(err error) {
	if err == nil {
		err = w.err
	}
	if w.join != nil {
		w.join.settled(w, nil, err)
		return
	}
	w.done(err)
}

// refused says, instead of applied and settled, that nothing of w was stored.
func (w *work) refused(err error) {
	if w.update != nil {
		for n := range w.ops {
			u := &w.update.Ops[w.at(n)]
			u.Next, u.Delta, u.Dot, u.Number, u.Err = nil, nil, version.Dot{}, 0, err
		}
	}
	if w.join == nil {
		w.done(err)
		return
	}
	if w.update != nil {
		w.join.applied(w.update, false)
	}
	w.join.settled(w, err, nil)
}

func (w *work) done(err error) {
	switch {
	case w.task != nil:
		w.task.end(err)
	case w.update != nil && w.update.Durable != nil:
		w.update.Durable(err)
	case w.visit != nil:
		w.visit(nil, err)
	}
}

// join brings together the lanes of a batch that was split: the last lane to
// apply calls Applied, the last to settle ends the batch. Every lane applies
// before it settles, so the order of the two holds for the whole.
type join struct {
	mu       sync.Mutex
	applying int   // lanes that have yet to apply their share or refuse it
	settling int   // lanes that have yet to settle it
	stored   bool  // some lane has stored its share
	refusal  error // the first lane's that has not
	failure  error // the first failed sync, or operation of a task
}

func newJoin(lanes int) *join { return &join{applying: lanes, settling: lanes} }

func (j *join) applied(b *UpdateBatch, stored bool) {
	j.mu.Lock()
	j.applying--
	j.stored = j.stored || stored
	call := j.applying == 0 && j.stored
	j.mu.Unlock()
	if call && b.Applied != nil {
		b.Applied()
	}
}

func (j *join) settled(w *work, refusal, failure error) {
	j.mu.Lock()
	j.settling--
	last := j.settling == 0
	if j.refusal == nil {
		j.refusal = refusal
	}
	if j.failure == nil {
		j.failure = failure
	}
	err := j.failure
	if err == nil && !(w.update != nil && j.stored) {
		// Where others were stored, refused operations say so themselves.
		err = j.refusal
	}
	j.mu.Unlock()
	if last {
		w.done(err)
	}
}
