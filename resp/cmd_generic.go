package resp

import (
	"fmt"
	"math"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

// typeString is the name of the one type there is.
const typeString = "string"

func exists(b *batch, u *unit) {
	_, ok := b.found(u)
	b.bool(ok)
}

func typeOf(b *batch, u *unit) {
	if _, ok := b.found(u); ok {
		b.simple(typeString)
	} else {
		b.simple("none")
	}
}

func ttl(b *batch, u *unit) {
	b.int(remaining(b, u, func(ms int64) int64 { return (ms + 500) / 1000 }))
}

func pttl(b *batch, u *unit) {
	b.int(remaining(b, u, func(ms int64) int64 { return ms }))
}

func expireTime(b *batch, u *unit) {
	b.int(remaining(b, u, func(ms int64) int64 { return (ms + b.now + 500) / 1000 }))
}

func pExpireTime(b *batch, u *unit) {
	b.int(remaining(b, u, func(ms int64) int64 { return ms + b.now }))
}

// remaining returns the time to live, -1 without one, -2 without the key.
func remaining(b *batch, u *unit, unit func(ms int64) int64) int64 {
	s, ok := b.found(u)
	if !ok {
		return -2
	}
	at := expiryOf(s, b.now)
	if at == 0 {
		return -1
	}
	return unit(at - b.now)
}

func writeDel(_ *batch, u *unit, w *coordinator.Write) {
	decide(u, w, func(o *outcome, _ version.Sibling, ok bool, _ int64) (replica.Change, error) {
		if !ok {
			return replica.Change{}, nil
		}
		o.did = true
		return replica.Change{Kind: replica.Delete}, nil
	})
}

// Flags of EXPIRE.
const (
	expireNX uint16 = 1 << iota
	expireXX
	expireGT
	expireLT
)

// planExpire reads the arguments of EXPIRE and its kin, options first as Redis
// does. A time in the past is allowed: it deletes.
func planExpire(b *batch, u *unit) error {
	for _, arg := range u.args[3:] {
		switch {
		case is(arg, "NX"):
			u.opt.flags |= expireNX
		case is(arg, "XX"):
			u.opt.flags |= expireXX
		case is(arg, "GT"):
			u.opt.flags |= expireGT
		case is(arg, "LT"):
			u.opt.flags |= expireLT
		default:
			return fault(fmt.Sprintf("ERR Unsupported option %s", quote(arg, len(arg))))
		}
	}
	f := u.opt.flags
	switch {
	case f&expireNX != 0 && f&^expireNX != 0:
		return errNXAndOthers
	case f&expireGT != 0 && f&expireLT != 0:
		return errGTAndLT
	}
	n, err := parseInt(u.args[2])
	if err != nil {
		return err
	}
	name := u.row.name
	if name == "expire" || name == "expireat" {
		if n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
			return errExpire(name)
		}
		n *= 1000
	}
	if name == "expire" || name == "pexpire" {
		if n > math.MaxInt64-b.now {
			return errExpire(name)
		}
		n += b.now
	}
	u.opt.expiry = n
	return nil
}

// writeExpire writes the value anew with the new expiry; a counter's number
// becomes its value.
func writeExpire(_ *batch, u *unit, w *coordinator.Write) {
	opt := u.opt
	decide(u, w, func(o *outcome, s version.Sibling, ok bool, now int64) (replica.Change, error) {
		if !ok || !opt.expireAllowed(expiryOf(s, now)) {
			return replica.Change{}, nil
		}
		o.did = true
		if opt.expiry <= now {
			return replica.Change{Kind: replica.Delete}, nil
		}
		return replica.Change{Kind: replica.Put, Value: s.Value, Expiry: opt.expiry}, nil
	})
}

// expireAllowed reports whether EXPIRE's options let the new expiry replace
// the current one; none counts as infinite.
func (o *options) expireAllowed(current int64) bool {
	switch {
	case o.flags&expireNX != 0 && current != 0,
		o.flags&expireXX != 0 && current == 0,
		o.flags&expireGT != 0 && (current == 0 || o.expiry <= current),
		o.flags&expireLT != 0 && current != 0 && o.expiry >= current:
		return false
	}
	return true
}

func writePersist(_ *batch, u *unit, w *coordinator.Write) {
	decide(u, w, func(o *outcome, s version.Sibling, ok bool, now int64) (replica.Change, error) {
		if !ok || expiryOf(s, now) == 0 {
			return replica.Change{}, nil
		}
		o.did = true
		return replica.Change{Kind: replica.Put, Value: s.Value}, nil
	})
}
