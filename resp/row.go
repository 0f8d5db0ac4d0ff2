package resp

import (
	"iter"
	"strings"

	"github.com/dynaring/dynaring/coordinator"
)

// row is one command: what it is called, what it does to which keys, how it is
// documented (Redis's src/commands/*.json), and its handler.
//
// A command without keys has exec. A command on keys has read, or write and
// finish: its handlers see one key, and where it takes several the row's merge
// says how the parts make one reply. A composite command, which reads some keys
// to write others, has exec too: it asks commands on keys (inner.go). A command
// that others answer has start, which begins it, and returns what waits for them
// and appends the reply: several of a pipeline are under way at once.
type row struct {
	name  string // lower case; a subcommand's after its container's: "client|id"
	arity int    // arguments with the name; negative: at least that many
	flags string // as COMMAND INFO lists them
	cats  string // ACL categories

	first, last, step int    // positions of keys, as in COMMAND INFO; 0: none
	access            string // what is done to them: the key specification's flags
	note              string // on them
	specs             []spec // where the keys are not all of one kind
	tips              string // for clients

	group, since, complexity, summary string
	history                           []change
	deprecated                        *deprecation
	docFlags                          string // of COMMAND DOCS, besides deprecated
	args                              []argument

	subs []*row

	refused fault // answers whoever asks, before anything else is looked at; "": the command is carried out
	exec    func(b *batch, args [][]byte)
	start   func(b *batch, args [][]byte) func(*batch)
	plan    func(b *batch, u *unit) error                 // reads the options; optional
	read    func(b *batch, u *unit)                       // appends the reply: u.cell is read
	write   func(b *batch, u *unit, w *coordinator.Write) // says what is to be done
	finish  func(b *batch, u *unit)                       // appends the reply: it was done
	class   coordinator.Class                             // unless plan decides
	merge   merge

	internal bool   // asked by composite commands only: clients do not see it
	partly   string // what of Redis's is missing or differs, and why, for people

	at                              []spec // of its keys: shard channels are none
	noAuth, writes, subscriber, sub bool   // derived from flags and name
	meter                           meter  // what clients did with it
}

// spec is a key specification: where some of a command's keys are, and what is
// done to them.
type spec struct {
	first, last, step int
	access, note      string
}

// keySpecs returns the row's key specifications.
func (r *row) keySpecs() []spec {
	switch {
	case r.specs != nil:
		return r.specs
	case r.first == 0:
		return nil
	}
	return []spec{{r.first, r.last, r.step, r.access, r.note}}
}

// merge says how the replies of a command's keys make one.
type merge uint8

const (
	mergeNone merge = iota // one key only
	mergeList              // an array of the parts, in order
	mergeSum               // the sum of numbers
	mergeOK                // OK, if all are
)

// change is a line of a command's history: a version and what came with it.
type change struct{ since, what string }

// deprecation says since when, and what to use.
type deprecation struct{ since, instead string }

// argument documents one argument, as COMMAND DOCS shows it.
type argument struct {
	name, typ, token, since, deprecated string
	optional, multiple                  bool
	tokens                              bool // one for each repetition
	spec                                int  // of a key: the number of its specification
	args                                []argument
}

// Constructors of arguments, by type.
func key(name string) argument         { return argument{name: name, typ: "key"} }
func str(name string) argument         { return argument{name: name, typ: "string"} }
func integer(name string) argument     { return argument{name: name, typ: "integer"} }
func unixTime(name string) argument    { return argument{name: name, typ: "unix-time"} }
func pattern(name string) argument     { return argument{name: name, typ: "pattern"} }
func word(name, token string) argument { return argument{name: name, typ: "pure-token", token: token} }
func block(name string, args ...argument) argument {
	return argument{name: name, typ: "block", args: args}
}
func oneOf(name string, args ...argument) argument {
	return argument{name: name, typ: "oneof", args: args}
}

// after returns a behind a token.
func (a argument) after(token string) argument { a.token = token; return a }

// from returns a with the version that brought it.
func (a argument) from(since string) argument { a.since = since; return a }

// until returns a as one that is not to be used since a version.
func (a argument) until(since string) argument { a.deprecated = since; return a }

