package resp

import (
	"math"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

// Flags of SET.
const (
	setNX uint16 = 1 << iota
	setXX
	setGet
	setKeepTTL
	setExpiry // one of EX, PX, EXAT, PXAT
)

func get(b *batch, u *unit) {
	if s, ok := b.found(u); ok {
		b.bulk(s.Value)
	} else {
		b.null()
	}
}

func strLen(b *batch, u *unit) {
	s, _ := b.found(u)
	b.int(int64(len(s.Value)))
}

// expiryOf returns the Unix ms at which a value that is read now expires; 0:
// never. Increments that outlived their version have no expiry.
func expiryOf(s version.Sibling, now int64) int64 {
	if s.Version.Dead(now) {
		return 0
	}
	return s.Version.Expiry
}

// planSet reads SET's options. Without NX, XX, GET and KEEPTTL the write is
// blind.
func planSet(b *batch, u *unit) error {
	u.class = coordinator.Blind
	var unit timeUnit
	var at int // of the expiry
	for i := 3; i < len(u.args); i++ {
		flag, other := setFlag(u.args[i])
		if flag == 0 {
			t, ok := timeUnitOf(u.args[i])
			if !ok || i+1 == len(u.args) || at > 0 && t != unit {
				return errSyntax
			}
			flag, other = setExpiry, setKeepTTL
			i++
			unit, at = t, i
		}
		if u.opt.flags&other != 0 {
			return errSyntax
		}
		u.opt.flags |= flag
	}
	if u.opt.flags&(setNX|setXX|setGet|setKeepTTL) != 0 {
		u.class = coordinator.RMW
	}
	if at > 0 {
		var err error
		u.opt.expiry, err = parseExpiry("set", u.args[at], unit, b.now)
		return err
	}
	return nil
}

// setFlag returns the flag of an option's word, and those that exclude it.
func setFlag(arg []byte) (flag, other uint16) {
	switch {
	case is(arg, "NX"):
		return setNX, setXX
	case is(arg, "XX"):
		return setXX, setNX
	case is(arg, "GET"):
		return setGet, 0
	case is(arg, "KEEPTTL"):
		return setKeepTTL, setExpiry
	}
	return 0, 0
}

func writeSet(b *batch, u *unit, w *coordinator.Write) {
	if u.class == coordinator.Blind {
		w.Update.Change = replica.Change{Kind: replica.Put, Value: u.args[2], Expiry: u.opt.expiry}
		return
	}
	decideSet(u, w, u.args[2], u.opt)
}

// decideSet is every way of writing a value that depends on the old one.
func decideSet(u *unit, w *coordinator.Write, value []byte, opt options) {
	decide(u, w, func(o *outcome, s version.Sibling, ok bool, now int64) (replica.Change, error) {
		o.had, o.old = ok, s.Value
		if opt.flags&setNX != 0 && ok || opt.flags&setXX != 0 && !ok {
			return replica.Change{}, nil
		}
		o.did = true
		expiry := opt.expiry
		if ok && opt.flags&setKeepTTL != 0 {
			expiry = expiryOf(s, now)
		}
		return replica.Change{Kind: replica.Put, Value: value, Expiry: expiry}, nil
	})
}

// decide makes a write of a decision on what a plain read sees when the write's
// turn comes. What it finds goes to an outcome of its own.
func decide(u *unit, w *coordinator.Write, fn func(o *outcome, s version.Sibling, ok bool, now int64) (replica.Change, error)) {
	o := new(outcome)
	u.out = o
	w.Update.Decide = func(cur *version.Cell, now int64) (replica.Change, error) {
		*o = outcome{}
		s, ok := winner(cur, now)
		return fn(o, s, ok, now)
	}
}

func finishSet(b *batch, u *unit) {
	switch {
	case u.opt.flags&setGet != 0:
		finishOld(b, u)
	case u.out != nil && !u.out.did:
		b.null()
	default:
		b.ok()
	}
}

// finishOld answers the value before the write.
func finishOld(b *batch, u *unit) {
	if u.out.had {
		b.bulk(u.out.old)
	} else {
		b.null()
	}
}

func finishOK(b *batch, _ *unit) { b.ok() }

// finishBool answers whether the write did anything.
func finishBool(b *batch, u *unit) { b.bool(u.out.did) }

// finishInt answers the number that the decision came to.
func finishInt(b *batch, u *unit) { b.int(u.out.number) }

// finishNumber answers what an increment came to.
func finishNumber(b *batch, u *unit) { b.int(u.number) }

func writeSetNX(_ *batch, u *unit, w *coordinator.Write) {
	decideSet(u, w, u.args[2], options{flags: setNX})
}

func writeGetSet(_ *batch, u *unit, w *coordinator.Write) {
	decideSet(u, w, u.args[2], options{flags: setGet})
}

func writeGetDel(_ *batch, u *unit, w *coordinator.Write) {
	decide(u, w, func(o *outcome, s version.Sibling, ok bool, _ int64) (replica.Change, error) {
		if !ok {
			return replica.Change{}, nil
		}
		o.had, o.old = true, s.Value
		return replica.Change{Kind: replica.Delete}, nil
	})
}

func writeMSet(_ *batch, u *unit, w *coordinator.Write) {
	w.Update.Change = replica.Change{Kind: replica.Put, Value: u.args[2]}
}

func writeAppend(b *batch, u *unit, w *coordinator.Write) {
	tail := u.args[2]
	decide(u, w, func(o *outcome, s version.Sibling, ok bool, now int64) (replica.Change, error) {
		size := len(s.Value) + len(tail)
		if err := b.s.checkLength(int64(size)); err != nil {
			return replica.Change{}, err
		}
		value := make([]byte, 0, size)
		value = append(append(value, s.Value...), tail...)
		o.number = int64(len(value))
		return replica.Change{Kind: replica.Put, Value: value, Expiry: keptExpiry(s, ok, now)}, nil
	})
}

func planIncr(_ *batch, u *unit) error {
	u.opt.by = 1
	return nil
}

func planDecr(_ *batch, u *unit) error {
	u.opt.by = -1
	return nil
}

func planIncrBy(_ *batch, u *unit) (err error) {
	u.opt.by, err = parseInt(u.args[2])
	return err
}

func planDecrBy(_ *batch, u *unit) error {
	n, err := parseInt(u.args[2])
	switch {
	case err != nil:
		return err
	case n == math.MinInt64:
		return errDecrOverflow
	}
	u.opt.by = -n
	return nil
}

func writeIncr(_ *batch, u *unit, w *coordinator.Write) {
	w.Update.Change = replica.Change{Kind: replica.Incr, By: u.opt.by}
}
