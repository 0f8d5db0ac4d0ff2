package resp

import (
	"encoding/binary"
	"math/bits"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	errBitOffset = fault("ERR bit offset is not an integer or out of range")
	errBit       = fault("ERR bit is not an integer or out of range")
	errBitArg    = fault("ERR The bit argument must be 1 or 0.")
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

func planSetBit(b *batch, u *unit) (err error) {
	if u.opt.by, err = parseBitOffset(u.args[2], 0); err != nil {
		return err
	}
	if n, err := parseInt(u.args[3]); err != nil || n&^1 != 0 {
		return errBit
	}
	return b.s.checkLength(u.opt.by>>3 + 1)
}

func writeSetBit(_ *batch, u *unit, w *coordinator.Write) {
	at, bit := u.opt.by, u.args[3][0]-'0'
	decide(u, w, func(o *outcome, s version.Sibling, ok bool, now int64) (replica.Change, error) {
		o.number = int64(bitAt(s.Value, at))
		value := grown(s.Value, int(at>>3)+1)
		setBitAt(value, at, bit)
		return replica.Change{Kind: replica.Put, Value: value, Expiry: keptExpiry(s, ok, now)}, nil
	})
}

// bitRange is a range of BITCOUNT and BITPOS.
type bitRange struct {
	from, to int64 // from the end where they are negative
	inBits   bool  // or else in bytes
}

// unit reads the word for what a range is in.
func (r *bitRange) unit(arg []byte) error {
	switch {
	case is(arg, "BIT"):
		r.inBits = true
	case !is(arg, "BYTE"):
		return errSyntax
	}
	return nil
}

// bits returns the first and last bit of the range in a value of n bytes; ok is
// false where it is empty.
func (r *bitRange) bits(n int64) (first, last int64, ok bool) {
	if r.inBits {
		return span(r.from, r.to, 8*n)
	}
	first, last, ok = span(r.from, r.to, n)
	return 8 * first, 8*last + 7, ok
}

// parseCountRange reads BITCOUNT's range. ok is false for one that is empty in
// every value, which Redis says before it looks at the unit.
func parseCountRange(args [][]byte) (r bitRange, ok bool, err error) {
	switch len(args) {
	case 0:
		return bitRange{to: -1}, true, nil
	case 2, 3:
	default:
		return r, false, errSyntax
	}
	if r.from, err = parseInt(args[0]); err != nil {
		return r, false, err
	}
	if r.to, err = parseInt(args[1]); err != nil || backwards(r.from, r.to) {
		return r, false, err
	}
	if len(args) > 2 {
		err = r.unit(args[2])
	}
	return r, err == nil, err
}

// bitCount counts bits that are set. Redis looks for the key before it looks at
// the other arguments.
func bitCount(b *batch, u *unit) {
	s, found := b.found(u)
	if !found {
		b.int(0)
		return
	}
	r, ok, err := parseCountRange(u.args[2:])
	if err != nil {
		b.fail(err)
		return
	}
	first, last, some := r.bits(int64(len(s.Value)))
	if !ok || !some {
		b.int(0)
		return
	}
	b.int(countBits(s.Value, first, last))
}

func countBits(value []byte, first, last int64) int64 {
	part, n := value[first>>3:last>>3+1], 0
	n -= bits.OnesCount8(part[0] &^ (0xff >> (first & 7)))
	n -= bits.OnesCount8(part[len(part)-1] & (0x7f >> (last & 7)))
	for ; len(part) >= 8; part = part[8:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(part))
	}
	for _, c := range part {
		n += bits.OnesCount8(c)
	}
	return int64(n)
}

// parsePosRange reads BITPOS's range, the unit before the end, as Redis does.
func parsePosRange(args [][]byte) (r bitRange, err error) {
	r.to = -1
	if len(args) > 3 {
		return r, errSyntax
	}
	if len(args) > 0 {
		r.from, err = parseInt(args[0])
	}
	if err == nil && len(args) > 2 {
		err = r.unit(args[2])
	}
	if err == nil && len(args) > 1 {
		r.to, err = parseInt(args[1])
	}
	return r, err
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
	r, err := parsePosRange(u.args[3:])
	if err != nil {
		b.fail(err)
		return
	}
	n := int64(len(s.Value))
	first, last, ok := r.bits(n)
	if !ok {
		b.int(-1)
		return
	}
	at := findBit(s.Value, byte(want), first, last)
	if at < 0 && want == 0 && len(u.args) < 5 {
		at = 8 * n
	}
	b.int(at)
}

// findBit returns where the first such bit is between first and last; -1:
// nowhere.
func findBit(value []byte, bit byte, first, last int64) int64 {
	without := ^uint64(0) // words that have none
	if bit != 0 {
		without = 0
	}
	for at := first; at <= last; {
		if i := at >> 3; at&7 == 0 && i+8 <= int64(len(value)) && binary.LittleEndian.Uint64(value[i:]) == without {
			at += 64
			continue
		}
		if bitAt(value, at) == bit {
			return at
		}
		at++
	}
	return -1
}
