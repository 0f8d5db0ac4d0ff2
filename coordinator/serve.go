package coordinator

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	// execWorkers is how many frames of passed-on commands run at a time.
	// They mostly wait: for quorums and for the disk.
	execWorkers = 128
	// maxServed bounds the frames that wait for a worker.
	maxServed = 1024
)

// Codes of requests that this package fails. The others are the replica's.
const (
	// CodeLoading: this node cannot run commands, or answer for slots, yet.
	// Nothing was started.
	CodeLoading = replica.CodeOthers + 16 + iota
	// CodeNotOwner: this node is no present owner of a slot that it was asked
	// about: what it does not hold means nothing.
	CodeNotOwner
)

// served is the queue of frames of commands that other nodes passed on.
type served struct {
	executor atomic.Pointer[Executor]
	pool     sync.Pool

	mu     sync.Mutex
	filled sync.Cond
	jobs   []*execJob // a ring would save the copying; it is short
	closed bool
}

// execJob is one frame being served, with memory that is used again.
type execJob struct {
	from  answerer
	until time.Time
	body  []byte
	out   []byte
	exec  Exec
	args  [][]byte
}

// answerer is the part of a *peer.Request that answers it.
type answerer interface {
	Reply(body []byte)
	Fail(code peer.Code, text string)
}

func (s *served) init() { s.filled.L = &s.mu }

// ServeExec takes a frame of commands that another node passed on, if req is
// one, and reports whether it is. It never blocks: a worker of Run runs the
// commands, and beyond a bound they are refused.
func (c *Coordinator) ServeExec(req *peer.Request) bool {
	if req.Kind != replica.KindExec {
		return false
	}
	c.serveExec(req.Body, req.Sent, req)
	return true
}

func (c *Coordinator) serveExec(body []byte, sent version.Timestamp, from answerer) {
	s := &c.served
	if c.replica.Stale(sent) {
		// Whoever passed it on has long been told that it may have happened.
		// That it happens now, over what was written since, is what a process
		// that was frozen would do.
		from.Fail(replica.CodeStale, "the commands were sent too long ago")
		return
	}
	if *s.executor.Load() == nil {
		from.Fail(CodeLoading, ErrLoading.Error())
		return
	}
	j, _ := s.pool.Get().(*execJob)
	if j == nil {
		j = new(execJob)
	}
	j.from = from
	j.body = append(j.body[:0], body...)
	left, err := decodeExec(j.body, &j.exec, &j.args)
	if err != nil {
		from.Fail(replica.CodeMalformed, err.Error())
		return
	}
	j.until = time.Now().Add(left)
	if !s.push(j) {
		c.counters.serveRefused.Add(1)
		from.Fail(replica.CodeOverloaded, "too many commands wait on this node")
	}
}

func (s *served) push(j *execJob) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.jobs) >= maxServed {
		return false
	}
	s.jobs = append(s.jobs, j)
	s.filled.Signal()
	return true
}

func (s *served) take() *execJob {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.jobs) == 0 {
		if s.closed {
			return nil
		}
		s.filled.Wait()
	}
	j := s.jobs[0]
	n := copy(s.jobs, s.jobs[1:])
	s.jobs[n] = nil
	s.jobs = s.jobs[:n]
	return j
}

// close refuses further frames; those queued are still run.
func (s *served) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.filled.Broadcast()
}

// work runs frames until the queue is closed and drained.
func (s *served) work(c *Coordinator) {
	for j := s.take(); j != nil; j = s.take() {
		c.counters.served.Add(uint64(len(j.exec.Commands)))
		c.runLocal(until{context.Background(), j.until}, &j.exec)
		j.out = appendReplies(j.out[:0], &j.exec, maxReplies)
		j.from.Reply(j.out)
		clear(j.exec.Commands)
		clear(j.args)
		j.from, j.body, j.out = nil, keepSmall(j.body), keepSmall(j.out)
		s.pool.Put(j)
	}
}

// maxReplies bounds a frame of replies to reads, but for its first.
const maxReplies = 4 << 20

// runLocal runs commands on this node. Where their time is over already they
// are not started.
func (c *Coordinator) runLocal(ctx context.Context, x *Exec) {
	exec := *c.served.executor.Load()
	end, ok := ctx.Deadline()
	if exec == nil || ok && !time.Now().Before(end) {
		for i := range x.Commands {
			x.Commands[i].Err = ErrLoading
		}
		return
	}
	exec(ctx, x)
}

// until is a context with a deadline that needs no timer: the drivers look at
// the deadline themselves.
type until struct {
	context.Context
	end time.Time
}

func (u until) Deadline() (time.Time, bool) { return u.end, true }
