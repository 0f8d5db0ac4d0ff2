package resp

import (
	"math/bits"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	errBitOffset = fault("ERR bit offset is not an integer or out of range")
	errBit       = fault("ERR bit is not an integer or out of range")
	errBitArg    = fault("ERR The bit argument must be 1 or 0.")
	errBitOpNot  = fault("ERR BITOP NOT must be called with a single source key.")
)

// parseBitOffset reads an offset in bits: below those of the longest string
// that Redis has. Behind a # it counts fields of width bits.
func parseBitOffset(arg []byte, width int64) (int64, error) {
	unit := int64(1)
	if width > 0 && len(arg) > 0 && arg[0] == '#' {
		arg, unit = arg[1:], width
	}
	n, err := parseInt(arg)
	if err != nil || n < 0 || n > maxBulk*8/unit || n*unit >= maxBulk*8 {
		return 0, errBitOffset
	}
	return n * unit, nil
}

// bitAt returns a bit of a value, counted from the highest of the first byte
// on; 0 behind its end.
func bitAt(value []byte, at int64) byte {
	if at>>3 >= int64(len(value)) {
		return 0
	}
	return value[at>>3] >> (7 - at&7) & 1
}

func setBitAt(value []byte, at int64, bit byte) {
	mask := byte(1) << (7 - at&7)
	value[at>>3] &^= mask
	if bit != 0 {
		value[at>>3] |= mask
	}
}

func getBit(b *batch, u *unit) {
	at, err := parseBitOffset(u.args[2], 0)
	if err != nil {
		b.fail(err)
		return
	}
	s, _ := b.found(u)
	b.int(int64(bitAt(s.Value, at)))
}

func planSetBit(_ *batch, u *unit) (err error) {
	if u.opt.by, err = parseBitOffset(u.args[2], 0); err != nil {
		return err
	}
	if n, err := parseInt(u.args[3]); err != nil || n&^1 != 0 {
		return errBit
	}
	return nil
}

func writeSetBit(b *batch, u *unit, w *coordinator.Write) {
	at, bit, limit := u.opt.by, u.args[3][0]-'0', b.s.opts.MaxValue
	decide(u, w, func(o *outcome, s version.Sibling, ok bool, now int64) (replica.Change, error) {
		if at>>3 >= int64(limit) {
			return replica.Change{}, errTooLong
		}
		o.number = int64(bitAt(s.Value, at))
		value := grown(s.Value, int(at>>3)+1)
		setBitAt(value, at, bit)
		return replica.Change{Kind: replica.Put, Value: value, Expiry: keptExpiry(s, ok, now)}, nil
	})
}

// bitRange reads a range of BITCOUNT and BITPOS, which begins at args[0], in
// bits of a value of n bytes. ok is false where it is empty.
func bitRange(args [][]byte, n int64) (first, last int64, ok bool, err error) {
	from, err := parseInt(args[0])
	if err != nil {
		return 0, 0, false, err
	}
	inBits := false
	if len(args) > 2 {
		if inBits = is(args[2], "BIT"); !inBits && !is(args[2], "BYTE") {
			return 0, 0, false, errSyntax
		}
	}
	to := int64(-1)
	if len(args) > 1 {
		if to, err = parseInt(args[1]); err != nil {
			return 0, 0, false, err
		}
	}
	if inBits {
		first, last, ok = span(from, to, 8*n)
		return first, last, ok, nil
	}
	first, last, ok = span(from, to, n)
	return 8 * first, 8*last + 7, ok, nil
}

// bitCount counts bits that are set. Redis looks for the key before it looks at
// the other arguments.
func bitCount(b *batch, u *unit) {
	s, found := b.found(u)
	first, last, ok := int64(0), int64(len(s.Value))*8-1, len(s.Value) > 0
	switch n := len(u.args); {
	case !found:
		b.int(0)
		return
	case n == 4 || n == 5:
		var err error
		if first, last, ok, err = bitRange(u.args[2:], int64(len(s.Value))); err != nil {
			b.fail(err)
			return
		}
	case n != 2:
		b.fail(errSyntax)
		return
	}
	if !ok {
		b.int(0)
		return
	}
	b.int(countBits(s.Value, first, last))
}

func countBits(value []byte, first, last int64) int64 {
	n := 0
	for _, c := range value[first>>3 : last>>3+1] {
		n += bits.OnesCount8(c)
	}
	n -= bits.OnesCount8(value[first>>3] &^ (0xff >> (first & 7)))
	n -= bits.OnesCount8(value[last>>3] & (0x7f >> (last & 7)))
	return int64(n)
}

// bitPos finds the first bit that is set, or clear. Behind the end of a value
// all bits are clear, unless the range has an end.
func bitPos(b *batch, u *unit) {
	want, err := parseInt(u.args[2])
	if err == nil && want&^1 != 0 {
		err = errBitArg
	}
	if err != nil {
		b.fail(err)
		return
	}
	s, found := b.found(u)
	if !found {
		b.int(-want)
		return
	}
	n := int64(len(s.Value))
	first, last, ok := int64(0), 8*n-1, n > 0
	switch args := u.args[3:]; {
	case len(args) > 3:
		err = errSyntax
	case len(args) > 0:
		first, last, ok, err = bitRange(args, n)
	}
	switch {
	case err != nil:
		b.fail(err)
	case !ok:
		b.int(-1)
	default:
		at := findBit(s.Value, byte(want), first, last)
		if at < 0 && want == 0 && len(u.args) < 5 {
			at = 8 * n
		}
		b.int(at)
	}
}

// findBit returns where the first such bit is between first and last; -1:
// nowhere.
func findBit(value []byte, bit byte, first, last int64) int64 {
	without := byte(0xff) // bytes that have none
	if bit != 0 {
		without = 0
	}
	for at := first; at <= last; {
		if at&7 == 0 && value[at>>3] == without {
			at += 8
			continue
		}
		if bitAt(value, at) == bit {
			return at
		}
		at++
	}
	return -1
}

// bitOp writes what a bitwise operation makes of some values. Those that are
// shorter go on with zeros.
func bitOp(b *batch, args [][]byte) {
	var op func(x, y byte) byte
	switch {
	case is(args[1], "AND"):
		op = func(x, y byte) byte { return x & y }
	case is(args[1], "OR"):
		op = func(x, y byte) byte { return x | y }
	case is(args[1], "XOR"), is(args[1], "NOT"):
		op = func(x, y byte) byte { return x ^ y }
	default:
		b.fail(errSyntax)
		return
	}
	not := is(args[1], "NOT")
	if not && len(args) != 4 {
		b.fail(errBitOpNot)
		return
	}
	answers, err := b.ask(getEach(args[3:])...)
	if err != nil {
		b.fail(err)
		return
	}
	size := 0
	for _, a := range answers {
		size = max(size, len(a.str))
	}
	out := grown(answers[0].str, size)
	for _, a := range answers[1:] {
		value := grown(a.str, size)
		for i := range out {
			out[i] = op(out[i], value[i])
		}
	}
	if not {
		for i := range out {
			out[i] = ^out[i]
		}
	}
	write := [][]byte{[]byte("set"), args[2], out}
	if size == 0 {
		write = [][]byte{[]byte("del"), args[2]}
	}
	if _, err := b.ask(write); err != nil {
		b.fail(err)
		return
	}
	b.int(int64(size))
}
