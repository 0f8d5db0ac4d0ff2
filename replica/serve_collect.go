package replica

import (
	"context"
	"errors"
	"sync"
)

func (r *Replica) serveInspect(body []byte, a answerer) {
	asks, err := DecodeAsks(body)
	if err != nil {
		r.fail(a, err)
		return
	}
	b := &InspectBatch{Asks: asks}
	b.Done = func(err error) {
		if err != nil {
			r.fail(a, err)
			return
		}
		a.Reply(AppendInspected(nil, b.Found))
	}
	w, cold := r.prepareInspect(b)
	r.admit(w, cold, b.keys)
}

func (r *Replica) serveCollect(body []byte, a answerer) {
	asks, err := DecodeAsks(body)
	if err != nil {
		r.fail(a, err)
		return
	}
	b := &CollectBatch{Asks: asks}
	b.Done = func(err error) {
		if err != nil {
			r.fail(a, err)
			return
		}
		a.Reply(AppendCollected(nil, b.Collected))
	}
	w, cold := r.prepareCollect(b)
	r.admit(w, cold, b.keys)
}

var errOverloaded = errors.New("too much waits on this node")

// probes are KindProbe requests that wait for the disk: one worker syncs for
// all of them, so that a disk that hangs does not take the others too.
type probes struct {
	mu      sync.Mutex
	waiting []answerer
	syncing bool // a worker will come for those who wait
}

// serveProbe answers when the disk has synced all that was acknowledged before,
// in every mode: what is dropped elsewhere because it is here has to stay here.
func (r *Replica) serveProbe(a answerer) {
	switch queued, first := r.probes.add(a); {
	case !queued:
		r.fail(a, errOverloaded)
	case first && !r.point.try(func(context.Context) { r.answerProbes(r.store.Probe) }):
		r.answerProbes(func() error { return errOverloaded })
	}
}

// add lets a wait. first says that no worker is at it.
func (p *probes) add(a answerer) (queued, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) >= maxJobs {
		return false, false
	}
	first = !p.syncing
	p.syncing = true
	p.waiting = append(p.waiting, a)
	return true, first
}

// take returns those who wait, or none once and for all.
func (p *probes) take() []answerer {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := p.waiting
	p.waiting = nil
	p.syncing = len(waiting) > 0
	return waiting
}

// answerProbes tells all who wait what sync says.
func (r *Replica) answerProbes(sync func() error) {
	for waiting := r.probes.take(); len(waiting) > 0; waiting = r.probes.take() {
		err := sync()
		for _, a := range waiting {
			r.answer(a)(err)
		}
	}
}
