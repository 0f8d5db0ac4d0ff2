package resp

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

// answer is the reply to an inner command.
type answer struct {
	kind byte // of the reply in RESP: ':', '$', …; '_' for any null
	str  []byte
	num  int64
	list []answer // of an array, a set or a push; a map's keys and values in turn
}

// ask has other commands on keys carried out as parts of the one that the
// batch has come to, and returns their replies: those on different keys side by
// side, those on one key in order, each where the ring says. The first error
// among the replies is returned instead of all, though the others may have
// done their work: several commands are no transaction.
//
// It is for rows with exec, which have the batch for themselves.
func (b *batch) ask(commands ...[][]byte) ([]answer, error) {
	start := len(b.buf)
	defer func() {
		b.buf = b.buf[:start]
		b.forget()
	}()
	answers := make([]answer, 0, len(commands))
	for len(commands) > 0 {
		n := 0
		for ; n < len(commands) && len(b.units) < maxOps; n++ {
			b.plan(b.s.table.innerRow(commands[n][0]), commands[n])
		}
		commands = commands[n:]
		b.runWaves()
		for i := range b.steps {
			from := len(b.buf)
			b.answer(&b.steps[i])
			a, _, err := parseAnswer(b.buf[from:])
			if err == nil && a.kind == '-' {
				err = fault(a.str)
			}
			if err != nil {
				return nil, err
			}
			answers = append(answers, a)
			b.buf = b.buf[:from]
		}
		b.forget()
	}
	return answers, nil
}

// innerRow returns the row of a command on keys, internal ones included, whose
// name is given in lower case by this package or another node's.
func (t *table) innerRow(name []byte) *row {
	if r := t.internal[string(name)]; r != nil {
		return r
	}
	return t.byName[string(name)]
}

// parseAnswer reads the first reply in b, and returns its length. What it
// returns shares no memory with b.
func parseAnswer(b []byte) (a answer, n int, err error) {
	line, _, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok || len(line) == 0 {
		return a, 0, fmt.Errorf("resp: malformed inner reply %.40q", b)
	}
	a.kind, n = line[0], len(line)+2
	switch a.kind {
	case '+', '-', ',', '(', '#':
		a.str = bytes.Clone(line[1:])
		return a, n, nil
	case '_':
		return a, n, nil
	}
	if a.num, err = strconv.ParseInt(string(line[1:]), 10, 64); err != nil {
		return a, 0, fmt.Errorf("resp: malformed inner reply %.40q", b)
	}
	switch size := int(a.num); {
	case a.kind == ':':
	case size < 0:
		a.kind = '_'
	case a.kind == '$' || a.kind == '=':
		if len(b)-n < size+2 || string(b[n+size:n+size+2]) != "\r\n" {
			return a, 0, fmt.Errorf("resp: inner reply of %d bytes is cut short", size)
		}
		a.str = bytes.Clone(b[n : n+size])
		n += size + 2
	case !strings.ContainsRune("*~>%", rune(a.kind)):
		return a, 0, fmt.Errorf("resp: unknown type of inner reply %.40q", b)
	default:
		if a.kind == '%' {
			size *= 2
		}
		for range size {
			part, m, err := parseAnswer(b[n:])
			if err != nil {
				return a, 0, err
			}
			a.list = append(a.list, part)
			n += m
		}
	}
	return a, n, nil
}

// internalCommands are what composite commands ask of a key's node. Clients
// cannot send them: their lookup does not know them.
func internalCommands() []*row {
	return []*row{
		{
			name: fetchName, internal: true, arity: 2,
			first: 1, last: 1, step: 1,
			read: fetch,
		},
		{
			name: dropName, internal: true, arity: 3,
			first: 1, last: 1, step: 1,
			class: coordinator.RMW, plan: planDrop, write: writeDrop, finish: finishOK,
		},
		{
			name: wipeName, internal: true, arity: 3,
			first: 1, last: 1, step: 1,
			class: coordinator.Blind, plan: planDrop, write: writeWipe, finish: finishOK,
		},
	}
}

const (
	fetchName = "dynaring.fetch"
	dropName  = "dynaring.drop"
	wipeName  = "dynaring.wipe"
)

// fetch answers null, or what GET shows, when it expires (Unix ms; 0: never),
// and the context of all that was seen.
func fetch(b *batch, u *unit) {
	s, ok := b.found(u)
	if !ok {
		b.null()
		return
	}
	b.array(3)
	b.bulk(s.Value)
	b.int(expiryOf(s, b.now))
	b.str(u.cell.Context().Token(u.key.Key))
}

func planDrop(_ *batch, u *unit) error {
	seen, err := version.ParseContext(string(u.args[2]), u.key.Key)
	u.opt.ctx = &seen
	return err
}

// writeDrop deletes what a context has seen, unless there is a value that it
// has not: a plain read would see the delete, as it is newer, and not that.
// Increments that it has not seen survive by themselves.
func writeDrop(_ *batch, u *unit, w *coordinator.Write) {
	seen := u.opt.ctx
	w.Update.Decide = func(cur *version.Cell, now int64) (replica.Change, error) {
		if cur == nil {
			return replica.Change{}, nil
		}
		for i := range cur.Versions {
			if v := &cur.Versions[i]; !v.Dead(now) && !seen.Past.Contains(v.Dot) {
				return replica.Change{}, nil
			}
		}
		return replica.Change{Kind: replica.Delete, Context: seen}, nil
	}
}
