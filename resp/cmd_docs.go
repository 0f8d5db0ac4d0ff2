package resp

// commandDocs answers COMMAND DOCS: what redis-cli makes its hints of.
func commandDocs(b *batch, args [][]byte) {
	rows := b.s.table.rows
	if len(args) > 2 {
		rows = nil
		for _, name := range args[2:] {
			if r := b.s.table.named(name, nil); r != nil {
				rows = append(rows, r)
			}
		}
	}
	b.docs(rows)
}

func (b *batch) docs(rows []*row) {
	b.mapping(len(rows))
	for _, r := range rows {
		b.str(r.name)
		b.doc(r)
	}
}

func (b *batch) doc(r *row) {
	fields := 3
	for _, has := range []bool{r.complexity != "", r.docFlags != "", len(r.history) > 0, len(r.args) > 0, len(r.subs) > 0} {
		if has {
			fields++
		}
	}
	if r.deprecated != nil {
		fields += 3
	}
	b.mapping(fields)
	b.field("summary", r.summary)
	b.field("since", r.since)
	b.field("group", r.group)
	if r.complexity != "" {
		b.field("complexity", r.complexity)
	}
	if r.docFlags != "" {
		b.str("doc_flags")
		b.words(r.docFlags)
	}
	if r.deprecated != nil {
		b.str("doc_flags")
		b.words("deprecated")
		b.field("deprecated_since", r.deprecated.since)
		b.field("replaced_by", r.deprecated.instead)
	}
	if len(r.history) > 0 {
		b.str("history")
		b.set(len(r.history))
		for _, h := range r.history {
			b.array(2)
			b.str(h.since)
			b.str(h.what)
		}
	}
	if len(r.args) > 0 {
		b.str("arguments")
		b.arguments(r.args)
	}
	if len(r.subs) > 0 {
		b.str("subcommands")
		b.docs(r.subs)
	}
}

func (b *batch) arguments(args []argument) {
	b.array(len(args))
	for i := range args {
		b.argument(&args[i])
	}
}

func (b *batch) argument(a *argument) {
	var flags string
	if a.optional {
		flags += " optional"
	}
	if a.multiple {
		flags += " multiple"
	}
	if a.tokens {
		flags += " multiple_token"
	}
	fields := 2
	for _, has := range []bool{a.typ == "key", a.token != "", a.since != "", a.deprecated != "", flags != "", len(a.args) > 0} {
		if has {
			fields++
		}
	}
	b.mapping(fields)
	b.field("name", a.name)
	b.field("type", a.typ)
	if a.typ == "key" {
		b.number("key_spec_index", int64(a.spec))
	}
	if a.token != "" {
		b.field("token", a.token)
	}
	if a.since != "" {
		b.field("since", a.since)
	}
	if a.deprecated != "" {
		b.field("deprecated_since", a.deprecated)
	}
	if flags != "" {
		b.str("flags")
		b.words(flags)
	}
	if len(a.args) > 0 {
		b.str("arguments")
		b.arguments(a.args)
	}
}
