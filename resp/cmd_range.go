package resp

import (
	"fmt"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

const errOffset = fault("ERR offset is out of range")

// getRange is GETRANGE and SUBSTR.
func getRange(b *batch, u *unit) {
	from, err := parseInt(u.args[2])
	if err != nil {
		b.fail(err)
		return
	}
	to, err := parseInt(u.args[3])
	if err != nil {
		b.fail(err)
		return
	}
	s, _ := b.found(u)
	first, last, ok := span(from, to, int64(len(s.Value)))
	if !ok || backwards(from, to) {
		b.bulk(nil)
		return
	}
	b.bulk(s.Value[first : last+1])
}

// span returns the first and last of n places that a range means whose ends
// count from the end where they are negative; ok is false where it is empty.
func span(from, to, n int64) (first, last int64, ok bool) {
	if from < 0 {
		from = max(0, n+from)
	}
	if to < 0 {
		to = max(0, n+to)
	}
	to = min(to, n-1)
	return from, to, from <= to
}

// backwards reports whether a range runs from one place to an earlier one, both
// counted from the end. In most commands that is empty, and not cut down to
// what there is of it, which may be the first byte.
func backwards(from, to int64) bool { return from < 0 && to < 0 && from > to }

func planSetRange(_ *batch, u *unit) (err error) {
	u.opt.by, err = parseInt(u.args[2])
	if err == nil && u.opt.by < 0 {
		err = errOffset
	}
	return err
}

// writeSetRange overwrites a part of a value, which grows by zeros if need be.
func writeSetRange(b *batch, u *unit, w *coordinator.Write) {
	offset, part := u.opt.by, u.args[3]
	tooLong := b.s.checkLength(min(offset, maxBulk) + int64(len(part)))
	decide(u, w, func(o *outcome, s version.Sibling, ok bool, now int64) (replica.Change, error) {
		o.number = int64(len(s.Value))
		if len(part) == 0 {
			return replica.Change{}, nil
		}
		if tooLong != nil {
			return replica.Change{}, tooLong
		}
		value := grown(s.Value, int(offset)+len(part))
		copy(value[offset:], part)
		o.number = int64(len(value))
		return replica.Change{Kind: replica.Put, Value: value, Expiry: keptExpiry(s, ok, now)}, nil
	})
}

// checkLength returns the error of a write that would make a value of n bytes,
// if that is too long: beyond what any Redis has Redis's, beyond this node's
// limit our own.
func (s *Server) checkLength(n int64) error {
	switch limit := int64(s.settings().maxValue); {
	case n > maxBulk:
		return errTooLong
	case n > limit:
		return fault(fmt.Sprintf("ERR value of %d bytes would be longer than the limit of %d bytes (--max-value)", n, limit))
	}
	return nil
}

// grown returns a copy of a value with zeros behind it up to a size.
func grown(value []byte, size int) []byte {
	out := make([]byte, max(len(value), size))
	copy(out, value)
	return out
}

// keptExpiry returns the expiry of what is written in the place of a value that
// keeps its own.
func keptExpiry(s version.Sibling, ok bool, now int64) int64 {
	if !ok {
		return 0
	}
	return expiryOf(s, now)
}

func planSetEX(b *batch, u *unit) (err error) {
	unit := inSeconds
	if u.row.name == "psetex" {
		unit = inMillis
	}
	u.opt.expiry, err = parseExpiry(u.row.name, u.args[2], unit, b.now)
	return err
}

func writeSetEX(_ *batch, u *unit, w *coordinator.Write) {
	w.Update.Change = replica.Change{Kind: replica.Put, Value: u.args[3], Expiry: u.opt.expiry}
}

const (
	getExExpiry uint16 = 1 << iota
	getExPersist
)

// planGetEX reads GETEX's option, which may be there more than once.
func planGetEX(_ *batch, u *unit) error {
	var unit timeUnit
	for i := 2; i < len(u.args); i++ {
		t, isUnit := timeUnitOf(u.args[i])
		switch {
		case is(u.args[i], "PERSIST") && u.opt.flags != getExExpiry:
			u.opt.flags = getExPersist
		case isUnit && i+1 < len(u.args) && (u.opt.flags == 0 || u.opt.flags == getExExpiry && t == unit):
			i++
			unit, u.opt.by = t, int64(i)
			u.opt.flags = getExExpiry
		default:
			return errSyntax
		}
	}
	return nil
}

// writeGetEX answers a value and writes it anew with another expiry. That the
// expiry is wrong counts only if there is a value.
func writeGetEX(b *batch, u *unit, w *coordinator.Write) {
	flags := u.opt.flags
	var expiry int64
	var bad error
	if at := u.opt.by; flags == getExExpiry {
		unit, _ := timeUnitOf(u.args[at-1])
		expiry, bad = parseExpiry(u.row.name, u.args[at], unit, b.now)
	}
	decide(u, w, func(o *outcome, s version.Sibling, ok bool, now int64) (replica.Change, error) {
		o.had, o.old = ok, s.Value
		switch {
		case !ok:
			return replica.Change{}, nil
		case bad != nil:
			return replica.Change{}, bad
		case flags == 0, flags == getExPersist && expiryOf(s, now) == 0:
			return replica.Change{}, nil
		case expiry != 0 && expiry <= now:
			return replica.Change{Kind: replica.Delete}, nil
		}
		return replica.Change{Kind: replica.Put, Value: s.Value, Expiry: expiry}, nil
	})
}

// msetNX sets keys if none of them is there. It looks, then it writes: two at
// the same time may both find none.
func msetNX(b *batch, args [][]byte) {
	if len(args)%2 == 0 {
		b.fail(errArity("msetnx"))
		return
	}
	exists := [][]byte{[]byte("exists")}
	var sets [][][]byte
	for i := 1; i < len(args); i += 2 {
		exists = append(exists, args[i])
		sets = append(sets, [][]byte{[]byte("set"), args[i], args[i+1]})
	}
	answers, err := b.ask(exists)
	if err == nil && answers[0].num == 0 {
		_, err = b.ask(sets...)
	}
	if err != nil {
		b.fail(err)
		return
	}
	b.bool(answers[0].num == 0)
}
