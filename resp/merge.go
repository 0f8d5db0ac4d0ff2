package resp

import (
	"fmt"

	"github.com/dynaring/dynaring/storage/version"
)

// merging makes one reply of those to the keys of a command. The first error
// stands for all.
type merging struct {
	b      *batch
	row    *row
	start  int // of the reply in the batch's
	sum    int64
	failed bool
}

// beginMerge begins the reply to a command of n keys.
func (b *batch) beginMerge(r *row, n int) merging {
	m := merging{b: b, row: r, start: len(b.buf)}
	if r.merge == mergeList {
		b.array(n)
	}
	return m
}

// add takes the replies to some more of the keys.
func (m *merging) add(units []unit) {
	b := m.b
	for i := range units {
		if m.failed {
			return
		}
		u, from := &units[i], len(b.buf)
		b.part(u)
		switch part := b.buf[from:]; {
		case part[0] == '-':
			m.failed = true
			b.buf = append(b.buf[:m.start], part...)
		case m.row.merge == mergeSum:
			m.sum += integerReply(part)
			b.buf = b.buf[:from]
		case m.row.merge == mergeOK:
			b.buf = b.buf[:from]
		case u.raw != nil: // an array of one, from another node
			b.buf = append(b.buf[:from], listOfOne(part)...)
		}
		if len(b.buf)-m.start > b.s.maxReply {
			m.failed = true
			b.buf = b.buf[:m.start]
			b.error(fmt.Sprintf("ERR the reply is larger than the limit of %d bytes: ask for fewer keys at a time", b.s.maxReply))
		}
	}
}

// end completes the reply.
func (m *merging) end() {
	switch {
	case m.failed:
	case m.row.merge == mergeSum:
		m.b.int(m.sum)
	case m.row.merge == mergeOK:
		m.b.ok()
	}
}

// large carries out a command of many keys piece by piece, so that what it
// takes does not grow with them. The batch has nothing else to do meanwhile.
func (b *batch) large(r *row, args [][]byte) error {
	keys := args[r.first:]
	if len(keys)%r.step != 0 {
		return errArity(r.name)
	}
	for i := 0; i < len(keys); i += r.step {
		if err := b.checkKey(keys[i]); err != nil {
			return err
		}
	}
	m := b.beginMerge(r, len(keys)/r.step)
	piece := make([][]byte, 0, r.first+maxOps*r.step)
	for len(keys) > 0 && !(m.failed && r.merge == mergeList) { // writes go on
		n := min(maxOps*r.step, len(keys))
		piece = append(append(piece[:0], args[:r.first]...), keys[:n]...)
		b.plan(r, piece)
		b.runWaves()
		m.add(b.units)
		b.forget()
		keys = keys[n:]
	}
	m.end()
	return nil
}

// integerReply reads the number of ":n\r\n".
func integerReply(b []byte) int64 {
	if len(b) < len(":0\r\n") {
		return 0
	}
	n, _ := version.ParseInteger(b[1 : len(b)-2])
	return n
}

// listOfOne returns the element of "*1\r\n…".
func listOfOne(b []byte) []byte {
	const header = "*1\r\n"
	if len(b) < len(header) || string(b[:len(header)]) != header {
		return b
	}
	return b[len(header):]
}
