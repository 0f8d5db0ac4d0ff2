package replica

import "sync"

// Bounds of a lane. They are generous: a caller beyond them waits, which
// holds up its whole connection.
const (
	maxQueueOps   = 16 << 10
	maxQueueBytes = 64 << 20
	// A group is what one storage batch carries: larger ones cost latency and
	// win nothing any more.
	maxGroupOps   = 256
	maxGroupBytes = 4 << 20
)

// queue is a lane's bounded queue of work. Work is never split, so the bounds
// may be exceeded by the last piece taken in.
type queue struct {
	mu     sync.Mutex
	room   sync.Cond // something was taken, or the queue was closed
	filled sync.Cond // something was pushed, or the queue was closed
	works  []work
	ops    int
	bytes  int
	closed bool
}

func (q *queue) init() {
	q.room.L = &q.mu
	q.filled.L = &q.mu
}

// push appends w, waiting for room. It returns false once q is closed.
func (q *queue) push(w work) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && (q.ops >= maxQueueOps || q.bytes >= maxQueueBytes) {
		q.room.Wait()
	}
	if q.closed {
		return false
	}
	q.works = append(q.works, w)
	q.ops += w.ops
	q.bytes += w.bytes
	if len(q.works) == 1 {
		q.filled.Signal()
	}
	return true
}

// take moves the next group of work to dst, which is empty, waiting for some.
// It returns dst empty once q is closed and drained.
func (q *queue) take(dst []work) []work {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.works) == 0 && !q.closed {
		q.filled.Wait()
	}
	n, ops, bytes := 0, 0, 0
	for n < len(q.works) && ops < maxGroupOps && bytes < maxGroupBytes {
		ops += q.works[n].ops
		bytes += q.works[n].bytes
		n++
	}
	q.ops -= ops
	q.bytes -= bytes
	if n == len(q.works) {
		dst, q.works = q.works, dst
	} else {
		dst = append(dst, q.works[:n]...)
		rest := copy(q.works, q.works[n:])
		clear(q.works[rest:])
		q.works = q.works[:rest]
	}
	if n > 0 {
		q.room.Broadcast()
	}
	return dst
}

// close refuses further work; what is queued can still be taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.room.Broadcast()
	q.filled.Broadcast()
}

func (q *queue) stats() (ops, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ops, q.bytes
}
