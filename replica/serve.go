package replica

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

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
func (r *Replica) Serve(req *peer.Request) bool { return r.serve(req.Kind, req.Body, req) }

func (r *Replica) serve(kind uint8, body []byte, a answerer) bool {
	switch kind {
	case KindApply:
		r.serveApply(body, a)
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
	case errors.Is(err, ErrClosed), errors.Is(err, storage.ErrClosed), errors.Is(err, context.Canceled):
		code = CodeClosed
	}
	a.Fail(code, err.Error())
}

func (r *Replica) serveApply(body []byte, a answerer) {
	cells, err := DecodeApply(body)
	if err != nil {
		r.fail(a, err)
		return
	}
	b := &ApplyBatch{Cells: cells, Done: func(err error) {
		if err != nil {
			r.fail(a, err)
			return
		}
		a.Reply(nil)
	}}
	// Cells that are not cached have to be read before they can be merged:
	// elsewhere, if there is room.
	w, cold := r.prepareApply(b)
	if cold && r.point.try(func(context.Context) { r.warmApply(b); r.enqueue(w) }) {
		return
	}
	if cold {
		r.warmApply(b)
	}
	r.enqueue(w)
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
	job := func(context.Context) { r.answerRead(body, a, r.held) }
	if !r.point.try(job) {
		job(nil)
	}
}

// held is Get in the form of Cached.
func (r *Replica) held(k Key) (*version.Cell, bool, error) {
	cell, err := r.Get(k)
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
	r.serveBulk(a, func(ctx context.Context) {
		page, err := r.Scan(ctx, s)
		if err != nil {
			r.fail(a, err)
			return
		}
		a.Reply(AppendPage(nil, page))
	})
}

func (r *Replica) serveCount(body []byte, a answerer) {
	first, last, now, err := DecodeCount(body)
	if err != nil {
		r.fail(a, err)
		return
	}
	r.serveBulk(a, func(ctx context.Context) {
		n, err := r.Count(ctx, first, last, now)
		if err != nil {
			r.fail(a, err)
			return
		}
		a.Reply(AppendCounted(nil, n))
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
	r.serveBulk(a, func(ctx context.Context) {
		l, err := r.List(ctx, slot, leaves, after, limit)
		if err != nil {
			r.fail(a, err)
			return
		}
		a.Reply(AppendListing(nil, l))
	})
}

// serveBulk leaves what may take long to the workers for it, or refuses it.
func (r *Replica) serveBulk(a answerer, job func(context.Context)) {
	if !r.bulk.try(job) {
		a.Fail(CodeOverloaded, "too many scans are waiting on this node")
	}
}
