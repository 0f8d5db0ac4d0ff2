package resp

import (
	"bytes"
	"fmt"

	"github.com/dynaring/dynaring/storage/version"
)

// Request is one whole command as a client sent it. Its memory is the
// receiver's to keep: nothing is read into it again.
type Request struct {
	Args [][]byte // never empty, unless Refused
	// Refused is the error, without its leading '-', that answers a command
	// whose bytes were thrown away for their size; else "".
	Refused string
}

// protocolError ends a connection after it has been told to the client.
type protocolError string

func (e protocolError) Error() string { return "ERR Protocol error: " + string(e) }

// framer cuts a client's bytes into whole commands. Every length is checked
// when its header is read; memory grows only as bytes arrive, and a command
// beyond its limits is skipped without being kept. It is pure: its owner reads
// into space() and says so with wrote().
//
//	buf  [ … | whole commands of the batch | the one being read | free ]
//	         r                             r+start        r+pos  w
//
// Offsets are relative to r; what is behind r is done with.
type framer struct {
	maxValue int // bytes of one argument that are kept

	buf  []byte
	r, w int

	// The command being read.
	start   int    // its first byte
	pos     int    // the next byte to look at
	seen    int    // header bytes behind pos that hold no line end
	left    int    // arguments to come; 0 at a command's start
	bulk    int    // length of the argument being read, -1 while its header is
	skip    int    // bytes of an argument being thrown away
	refused string // why the command is being thrown away

	marks []mark  // arguments of the batch and of the command being read
	done  []whole // the batch's commands
	first int     // marks before the command being read

	reqs []Request // what take returned last
}

// mark is where an argument lies.
type mark struct{ off, len uint32 }

// whole is a complete command: marks of the batch, or its own arguments.
type whole struct {
	first, n int
	inline   [][]byte
	refused  string
}

func newFramer(maxValue int) framer {
	return framer{maxValue: maxValue, bulk: -1}
}

// space returns where to read to next. It is never empty.
func (f *framer) space() []byte {
	switch {
	case f.r == f.w:
		f.r, f.w = 0, 0
		if f.buf == nil {
			f.buf = make([]byte, readBufferMin)
		}
	case f.w < len(f.buf):
	case f.r > 0:
		f.w = copy(f.buf, f.buf[f.r:f.w])
		f.r = 0
	}
	if f.w == len(f.buf) {
		f.grow()
	}
	return f.buf[f.w:]
}

// unread returns the bytes that are no whole command yet, and the room for
// more, in the upper and the lower 32 bits.
func (f *framer) unread() uint64 {
	n := f.w - f.r
	return uint64(n)<<32 | uint64(uint32(len(f.buf)-n))
}

func (f *framer) grow() {
	grown := make([]byte, 2*len(f.buf))
	f.r, f.w = 0, copy(grown, f.buf[f.r:f.w])
	f.buf = grown
}

// wrote says that n bytes were read into space.
func (f *framer) wrote(n int) {
	f.w += n
	if f.w == len(f.buf) && len(f.buf) < readBufferMax {
		// The client sends more than fits: read more at a time from now on.
		f.grow()
	}
}

// take returns the whole commands that have arrived, at most limit; the slice
// is valid until the next call. unauth applies the limits of a client that has
// not authenticated. After an error, which ends the connection, the commands
// before it are still to be served.
func (f *framer) take(limit int, unauth bool) ([]Request, error) {
	var err error
	for len(f.done) < limit && f.r+f.pos < f.w {
		more, e := f.step(unauth)
		if e != nil {
			err = e
			break
		}
		if !more {
			break
		}
	}
	return f.batch(), err
}

// step reads on by one header, one argument or one inline command; more is
// false where bytes are missing.
func (f *framer) step(unauth bool) (more bool, err error) {
	switch {
	case f.skip > 0:
		n := min(f.skip, f.w-f.r-f.pos)
		f.pos += n
		f.skip -= n
		if f.skip == 0 {
			f.argument()
		}
		return true, nil
	case f.bulk >= 0:
		end := f.pos + f.bulk + len("\r\n")
		if f.r+end > f.w {
			return false, nil
		}
		f.marks = append(f.marks, mark{uint32(f.pos), uint32(f.bulk)})
		f.pos = end // like Redis, without looking at the two bytes
		f.argument()
		return true, nil
	case f.left > 0:
		return f.bulkHeader(unauth)
	case f.buf[f.r+f.pos] == '*':
		return f.arrayHeader(unauth)
	}
	return f.inlineCommand()
}

// argument ends an argument and, where it was the last, the command.
func (f *framer) argument() {
	f.bulk = -1
	if f.left--; f.left == 0 {
		f.command(whole{first: f.first, n: len(f.marks) - f.first, refused: f.refused})
	}
}

// command ends the command being read.
func (f *framer) command(c whole) {
	if c.n > 0 || len(c.inline) > 0 || c.refused != "" {
		f.done = append(f.done, c)
	}
	f.start, f.first, f.refused = f.pos, len(f.marks), ""
}

