package resp

import (
	"slices"
	"strings"
)

// commandAll answers COMMAND: every command's row.
func commandAll(b *batch, _ [][]byte) {
	b.array(len(b.s.table.rows))
	for _, r := range b.s.table.rows {
		b.row(r)
	}
}

func commandCount(b *batch, _ [][]byte) { b.int(int64(len(b.s.table.rows))) }

func commandInfo(b *batch, args [][]byte) {
	if len(args) == 2 {
		commandAll(b, args)
		return
	}
	b.array(len(args) - 2)
	for _, name := range args[2:] {
		if r := b.s.table.named(name, nil); r != nil {
			b.row(r)
		} else {
			b.null()
		}
	}
}

// row appends a command as COMMAND INFO shows it.
func (b *batch) row(r *row) {
	b.array(10)
	b.str(r.name)
	b.int(int64(r.arity))
	b.words(r.flags)
	b.int(int64(r.first))
	b.int(int64(r.last))
	b.int(int64(r.step))
	b.words(r.cats)
	b.tips(r.tips)
	b.keySpecs(r)
	b.set(len(r.subs))
	for _, sub := range r.subs {
		b.row(sub)
	}
}

// words appends a set of simple strings.
func (b *batch) words(s string) {
	words := strings.Fields(s)
	b.set(len(words))
	for _, w := range words {
		b.simple(w)
	}
}

func (b *batch) tips(s string) {
	tips := strings.Fields(s)
	b.set(len(tips))
	for _, t := range tips {
		b.str(t)
	}
}

// keySpecs appends a row's key specifications.
func (b *batch) keySpecs(r *row) {
	specs := r.keySpecs()
	b.set(len(specs))
	for i := range specs {
		b.keySpec(&specs[i])
	}
}

func (b *batch) keySpec(k *spec) {
	if k.note != "" {
		b.mapping(4)
		b.field("notes", k.note)
	} else {
		b.mapping(3)
	}
	b.str("flags")
	b.words(k.access)
	b.str("begin_search")
	b.mapping(2)
	b.field("type", "index")
	b.str("spec")
	b.mapping(1)
	b.number("index", int64(k.first))
	b.str("find_keys")
	b.mapping(2)
	b.field("type", "range")
	b.str("spec")
	b.mapping(3)
	last := k.last
	if last > 0 {
		last -= k.first // relative to the first
	}
	b.number("lastkey", int64(last))
	b.number("keystep", int64(k.step))
	b.number("limit", 0)
}

// commandList answers the names of commands and their subcommands.
func commandList(b *batch, args [][]byte) {
	wants := func(*row) bool { return true }
	switch {
	case len(args) == 2:
	case len(args) != 5 || !is(args[2], "FILTERBY"):
		b.fail(errSyntax)
		return
	case is(args[3], "MODULE"):
		wants = func(*row) bool { return false }
	case is(args[3], "ACLCAT"):
		category := "@" + strings.ToLower(string(args[4]))
		wants = func(r *row) bool { return contains(r.cats, category) }
	case is(args[3], "PATTERN"):
		p := appendLower(nil, args[4])
		wants = func(r *row) bool { return glob(p, []byte(r.name)) }
	default:
		b.fail(errSyntax)
		return
	}
	b.names(wants)
}

// names appends the names of the commands and subcommands that are wanted.
func (b *batch) names(wants func(*row) bool) {
	var names []string
	for _, r := range b.s.table.rows {
		for _, r := range append([]*row{r}, r.subs...) {
			if wants(r) {
				names = append(names, r.name)
			}
		}
	}
	b.array(len(names))
	for _, n := range names {
		b.str(n)
	}
}

func commandGetKeys(b *batch, args [][]byte) { b.keysOf(args[2:], false) }

func commandGetKeysAndFlags(b *batch, args [][]byte) { b.keysOf(args[2:], true) }

func (b *batch) keysOf(args [][]byte, flags bool) {
	r := b.s.table.find(args)
	switch {
	case r == nil:
		b.error("ERR Invalid command specified")
		return
	case r.at == nil:
		b.error("ERR The command has no key arguments")
		return
	case !r.takes(len(args)):
		b.error("ERR Invalid number of arguments specified for command")
		return
	case slices.ContainsFunc(r.at, func(k spec) bool { return k.first >= len(args) }):
		b.error("ERR Invalid arguments specified for command") // PFMERGE of nothing
		return
	}
	n := 0
	for range r.keys(len(args)) {
		n++
	}
	b.array(n)
	for at, access := range r.keys(len(args)) {
		if flags {
			b.array(2)
		}
		b.bulk(args[at])
		if flags {
			b.words(accessOf(r, access, args))
		}
	}
}

// accessOf returns what a command does to its key, which for SET and BITFIELD
// depends on their options.
func accessOf(r *row, access string, args [][]byte) string {
	const replaces, changes = "OW update", "RW access update"
	switch {
	case !contains(access, "variable_flags"):
		return access
	case r.name == "bitfield" && onlyGets(args[2:]):
		return "RO access"
	case r.name == "bitfield":
		return changes
	case slices.ContainsFunc(args[3:], func(a []byte) bool { return is(a, "GET") }):
		return changes
	default:
		return replaces
	}
}

// onlyGets reports whether the operations of a BITFIELD change nothing.
func onlyGets(ops [][]byte) bool {
	for len(ops) > 0 {
		switch {
		case is(ops[0], "GET") && len(ops) > 2:
			ops = ops[3:]
		case is(ops[0], "OVERFLOW") && len(ops) > 1:
			ops = ops[2:]
		default:
			return false
		}
	}
	return true
}

func commandHelp(b *batch, _ [][]byte) {
	b.help("COMMAND",
		"(no subcommand)",
		"    Return details about all Redis commands.",
		"COUNT",
		"    Return the total number of commands in this Redis server.",
		"LIST",
		"    Return a list of all commands in this Redis server.",
		"INFO [<command-name> ...]",
		"    Return details about multiple Redis commands.",
		"    If no command names are given, documentation details for all",
		"    commands are returned.",
		"DOCS [<command-name> ...]",
		"    Return documentation details about multiple Redis commands.",
		"    If no command names are given, documentation details for all",
		"    commands are returned.",
		"GETKEYS <full-command>",
		"    Return the keys from a full Redis command.",
		"GETKEYSANDFLAGS <full-command>",
		"    Return the keys and the access flags from a full Redis command.")
}