// manyTokens returns a as one that is repeated with its token.
func (a argument) manyTokens() argument { a.tokens = true; return a }

// in returns a as a key of another specification than the first.
func (a argument) in(spec int) argument { a.spec = spec; return a }

// opt returns a as one that may be left out.
func (a argument) opt() argument { a.optional = true; return a }

// many returns a as one that may be repeated.
func (a argument) many() argument { a.multiple = true; return a }

// table is every command by its lower-case name, and in order.
type table struct {
	rows     []*row
	byName   map[string]*row // subcommands too, by their full names
	internal map[string]*row
	longest  int
}

func newTable(groups ...[]*row) *table {
	t := &table{byName: make(map[string]*row), internal: make(map[string]*row)}
	for _, rows := range groups {
		for _, r := range rows {
			if r.internal {
				t.internal[r.name] = r
				continue
			}
			if c := t.byName[r.name]; c != nil { // its container has other subcommands too
				c.subs = append(c.subs, r.subs...)
			} else {
				t.rows = append(t.rows, r)
				t.index(r)
			}
			for _, sub := range r.subs {
				t.index(sub)
			}
		}
	}
	return t
}

func (t *table) index(r *row) {
	t.byName[r.name] = r
	r.noAuth, r.sub = contains(r.flags, "no_auth"), strings.Contains(r.name, "|")
	r.writes = contains(r.flags, "write") || contains(replicated, r.name)
	r.subscriber = contains(subscriberCommands, r.name)
	t.longest = max(t.longest, len(r.name))
	for _, k := range r.keySpecs() {
		if !contains(k.access, "not_key") {
			r.at = append(r.at, k)
		}
	}
}

// Commands that write in Redis's eyes, without having the flag: replicas get them.
const replicated = "publish spublish pfcount eval evalsha fcall"

// What a client may still say in RESP2 while it is subscribed.
const subscriberCommands = "subscribe unsubscribe psubscribe punsubscribe ssubscribe sunsubscribe ping quit reset"

// contains reports whether w is one of the words of s.
func contains(s, w string) bool {
	for f := range strings.FieldsSeq(s) {
		if f == w {
			return true
		}
	}
	return false
}

// find returns the row of a command, or its container's subcommand's; nil if
// there is none.
func (t *table) find(args [][]byte) *row {
	r := t.named(args[0], nil)
	switch {
	case r == nil || r.sub:
		return nil
	case r.subs == nil || len(args) < 2:
		return r
	}
	return t.named(args[0], args[1])
}

// named finds a name, or a name and a subcommand's, in any case.
func (t *table) named(name, sub []byte) *row {
	var room [64]byte
	if len(name)+1+len(sub) > min(t.longest+1, len(room)) {
		return nil
	}
	lower := appendLower(room[:0], name)
	if sub != nil {
		lower = appendLower(append(lower, '|'), sub)
	}
	return t.byName[string(lower)]
}

func appendLower(dst, s []byte) []byte {
	for _, c := range s {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// lookup finds the row of a command and checks its arity, with Redis's errors.
// A wrong arity comes with the row.
func (t *table) lookup(args [][]byte) (*row, error) {
	r := t.find(args)
	switch {
	case r == nil && t.find(args[:1]) != nil:
		return nil, errUnknownSubcommand(args)
	case r == nil:
		return nil, errUnknownCommand(args)
	case !r.takes(len(args)):
		return r, errArity(r.name)
	case r.refused != "":
		return r, r.refused
	}
	return r, nil
}

// takes reports whether a command may have n arguments, its name included.
func (r *row) takes(n int) bool {
	return n == r.arity || r.arity < 0 && n >= -r.arity
}

// keys is the position of each key among n arguments, and what is done to it.
func (r *row) keys(n int) iter.Seq2[int, string] {
	return func(yield func(at int, access string) bool) {
		for i := range r.at {
			k := &r.at[i]
			last := k.last
			if last < 0 {
				last += n
			}
			for at := k.first; at <= last; at += k.step {
				if !yield(at, k.access) {
					return
				}
			}
		}
	}
}
