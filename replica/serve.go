package replica

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// answerer is the part of a *peer.Request that answers it.
type answerer interface {
	Reply(body []byte)
	Fail(code peer.Code, text string)
}

// Serve answers req if it is of one of the replica's own kinds, and reports
// whether it is. It runs on the connection's reader: what the cache can answer
// is answered at once, everything else by the pools and the lanes. If those
// are full the reader does the work itself, or waits for a lane, which holds
// up the peer that sent too much and nobody else.
func (r *Replica) Serve(req *peer.Request) bool {
	return r.serve(req.Kind, req.Body, req.Sent, req)
}

// serve is Serve of a request whose sender's clock said sent.
func (r *Replica) serve(kind uint8, body []byte, sent version.Timestamp, a answerer) bool {
	switch kind {
	case KindApply, KindHint:
		r.serveApply(kind, body, sent, a)
	case KindRead:
		r.serveRead(body, a)
	case KindScan:
		r.serveScan(body, a)
	case KindCount:
		r.serveCount(body, a)
	case KindHashes:
		r.serveHashes(body, a)
	case KindList:
		r.serveList(body, a)
	case KindInspect:
		r.serveInspect(body, a)
	case KindCollect:
		r.serveCollect(body, a)
	case KindProbe:
		r.serveProbe(a)
	default:
		return false
	}
	return true
}

func (r *Replica) fail(a answerer, err error) {
	code := CodeFailed
	switch {
	case errors.Is(err, ErrMalformed):
		code = CodeMalformed
		r.log.Warn("a peer's request cannot be read", "err", err)
	case errors.Is(err, storage.ErrDiskFull):
		code = CodeRefused
	case errors.Is(err, errOverloaded):
		code = CodeOverloaded
	case errors.Is(err, ErrHintsFull):
		code = CodeHintsFull
	case errors.Is(err, ErrStale):
		code = CodeStale
	case isDamaged(err):
		code = CodeDamaged
	case errors.Is(err, ErrClosed), errors.Is(err, storage.ErrClosed), errors.Is(err, context.Canceled):
		code = CodeClosed
	}
	a.Fail(code, err.Error())
}

// MaxMessageAge is how old, by the sender's clock, cells may be that a peer
// sends. OpLifetime is how long cells that were read live in memory before they
// are sent. So what a replica has dropped cannot come back from a queue, or from
// a process that was frozen, once both are over (law 7).
const (
	MaxMessageAge = 5 * time.Second
	OpLifetime    = 5 * time.Second
)

// Stale reports whether a message that was sent then, by the sender's clock, is
// too old to be taken in.
func (r *Replica) Stale(sent version.Timestamp) bool {
	return tooOld(sent, r.clock.Now().Millis())
}

func tooOld(sent version.Timestamp, now int64) bool {
	return now-sent.Millis() > MaxMessageAge.Milliseconds()
}

func (r *Replica) serveApply(kind uint8, body []byte, sent version.Timestamp, a answerer) {
	if r.Stale(sent) {
		a.Fail(CodeStale, "the message was sent too long ago")
		return
	}
	var err error
	b := &ApplyBatch{sent: sent, Done: r.answer(a)}
	if kind == KindHint {
		b.For, b.Must, b.Cells, err = DecodeHint(body)
	} else {
		b.Cells, err = DecodeApply(body)
	}
	if err != nil {
		r.fail(a, err)
		return
	}
	w, cold, err := r.prepareApply(b)
	if err != nil {
		r.fail(a, err)
		return
	}
	r.admit(w, cold, b.keys)
}

// answer returns what ends a request whose answer is empty.
func (r *Replica) answer(a answerer) func(error) {
	return func(err error) {
		if err != nil {
			r.fail(a, err)
			return
		}
		a.Reply(nil)
	}
}

// admit is submit on a connection's reader. Cells that are not cached have to
// be read before they can be worked on: elsewhere, if there is room.
func (r *Replica) admit(w work, cold bool, keys []rowKey) {
	if cold && r.point.try(func(context.Context) { r.submit(w, true, keys) }) {
		return
	}
	r.submit(w, cold, keys)
}

// maxAnswerBytes bounds the answer to a KindRead request; the cell that
// exceeds it is its last.
const maxAnswerBytes = 16 << 20

// answerBuffers holds what answers are built in: a request's Reply copies.
var answerBuffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooledAnswer: larger buffers are left to the collector.
const maxPooledAnswer = 64 << 10

