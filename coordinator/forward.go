package coordinator

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
)

// Forward passes commands on to node, which Route named, and fills in every
// command's Reply or Err. What was certainly not started there is tried on
// another node, or here if this node has become the next in line; so is a
// read whose answer was lost, and a read that is late is asked of a second
// owner as well. A write that may have been started is never tried again: it
// ends in *UncertainError. The commands of one call have no order among each
// other.
func (c *Coordinator) Forward(ctx context.Context, node string, x *Exec) {
	d := c.forwarder()
	d.ctx, d.x = ctx, x
	size := 0
	for i := range x.Commands {
		size += execSize(&x.Commands[i])
	}
	// It is carried twice: to the owner, and from there to the others.
	d.deadline = c.deadline(ctx, time.Now()).Add(2 * allowance(size))
	d.commands = slices.Grow(d.commands[:0], len(x.Commands))[:len(x.Commands)]
	clear(d.commands)
	d.open = len(x.Commands)
	v := c.views.View()
	for i := range x.Commands {
		cmd := &x.Commands[i]
		cmd.Reply, cmd.Err, cmd.StandIn = nil, nil, c.sendsStandIn(&v, cmd.Slot, node)
		d.todo = append(d.todo, int32(i))
	}
	c.counters.forwarded.Add(uint64(len(x.Commands)))
	d.send(node, d.todo)
	d.todo = d.todo[:0]
	d.run()
	d.leave()
}

// InOneFrame returns how many of the commands, from the first on, travel in one
// frame, and so are carried out in their order where they are on one key.
func InOneFrame(commands []Command) int {
	return framed(len(commands), func(i int) *Command { return &commands[i] })
}

// framed is InOneFrame of the first n commands that command returns.
func framed(n int, command func(i int) *Command) (k int) {
	for size := 0; k < n && k < maxExecCommands && (k == 0 || size < softFrame); k++ {
		size += execSize(command(k))
	}
	return k
}

// forwardDriver passes on one batch of commands. All but the inbox belongs to
// the caller.
type forwardDriver struct {
	driver
	c        *Coordinator
	ctx      context.Context // the caller's, while it waits
	x        *Exec
	deadline time.Time
	commands []forwarded
	open     int      // commands without an outcome
	nodes    []string // that commands were sent to
	legs     []*execLeg
	todo     []int32 // commands to be tried elsewhere
	batch    []int32
	buf      []byte

	mu    sync.Mutex
	inbox []*execLeg
	gone  bool
}

// forwarded is the state of one command.
type forwarded struct {
	done    bool
	pending int    // legs that may still answer it
	tried   uint64 // by index in nodes
	sent    int    // how often it was sent anywhere
}

// execLeg is one frame of commands on its way.
type execLeg struct {
	d    *forwardDriver
	node string
	at   int // in nodes
	idx  []int32
	sent time.Time
	late time.Time // when its reads are asked of another owner; zero: never
	done func(peer.Reply)
	body []byte
	err  error
}

func (c *Coordinator) forwarder() *forwardDriver {
	d, _ := c.forwards.Get().(*forwardDriver)
	if d == nil {
		d = &forwardDriver{c: c}
		d.init(func() {
			d.reset()
			c.forwards.Put(d)
		})
	}
	d.hold()
	return d
}

func (d *forwardDriver) reset() {
	for _, l := range d.legs {
		l.body, l.err = nil, nil // replies alias the body: it is the caller's now
	}
	clear(d.nodes)
	d.legs, d.nodes, d.todo, d.inbox = d.legs[:0], d.nodes[:0], d.todo[:0], d.inbox[:0]
	d.buf, d.gone = keepSmall(d.buf), false
}

// run waits until every command has its outcome.
func (d *forwardDriver) run() {
	for d.open > 0 {
		d.sleep(d.ctx, d.nextEvent())
		d.collect()
		d.retry()
		now := time.Now()
		if !now.Before(d.deadline) || d.ctx.Err() != nil {
			break
		}
		d.hedge(now)
	}
	for i := range d.commands {
		if !d.commands[i].done {
			d.giveUp(i)
		}
	}
}

// send passes commands on to a node, in as few frames as are not too large.
func (d *forwardDriver) send(node string, index []int32) {
	at := slices.Index(d.nodes, node)
	if at < 0 {
		at = len(d.nodes)
		d.nodes = append(d.nodes, node)
	}
	now := time.Now()
	for len(index) > 0 {
		n := framed(len(index), func(i int) *Command { return &d.x.Commands[index[i]] })
		l := d.leg()
		l.node, l.at, l.sent = node, at, now
		l.idx = append(l.idx[:0], index[:n]...)
		l.late = now.Add(d.c.late.after(node, replica.KindExec))
		index = index[n:]
		for _, i := range l.idx {
			d.commands[i].pending++
			d.commands[i].tried |= bit(at)
			d.commands[i].sent++
		}
		d.buf = appendExec(d.buf[:0], d.x, l.idx, d.share(now))
		d.hold()
		d.c.peers.Call(node, peer.Foreground, replica.KindExec, d.buf, d.deadline, l.done)
	}
}

