package coordinator

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/dynaring/dynaring/ring"
)

// Class says what a command does to its key, which decides who runs it and
// whether it may be tried again.
type Class uint8

const (
	// Reading changes nothing: any owner runs it, more than one may.
	Reading Class = iota
	// Blind writes without reading: any owner runs it, once.
	Blind
	// RMW reads, then writes: the first owner that can be reached runs it,
	// once, so that without failures one node orders a key's changes.
	RMW
)

// Exec is commands that are passed on to one owner as they came, and their
// replies. The node that gets them runs them itself and passes none on.
type Exec struct {
	Proto    int // the session's RESP protocol: 2 or 3
	R, W     int // the session's; 0: the default of the node that runs them
	Commands []Command
}

// Command is one command on one key, and its outcome: a Reply or an Err.
type Command struct {
	Slot  uint16
	Class Class
	Args  [][]byte // with its name
	// StandIn: who passes it on can reach no present owner, the node that gets
	// it is to run it all the same. Set by Forward.
	StandIn bool

	// Reply is the RESP reply, whole, in the session's protocol.
	Reply []byte
	// Err says that there is no reply. Of an Executor: an error that NotStarted
	// knows, where it has not started the command. Of Forward:
	// *NoQuorumError (nothing was started), *UncertainError (the owner that
	// ran it was lost), or errors that nothing can be done about.
	Err error
}

// Executor runs passed-on commands on this node, each as its own table says,
// and fills in every command's Reply or Err. Commands on one key keep their
// order. ctx carries the request's deadline. The arguments are only valid
// until it returns.
type Executor func(ctx context.Context, x *Exec)

// The wire forms. Integers are unsigned varints unless a width is given.
//
//	request  format 1, proto, R, W, left (µs until the deadline), commands n,
//	         n × (class 1, and 128 as a stand-in; slot, args n, n × (length, bytes))
//	replies  format 1, n, n × (status 1, length, bytes)
const (
	formatExec  = 1
	flagStandIn = 128

	// maxExecCommands bounds the commands of a frame.
	maxExecCommands = 1 << 16
	// softFrame is the size from which on a request, or a batch of cells,
	// goes on in another frame: far below any transport's limit, far above
	// what one pipeline needs.
	softFrame = 1 << 20
)

// status says what became of a passed-on command.
type status uint8

const (
	statusReply      status = iota // bytes are its reply
	statusNotStarted               // another node may run it; bytes are why this one cannot store it
	statusLater                    // a read whose reply did not fit: ask again
	statusFailed                   // not started, for the reason in bytes
	statusEnd
)

var errBadExec = errors.New("malformed frame of commands")

// appendExec appends the request that carries the commands at index.
func appendExec(dst []byte, x *Exec, index []int32, left time.Duration) []byte {
	dst = append(dst, formatExec)
	dst = binary.AppendUvarint(dst, uint64(max(0, x.Proto)))
	dst = binary.AppendUvarint(dst, uint64(max(0, x.R)))
	dst = binary.AppendUvarint(dst, uint64(max(0, x.W)))
	dst = binary.AppendUvarint(dst, uint64(max(0, left.Microseconds())))
	dst = binary.AppendUvarint(dst, uint64(len(index)))
	for _, i := range index {
		cmd := &x.Commands[i]
		class := byte(cmd.Class)
		if cmd.StandIn {
			class |= flagStandIn
		}
		dst = append(dst, class)
		dst = binary.AppendUvarint(dst, uint64(cmd.Slot))
		dst = binary.AppendUvarint(dst, uint64(len(cmd.Args)))
		for _, a := range cmd.Args {
			dst = binary.AppendUvarint(dst, uint64(len(a)))
			dst = append(dst, a...)
		}
	}
	return dst
}

// execSize is about what a command takes in a request.
func execSize(cmd *Command) int {
	n := 16
	for _, a := range cmd.Args {
		n += 5 + len(a)
	}
	return n
}

