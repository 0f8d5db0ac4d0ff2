package resp

import (
	"context"
	"time"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

// batch is a client's pipeline being carried out: one command is a batch of
// one. Commands on keys are planned as units, one key each, until a command
// comes that is not on keys, or enough have gathered; then the units run in
// waves, and the commands are answered in order.
//
// A batch is used by one goroutine, except that a wave's groups run side by
// side, each on its own units.
type batch struct {
	reply // what is answered

	s    *Server
	ss   *Session
	ctx  context.Context
	now  int64              // Unix ms, of the batch
	send func([]byte) error // sends replies early; nil: they are kept

	// Where another node passed the commands on: they, and where the replies
	// of those that are answered end.
	passed []coordinator.Command
	ends   []int

	special bool // see special.go
	last    *row // of the commands so far

	steps []step
	units []unit
	waves scheduler
	wave  wave

	failed, hits, misses int64 // replies that are errors; keys found, and not

	mark time.Time // up to which the time is accounted for
}

// step is one command that waits for its units, or its error.
type step struct {
	row      *row
	args     [][]byte // the whole command
	units, n int      // units[units : units+n]
	err      error
	rejected bool         // before it was begun
	failed   bool         // answered with an error
	later    func(*batch) // appends the reply of what was begun
}

// unit is one key's share of a command.
type unit struct {
	row   *row
	args  [][]byte // a whole command on one key, as it is passed on
	key   replica.Key
	class coordinator.Class
	opt   options
	local bool // from this node's own replica alone
	// standIn: another node passed it on that can reach no owner.
	standIn bool

	wave  int32
	group int32
	done  bool

	// Out.
	cell   *version.Cell // of a read
	delta  *version.Cell // of a write
	number int64         // of an increment
	out    *outcome      // of a decision
	raw    []byte        // of another node
	err    error
}

// options are what plan read from a unit's arguments.
type options struct {
	flags  uint16
	quorum int   // R or W of this command alone
	expiry int64 // Unix ms
	by     int64
	ctx    *version.Context
}

// outcome is what a write's decision found. It is the decision's own: a
// request whose time is up may still be decided later.
type outcome struct {
	did    bool // whether the write did anything
	number int64
	had    bool   // whether there was a value before
	old    []byte // which
	fields []fieldResult
}

// run carries out commands and appends their replies, up to one that closes
// the session.
func (b *batch) run(reqs []Request) {
	for i := range reqs {
		if b.ss.closed {
			break
		}
		b.add(&reqs[i])
		if most := b.ss.together(); len(b.units) >= most || len(b.steps) >= most {
			b.flush()
		}
	}
	b.flush()
}

// add plans a command on keys, or carries out any other in its turn.
func (b *batch) add(req *Request) {
	if req.Refused != "" {
		b.steps = append(b.steps, step{err: fault(req.Refused)})
		return
	}
	row, err := b.lookup(req.Args)
	if err == nil && !b.ss.authed && !row.noAuth {
		err = errNoAuth
	}
	if err == nil && b.ss.view == ClusterView && row.at != nil {
		err = b.redirect(row, req.Args)
	}
	if err == nil {
		b.last = row
		if b.special {
			err = b.screen(row, req.Args)
		}
	}
	switch {
	case err != nil:
		b.steps = append(b.steps, step{row: row, err: err, rejected: true})
		return
	case b.ss.forwarded && (row.exec != nil || row.start != nil || len(req.Args) > maxOps):
		b.steps = append(b.steps, step{err: errNotOneKey})
	case row.merge != mergeNone && len(req.Args) > maxOps:
		b.alone(row, req.Args, func(b *batch, args [][]byte) {
			if err := b.large(row, args); err != nil {
				b.fail(err)
			}
		})
	case row.start != nil:
		b.start(row, req.Args)
	case row.exec == nil:
		b.plan(row, req.Args)
	default:
		b.alone(row, req.Args, row.exec)
	}
	if b.special {
		b.shown(row, req.Args)
	}
}

// start begins a command whose reply comes later, when all before it are done.
// What it pushes to its own client comes before its reply, behind the others.
func (b *batch) start(r *row, args [][]byte) {
	if len(b.units) > 0 || b.ss.subscribed {
		b.flush()
	}
	if b.ss.subscribed {
		b.sendNow()
	}
	b.steps = append(b.steps, step{row: r, args: args, later: r.start(b, args)})
}

// alone carries out a command in its turn, that has the batch for itself.
func (b *batch) alone(r *row, args [][]byte, exec func(*batch, [][]byte)) {
	b.flush()
	start := len(b.buf)
	exec(b, args)
	b.steps = append(b.steps, step{row: r, args: args, failed: b.answered(start)})
	b.measure(b.timed())
	b.forget()
}

// lookup finds a command's row: another node may send internal ones too.
func (b *batch) lookup(args [][]byte) (*row, error) {
	if b.ss.forwarded {
		if r := b.s.table.internal[string(args[0])]; r != nil && r.takes(len(args)) {
			return r, nil
		}
	}
	return b.s.table.lookup(args)
}

// flush runs the planned units and answers their commands.
func (b *batch) flush() {
	if len(b.steps) == 0 {
		return
	}
	b.runWaves()
	took := b.timed()
	replies := 0
	for i := range b.steps {
		start := len(b.buf)
		b.answer(&b.steps[i])
		replies += len(b.buf) - start
		if b.passed != nil {
			b.passed[len(b.ends)].Err = b.notStarted(&b.steps[i])
			b.ends = append(b.ends, len(b.buf))
		}
		b.steps[i].failed = b.answered(start)
	}
	b.ss.answered(len(b.steps), replies)
	b.measure(took)
	b.forget()
}

// forget drops what has been answered.
func (b *batch) forget() {
	clear(b.steps)
	clear(b.units)
	b.steps, b.units = b.steps[:0], b.units[:0]
}

// answered ends a command's reply, which began at start, and reports whether it
// is an error. Some have none.
func (b *batch) answered(start int) (failed bool) {
	if start < len(b.buf) && b.buf[start] == '-' {
		failed = true
		b.failed++
		if !b.ss.forwarded {
			b.s.errors.add(b.buf[start:])
		}
	}
	if b.ss.mute != muteNone {
		b.muted(start)
	}
	if b.send != nil && len(b.buf) >= replyFlush {
		b.sendNow()
	}
	return failed
}

// notStarted returns the error of a command that another node may run instead.
func (b *batch) notStarted(st *step) error {
	if st.err != nil || st.n != 1 {
		return nil
	}
	if err := b.units[st.units].err; err != nil && coordinator.NotStarted(err) {
		return err
	}
	return nil
}

// answer appends a command's reply.
func (b *batch) answer(st *step) {
	switch {
	case st.err != nil:
		b.fail(st.err)
	case st.later != nil:
		st.later(b)
	case st.row.merge == mergeNone:
		b.part(&b.units[st.units])
	default:
		m := b.beginMerge(st.row, st.n)
		m.add(b.units[st.units : st.units+st.n])
		m.end()
	}
}

// part appends the reply to one unit.
func (b *batch) part(u *unit) {
	switch {
	case u.err != nil:
		b.fail(u.err)
	case u.raw != nil:
		b.raw(u.raw)
	case u.row.read != nil:
		u.row.read(b, u)
	default:
		u.row.finish(b, u)
	}
}

// fail appends the reply to an error, and logs what clients are not told.
func (b *batch) fail(err error) {
	text, known := faultOf(err, b.s.opts.Cluster.ActorName)
	if !known {
		b.s.log.Error("a command failed", "err", err)
	}
	b.error(text)
}

// found returns what a plain read answers for the unit's cell.
func (b *batch) found(u *unit) (version.Sibling, bool) {
	s, ok := winner(u.cell, b.now)
	if ok {
		b.hits++
	} else {
		b.misses++
	}
	return s, ok
}