// share is how much of the time that is left the other node may use, so that
// what it says in the end still arrives.
func (d *forwardDriver) share(now time.Time) time.Duration {
	left := d.deadline.Sub(now)
	return left - left/8
}

func (d *forwardDriver) leg() *execLeg {
	d.legs = grow(d.legs)
	l := d.legs[len(d.legs)-1]
	if l == nil {
		l = &execLeg{d: d}
		l.done = l.answered
		d.legs[len(d.legs)-1] = l
	}
	return l
}

// answered takes a frame's answer, on the goroutine that brings it.
func (l *execLeg) answered(r peer.Reply) {
	d := l.d
	d.c.observe(l.node, replica.KindExec, l.sent, r.Err)
	d.mu.Lock()
	if !d.gone {
		l.err = r.Err
		l.body = slices.Clone(r.Body)
		d.inbox = append(d.inbox, l)
	}
	d.mu.Unlock()
	d.nudge()
	d.release()
}

// collect takes in the answers that have arrived, and notes in todo what has
// to be tried elsewhere.
func (d *forwardDriver) collect() {
	for {
		d.mu.Lock()
		if len(d.inbox) == 0 {
			d.mu.Unlock()
			return
		}
		l := d.inbox[0]
		d.inbox = d.inbox[:copy(d.inbox, d.inbox[1:])]
		d.mu.Unlock()
		l.late = time.Time{}
		d.c.noteSlow(l, l.err)
		for _, i := range l.idx {
			d.commands[i].pending--
		}
		if l.err == nil {
			l.err = d.take(l)
		}
		if l.err == nil {
			continue
		}
		for _, i := range l.idx {
			if errors.Is(l.err, peer.ErrTooLarge) && !d.commands[i].done {
				d.finish(int(i), nil, l.err) // for every other owner as well
				continue
			}
			d.lost(int(i), notStarted(l.err))
		}
	}
}

// take fills in the replies of a frame.
func (d *forwardDriver) take(l *execLeg) error {
	again := d.batch[:0]
	err := eachReply(l.body, len(l.idx), func(n int, st status, body []byte) {
		i := int(l.idx[n])
		switch {
		case d.commands[i].done:
		case st == statusReply:
			d.finish(i, body, nil)
		case st == statusNotStarted:
			if len(body) > 0 {
				d.c.passOver(l.node, errors.New(string(body)))
			}
			d.lost(i, true)
		case st == statusLater:
			again = append(again, int32(i))
		default:
			d.finish(i, nil, errors.New(string(body)))
		}
	})
	d.batch = again[:0]
	if err == nil && len(again) > 0 {
		d.send(l.node, again)
	}
	return err
}

// notStarted reports whether a frame's error says that none of its commands
// was started.
func notStarted(err error) bool {
	if remote, ok := err.(*peer.RemoteError); ok {
		switch remote.Code {
		case CodeLoading, replica.CodeMalformed, replica.CodeOverloaded, replica.CodeClosed, replica.CodeStale:
			return true
		}
		return false
	}
	return peer.NotSent(err)
}

func (d *forwardDriver) finish(i int, reply []byte, err error) {
	d.commands[i].done = true
	d.open--
	d.x.Commands[i].Reply, d.x.Commands[i].Err = reply, err
}

// giveUp ends a command that has no answer.
func (d *forwardDriver) giveUp(i int) {
	cmd, width := &d.x.Commands[i], 1
	if r := d.c.views.View().Ring; r != nil {
		width = r.Lookup(cmd.Slot).Width
	}
	if cmd.Class == Reading {
		d.c.counters.noQuorum.Add(1)
		d.finish(i, nil, &NoQuorumError{Op: "read", Need: quorum(d.x.R, d.c.opts.R, width)})
		return
	}
	d.c.counters.uncertain.Add(1)
	d.finish(i, nil, &UncertainError{W: quorum(d.x.W, d.c.opts.W, width), Lost: true})
}

// leave ends the caller's use of the driver.
func (d *forwardDriver) leave() {
	d.mu.Lock()
	d.gone = true
	d.ctx, d.x = nil, nil
	d.mu.Unlock()
	d.release()
}