func (r *Replica) serveRead(body []byte, a answerer) {
	if r.answerRead(body, a, r.cached) {
		return
	}
	body = bytes.Clone(body)
	job := func(context.Context) { r.answerRead(body, a, r.known) }
	if !r.point.try(job) {
		job(nil)
	}
}

// known is Held in the form of cached.
func (r *Replica) known(k Key) (*version.Cell, bool, error) {
	cell, err := r.Held(k)
	return cell, true, err
}

// answerRead answers a KindRead request from what lookup finds, unless that
// does not know one of the cells: it then returns false and has done nothing.
func (r *Replica) answerRead(body []byte, a answerer, lookup func(Key) (*version.Cell, bool, error)) bool {
	buf := answerBuffers.Get().(*[]byte)
	defer answerBuffers.Put(buf)
	q := parseRead(body)
	dst := binary.AppendUvarint((*buf)[:0], uint64(q.n))
	full := false
	for ask, ok := q.next(); ok; ask, ok = q.next() {
		answer := Answer{Status: Later}
		if !full {
			cell, known, err := lookup(ask.Key)
			if err != nil {
				r.fail(a, err)
				return true
			}
			if !known {
				return false
			}
			answer = compare(ask, cell, q.stripped)
		}
		dst = appendAnswer(dst, answer)
		full = len(dst) >= maxAnswerBytes
	}
	if err := q.end(); err != nil {
		r.fail(a, fmt.Errorf("cells to read: %w", err))
		return true
	}
	a.Reply(dst)
	if cap(dst) <= maxPooledAnswer {
		*buf = dst
	}
	return true
}

func compare(ask Ask, cell *version.Cell, stripped bool) Answer {
	switch {
	case cell.Digest() == ask.Digest:
		return Answer{Status: Same}
	case cell == nil:
		return Answer{Status: Absent}
	case stripped:
		return Answer{Status: Found, Cell: cell.Stripped()}
	}
	return Answer{Status: Found, Cell: cell}
}

func (r *Replica) serveScan(body []byte, a answerer) {
	s, err := DecodeScan(bytes.Clone(body))
	if err != nil {
		r.fail(a, err)
		return
	}
	job := func(ctx context.Context) (bytes int) {
		page, err := r.Scan(ctx, s)
		if err != nil {
			r.fail(a, err)
			return 0
		}
		body := AppendPage(nil, page)
		a.Reply(body)
		return len(body)
	}
	if s.Stripped { // for a client's SCAN
		r.serveBulk(a, func(ctx context.Context) { job(ctx) })
	} else {
		r.servePaced(a, job)
	}
}

func (r *Replica) serveCount(body []byte, a answerer) {
	c, err := DecodeCount(body)
	if err != nil {
		r.fail(a, err)
		return
	}
	r.serveBulk(a, func(ctx context.Context) {
		counted, err := r.Count(ctx, c)
		if err != nil {
			r.fail(a, err)
			return
		}
		a.Reply(AppendCounted(nil, counted))
	})
}

func (r *Replica) serveHashes(body []byte, a answerer) {
	ranges, deep, err := DecodeHashes(body)
	if err != nil {
		r.fail(a, err)
		return
	}
	hashes := make([]uint64, 0, len(ranges))
	for _, s := range ranges {
		if !deep {
			hashes = append(hashes, r.RangeHash(s.First, s.Last))
			continue
		}
		leaves := r.Leaves(s.First)
		hashes = append(hashes, leaves[:]...)
	}
	a.Reply(AppendHashed(nil, hashes))
}

func (r *Replica) serveList(body []byte, a answerer) {
	slot, leaves, after, limit, err := DecodeList(bytes.Clone(body))
	if err != nil {
		r.fail(a, err)
		return
	}
	r.servePaced(a, func(ctx context.Context) (bytes int) {
		l, err := r.List(ctx, slot, leaves, after, limit)
		if err != nil {
			r.fail(a, err)
			return 0
		}
		body := AppendListing(nil, l)
		a.Reply(body)
		return len(body)
	})
}

// serveBulk leaves what may take long to the workers for it, or refuses it.
func (r *Replica) serveBulk(a answerer, job func(context.Context)) {
	if !r.bulk.try(job) {
		a.Fail(CodeOverloaded, "too many scans are waiting on this node")
	}
}