// line returns the bytes from pos to the next end byte, where it and `behind`
// more bytes have come, and moves past them. tooBig says that it is too long.
func (f *framer) line(end byte, behind int) (line []byte, ok, tooBig bool) {
	b := f.buf[f.r+f.pos : f.w]
	if len(b) > maxInline+1 {
		b = b[:maxInline+1]
	}
	i := bytes.IndexByte(b[min(f.seen, len(b)):], end)
	if i < 0 {
		f.seen = len(b)
		return nil, false, len(b) > maxInline
	}
	i += min(f.seen, len(b))
	if f.r+f.pos+i+behind >= f.w {
		f.seen = i
		return nil, false, false
	}
	f.seen = 0
	f.pos += i + 1 + behind
	return b[:i], true, false
}

func (f *framer) arrayHeader(unauth bool) (more bool, err error) {
	line, ok, tooBig := f.line('\r', 1)
	if !ok {
		if tooBig {
			return false, protocolError("too big mbulk count string")
		}
		return false, nil
	}
	n, ok := version.ParseInteger(line[1:])
	switch {
	case !ok || n > maxArgs:
		return false, protocolError("invalid multibulk length")
	case unauth && n > maxArgsUnauth:
		return false, protocolError("unauthenticated multibulk length")
	case n <= 0:
		f.command(whole{})
	default:
		f.left = int(n)
	}
	return true, nil
}

func (f *framer) bulkHeader(unauth bool) (more bool, err error) {
	line, ok, tooBig := f.line('\r', 1)
	switch {
	case tooBig:
		return false, protocolError("too big bulk count string")
	case !ok:
		return false, nil
	case len(line) == 0 || line[0] != '$':
		got := byte(' ') // Redis turns line ends in its errors into spaces
		if len(line) > 0 && line[0] != '\n' {
			got = line[0]
		}
		return false, protocolError(fmt.Sprintf("expected '$', got '%s'", []byte{got}))
	}
	n, ok := version.ParseInteger(line[1:])
	switch {
	case !ok || n < 0 || n > maxBulk:
		return false, protocolError("invalid bulk length")
	case unauth && n > maxBulkUnauth:
		return false, protocolError("unauthenticated bulk length")
	}
	f.admit(int(n))
	return true, nil
}

// admit begins an argument of n bytes, which is skipped if the command is
// beyond its limits, from here on or since before.
func (f *framer) admit(n int) {
	if f.refused == "" {
		switch {
		case n > f.maxValue:
			f.refused = fmt.Sprintf("ERR argument of %d bytes is larger than the limit of %d bytes (--max-value)", n, f.maxValue)
		case f.pos-f.start+n > maxCommand+commandOverlap:
			f.refused = fmt.Sprintf("ERR command is larger than the limit of %d bytes", maxCommand)
		}
		if f.refused != "" {
			f.marks = f.marks[:f.first]
		}
	}
	if f.refused != "" {
		f.skip = n + len("\r\n")
		return
	}
	f.bulk = n
}

func (f *framer) inlineCommand() (more bool, err error) {
	line, ok, tooBig := f.line('\n', 0)
	switch {
	case tooBig:
		return false, protocolError("too big inline request")
	case !ok:
		return false, nil
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	args, ok := splitInline(line)
	if !ok {
		return false, protocolError("unbalanced quotes in request")
	}
	f.command(whole{inline: args})
	return true, nil
}

// batch turns the whole commands into requests and lets go of their bytes.
func (f *framer) batch() []Request {
	if f.refused != "" {
		f.start = f.pos // thrown away as it comes
	}
	clear(f.reqs)
	f.reqs = f.reqs[:0]
	if len(f.done) > 0 {
		f.requests(f.buf[f.r : f.r+f.start])
	}
	f.forget()
	return f.reqs
}

// requests fills reqs. raw is the batch's bytes, copied unless they are many:
// then the buffer itself goes along and is replaced.
func (f *framer) requests(raw []byte) {
	if len(raw) < handOver {
		raw = bytes.Clone(raw)
	} else {
		rest := f.buf[f.r+len(raw) : f.w]
		f.buf = make([]byte, max(readBufferMax, 2*len(rest)))
		f.r, f.w = -len(raw), copy(f.buf, rest) // r+start is the new buffer's first byte
	}
	args := make([][]byte, f.first)
	for i, m := range f.marks[:f.first] {
		args[i] = raw[m.off : m.off+m.len : m.off+m.len]
	}
	for _, c := range f.done {
		req := Request{Args: c.inline, Refused: c.refused}
		if c.inline == nil {
			req.Args = args[c.first : c.first+c.n : c.first+c.n]
		}
		f.reqs = append(f.reqs, req)
	}
}

// forget drops the bytes before start, and what was noted about them.
func (f *framer) forget() {
	taken := f.start
	f.r += taken
	f.start, f.pos = 0, f.pos-taken
	f.marks = f.marks[:copy(f.marks, f.marks[f.first:])]
	if taken > 0 {
		for i := range f.marks {
			f.marks[i].off -= uint32(taken)
		}
	}
	clear(f.done)
	f.done, f.first = f.done[:0], 0
	if len(f.marks) == 0 && cap(f.marks) > marksKeep {
		f.marks = nil
	}
	if rest := f.w - f.r; len(f.buf) > 2*readBufferMax && rest <= readBufferMax {
		buf := make([]byte, readBufferMax)
		f.r, f.w = 0, copy(buf, f.buf[f.r:f.w])
		f.buf = buf
	}
}