// decodeExec reads a request into x, reusing its memory; the arguments alias
// b. left is the time until the request's deadline.
func decodeExec(b []byte, x *Exec, args *[][]byte) (left time.Duration, err error) {
	d := decoder{b: b}
	if d.byte() != formatExec {
		return 0, errBadExec
	}
	x.Proto, x.R, x.W = d.small(), d.small(), d.small()
	micros := d.uint()
	n := d.count(maxExecCommands, 3)
	x.Commands = x.Commands[:0]
	all := (*args)[:0]
	for range n {
		class := d.byte()
		cmd := Command{Class: Class(class &^ flagStandIn), StandIn: class&flagStandIn != 0}
		slot := d.uint()
		argc := d.count(len(b), 1)
		if d.bad || cmd.Class > RMW || slot >= ring.Slots || argc == 0 {
			return 0, errBadExec
		}
		cmd.Slot = uint16(slot)
		from := len(all)
		for range argc {
			all = append(all, d.bytes())
		}
		cmd.Args = all[from:len(all):len(all)]
		x.Commands = append(x.Commands, cmd)
	}
	*args = all
	if d.bad || len(d.b) != 0 || n == 0 || micros > uint64(maxLeft.Microseconds()) {
		return 0, errBadExec
	}
	return time.Duration(micros) * time.Microsecond, nil
}

// maxLeft bounds how long another node may have this one work for it.
const maxLeft = time.Hour

// appendReplies appends the reply frame. Replies to writes are always in it;
// reads whose replies would make it longer than limit are to be asked for
// again, but the first always fits.
func appendReplies(dst []byte, x *Exec, limit int) []byte {
	size := 0
	for i := range x.Commands {
		if x.Commands[i].Class != Reading {
			size += len(x.Commands[i].Reply)
		}
	}
	dst = append(dst, formatExec)
	dst = binary.AppendUvarint(dst, uint64(len(x.Commands)))
	for i := range x.Commands {
		cmd := &x.Commands[i]
		st, body := statusReply, cmd.Reply
		switch {
		case cmd.Err != nil && refusedHere(cmd.Err):
			st, body = statusNotStarted, []byte(cmd.Err.Error())
		case cmd.Err != nil && NotStarted(cmd.Err):
			st, body = statusNotStarted, nil
		case cmd.Err != nil:
			st, body = statusFailed, []byte(cmd.Err.Error())
		case cmd.Class == Reading && size > 0 && size+len(body) > limit:
			st, body = statusLater, nil
		case cmd.Class == Reading:
			size += len(body)
		}
		dst = append(dst, byte(st))
		dst = binary.AppendUvarint(dst, uint64(len(body)))
		dst = append(dst, body...)
	}
	return dst
}

// eachReply calls fn with the status and bytes of each of the n replies, in
// order. The bytes alias b. It calls fn only if the whole frame is sound.
func eachReply(b []byte, n int, fn func(i int, st status, body []byte)) error {
	for pass := range 2 {
		d := decoder{b: b}
		if d.byte() != formatExec || d.count(maxExecCommands, 2) != n {
			return errBadExec
		}
		for i := range n {
			st := status(d.byte())
			body := d.bytes()
			if d.bad || st >= statusEnd {
				return errBadExec
			}
			if pass == 1 {
				fn(i, st, body)
			}
		}
		if len(d.b) != 0 {
			return errBadExec
		}
	}
	return nil
}

// decoder takes a frame apart. After the first thing that is not there it is
// bad, and answers zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() { d.bad, d.b = true, nil }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// small reads a quorum or a protocol number.
func (d *decoder) small() int {
	v := d.uint()
	if v > maxOwners {
		d.fail()
		return 0
	}
	return int(v)
}

// count reads how many things follow, each of at least size bytes.
func (d *decoder) count(limit, size int) int {
	v := d.uint()
	if v > uint64(limit) || v > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(v)
}

func (d *decoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	s := d.b[:n:n]
	d.b = d.b[n:]
	return s
}
