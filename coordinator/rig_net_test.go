package coordinator

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// link is a node's Peers.
type link struct {
	rig  *rig
	from string
}

func (l link) Up(name string) bool {
	l.rig.mu.Lock()
	defer l.rig.mu.Unlock()
	return !l.rig.cutOff(l.from, name)
}

// cutOff reports whether one node cannot call another. r.mu is held.
func (r *rig) cutOff(from, to string) bool {
	return r.down[to] || r.down[from] || r.cuts[[2]string{from, to}]
}

func (l link) Call(to string, _ peer.Class, kind uint8, body []byte, deadline time.Time, done func(peer.Reply)) {
	r := l.rig
	if to == l.from || r.nodes[to] == nil {
		panic("a call to " + to)
	}
	r.mu.Lock()
	f, cut := fate{}, r.cutOff(l.from, to)
	if r.fate != nil {
		f = r.fate(l.from, to, kind)
	}
	r.calls[kind]++
	r.mu.Unlock()
	if cut {
		f.refuse = peer.ErrUnreachable
	}
	if f.refuse != nil {
		done(peer.Reply{Err: f.refuse})
		return
	}
	if f.delay == 0 {
		f.delay = time.Millisecond
	}
	var once sync.Once
	finish := func(rep peer.Reply) { once.Do(func() { done(rep) }) }
	late := time.AfterFunc(time.Until(deadline), func() { finish(peer.Reply{Err: peer.ErrTimeout}) })
	body = bytes.Clone(body)
	serve := r.nodes[to].serve
	if f.code != 0 {
		serve = func(_ uint8, _ []byte, reply answer) { reply.Fail(f.code, "as the test says") }
	}
	deliver := func() {
		serve(kind, bytes.Clone(body), func(rep peer.Reply) {
			rep.Body = bytes.Clone(rep.Body)
			if f.cut {
				rep = peer.Reply{Err: peer.ErrLost}
			}
			if !f.loseReply {
				time.AfterFunc(f.delay, func() {
					late.Stop()
					finish(rep)
					clear(rep.Body) // whoever kept it sees it change
				})
			}
		})
	}
	if f.loseRequest {
		return
	}
	time.AfterFunc(f.delay, deliver)
	if f.twice {
		time.AfterFunc(2*f.delay, deliver)
	}
}

// answer is a request as its server sees it.
type answer func(peer.Reply)

func (a answer) Reply(body []byte) { a(peer.Reply{Body: body}) }
func (a answer) Fail(code peer.Code, text string) {
	a(peer.Reply{Err: &peer.RemoteError{Code: code, Text: text}})
}

// serve answers another node's request as a replica and its coordinator do.
func (n *node) serve(kind uint8, body []byte, reply answer) {
	bad := func(err error) {
		switch {
		case errors.Is(err, storage.ErrDiskFull):
			reply.Fail(replica.CodeRefused, err.Error())
			return
		case errors.Is(err, storage.ErrDamaged):
			reply.Fail(replica.CodeDamaged, err.Error())
			return
		}
		reply.Fail(replica.CodeFailed, err.Error())
	}
	if kind != replica.KindExec && kind != replica.KindApply && n.refuse(kind, body, reply) {
		return
	}
	switch kind {
	case replica.KindExec:
		n.serveExec(body, stamp(), reply)
	case replica.KindApply:
		cells, err := replica.DecodeApply(body)
		if err != nil {
			bad(err)
			return
		}
		n.replica.Apply(&replica.ApplyBatch{Cells: cells, Done: func(err error) {
			if err != nil {
				bad(err)
				return
			}
			reply.Reply(nil)
		}})
	case replica.KindHint:
		owner, must, cells, err := replica.DecodeHint(body)
		if err != nil {
			bad(err)
			return
		}
		n.replica.Apply(&replica.ApplyBatch{For: owner, Must: must, Cells: cells, Done: func(err error) {
			switch {
			case errors.Is(err, replica.ErrHintsFull):
				reply.Fail(replica.CodeHintsFull, err.Error())
			case err != nil:
				bad(err)
			default:
				reply.Reply(nil)
			}
		}})
	case replica.KindProbe:
		go func() {
			if err := n.store.Probe(); err != nil {
				bad(err)
				return
			}
			reply.Reply(nil)
		}()
	case replica.KindRead:
		asks, _, err := replica.DecodeRead(body)
		if err != nil {
			bad(err)
			return
		}
		answers, err := n.answers(asks)
		if err != nil {
			bad(err)
			return
		}
		reply.Reply(replica.AppendAnswers(nil, answers))
	case replica.KindScan:
		s, err := replica.DecodeScan(body)
		if err != nil {
			bad(err)
			return
		}
		page, err := n.replica.Scan(context.Background(), s)
		if err != nil {
			bad(err)
			return
		}
		reply.Reply(replica.AppendPage(nil, page))
	case replica.KindCount:
		c, err := replica.DecodeCount(body)
		if err != nil {
			bad(err)
			return
		}
		counted, err := n.replica.Count(context.Background(), c)
		if err != nil {
			bad(err)
			return
		}
		reply.Reply(replica.AppendCounted(nil, counted))
	}
}

// maxAnswered makes answers run out of room early, so that the tests meet it.
const maxAnswered = 5

func (n *node) answers(asks []replica.Ask) (out []replica.Answer, err error) {
	found := 0
	for _, a := range asks {
		cell, err := n.replica.Held(a.Key)
		switch {
		case err != nil:
			return nil, err
		case cell.Digest() == a.Digest:
			out = append(out, replica.Answer{Status: replica.Same})
		case cell == nil:
			out = append(out, replica.Answer{Status: replica.Absent})
		case found == maxAnswered:
			out = append(out, replica.Answer{Status: replica.Later})
		default:
			found++
			out = append(out, replica.Answer{Status: replica.Found, Cell: cell})
		}
	}
	return out, nil
}

// stamp is the clock of a frame that is sent now.
func stamp() version.Timestamp { return version.TimestampAt(time.Now().UnixMilli()) }
