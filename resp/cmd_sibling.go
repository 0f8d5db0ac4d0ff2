package resp

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

// dgetClocks is DGET's WITHCLOCKS.
const dgetClocks uint16 = 1

func errQuorum(name string, n int) fault {
	return fault(fmt.Sprintf("ERR %s must be between 1 and N, which is %d", name, n))
}

// quorumArg reads an R or W.
func (b *batch) quorumArg(name string, arg []byte) (int, error) {
	n, err := parseInt(arg)
	if err != nil {
		return 0, err
	}
	if most, _, _ := b.s.opts.Cluster.Quorum(); n < 1 || n > int64(most) {
		return 0, errQuorum(name, most)
	}
	return int(n), nil
}

func planDGet(b *batch, u *unit) (err error) {
	for i := 2; i < len(u.args); i++ {
		switch {
		case is(u.args[i], "WITHCLOCKS"):
			u.opt.flags |= dgetClocks
		case is(u.args[i], "LOCAL"):
			u.local = true
		case is(u.args[i], "R") && i+1 < len(u.args):
			i++
			if u.opt.quorum, err = b.quorumArg("R", u.args[i]); err != nil {
				return err
			}
		default:
			return errSyntax
		}
	}
	return nil
}

// dget answers the context and all live values.
func dget(b *batch, u *unit) {
	b.array(2)
	if u.cell == nil {
		b.null()
		b.array(0)
		return
	}
	b.str(u.cell.Context().Token(u.key.Key))
	siblings := u.cell.Siblings(b.now)
	b.array(len(siblings))
	for _, s := range siblings {
		if u.opt.flags&dgetClocks == 0 {
			b.bulk(s.Value)
			continue
		}
		b.array(4)
		b.bulk(s.Value)
		b.clock(s.Version)
		b.int(s.Version.Time.Millis())
		if at := expiryOf(s, b.now); at != 0 {
			b.int(at - b.now)
		} else {
			b.int(-1)
		}
	}
}

// clock appends a version's vector clock: pairs of a node's name and a
// counter, by name.
func (b *batch) clock(v *version.Version) {
	type entry struct {
		name    string
		counter uint64
	}
	var pairs []entry
	past := v.Past
	if !v.Dot.IsZero() {
		past = v.Clock()
	}
	for _, p := range past {
		pairs = append(pairs, entry{b.s.opts.Cluster.ActorName(p.Actor), p.Highest()})
	}
	slices.SortFunc(pairs, func(x, y entry) int {
		return cmp.Or(cmp.Compare(x.name, y.name), cmp.Compare(x.counter, y.counter))
	})
	b.array(len(pairs))
	for _, p := range pairs {
		b.array(2)
		b.str(p.name)
		b.int(int64(p.counter))
	}
}

// writeOptions reads what DPUT and DDEL may be told from args[from:]. Without
// a context the write has seen nothing.
func (b *batch) writeOptions(u *unit, from int, expiries bool) (err error) {
	u.opt.ctx = &version.Context{}
	expires := false
	for i := from; i < len(u.args); i++ {
		arg := u.args[i]
		if i++; i == len(u.args) {
			return errSyntax
		}
		unit, isTime := timeUnitOf(arg)
		switch {
		case is(arg, "CONTEXT"):
			*u.opt.ctx, err = version.ParseContext(string(u.args[i]), u.key.Key)
		case is(arg, "W"):
			u.opt.quorum, err = b.quorumArg("W", u.args[i])
		case isTime && expiries && !expires:
			expires = true
			u.opt.expiry, err = parseExpiry(u.row.name, u.args[i], unit, b.now)
		default:
			return errSyntax
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func planDPut(b *batch, u *unit) error { return b.writeOptions(u, 3, true) }

// planDDel needs a context: a delete that has seen nothing deletes nothing.
func planDDel(b *batch, u *unit) error {
	if !is(u.args[2], "CONTEXT") {
		return errSyntax
	}
	return b.writeOptions(u, 2, false)
}

func writeDPut(_ *batch, u *unit, w *coordinator.Write) {
	w.Update.Change = replica.Change{Kind: replica.Put, Value: u.args[2], Expiry: u.opt.expiry, Context: u.opt.ctx}
}

func writeDDel(_ *batch, u *unit, w *coordinator.Write) {
	w.Update.Change = replica.Change{Kind: replica.Delete, Context: u.opt.ctx}
}

// finishContext answers the given context with the new dot, so that a writer
// can go on without reading.
func finishContext(b *batch, u *unit) {
	if u.delta == nil || len(u.delta.Versions) == 0 {
		b.fail(errNoDelta)
		return
	}
	v := &u.delta.Versions[0]
	b.str(u.opt.ctx.With(v.Dot, v.Time).Token(u.key.Key))
}

// dquorum sets, or answers, the session's quorums.
func dquorum(b *batch, args [][]byte) {
	if len(args) == 1 {
		n, r, w := b.s.opts.Cluster.Quorum()
		b.mapping(3)
		b.str("R")
		b.int(int64(cmp.Or(b.ss.r, r)))
		b.str("W")
		b.int(int64(cmp.Or(b.ss.w, w)))
		b.str("N")
		b.int(int64(n))
		return
	}
	r, w := b.ss.r, b.ss.w
	for i := 1; i < len(args); i += 2 {
		set, name := &r, "R"
		switch {
		case is(args[i], "R"):
		case is(args[i], "W"):
			set, name = &w, "W"
		default:
			b.fail(errSyntax)
			return
		}
		if i+1 == len(args) {
			b.fail(errSyntax)
			return
		}
		n, err := b.quorumArg(name, args[i+1])
		if err != nil {
			b.fail(err)
			return
		}
		*set = n
	}
	b.ss.r, b.ss.w = r, w
	b.ok()
}
