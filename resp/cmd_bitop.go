package resp

import "encoding/binary"

const errBitOpNot = fault("ERR BITOP NOT must be called with a single source key.")

// bitOpSources is how many values BITOP has in hand at a time, besides the
// result: their sizes add up.
const bitOpSources = 8

// bitwise is an operation of BITOP.
type bitwise uint8

const (
	bitAnd bitwise = iota
	bitOr
	bitXor
	bitNot
)

func parseBitwise(arg []byte) (bitwise, error) {
	for op, w := range [...]string{bitAnd: "AND", bitOr: "OR", bitXor: "XOR", bitNot: "NOT"} {
		if is(arg, w) {
			return bitwise(op), nil
		}
	}
	return 0, errSyntax
}

func (op bitwise) word(x, y uint64) uint64 {
	switch op {
	case bitAnd:
		return x & y
	case bitOr:
		return x | y
	case bitXor:
		return x ^ y
	}
	return ^x
}

// into combines dst with src, which goes on with zeros where it is shorter. It
// must not be longer.
func (op bitwise) into(dst, src []byte) {
	rest := dst[len(src):]
	for ; len(src) >= 8; dst, src = dst[8:], src[8:] {
		binary.LittleEndian.PutUint64(dst, op.word(binary.LittleEndian.Uint64(dst), binary.LittleEndian.Uint64(src)))
	}
	for i, c := range src {
		dst[i] = byte(op.word(uint64(dst[i]), uint64(c)))
	}
	if op == bitAnd {
		clear(rest)
	}
}

// bitOp writes what a bitwise operation makes of some values. Those that are
// shorter go on with zeros.
func bitOp(b *batch, args [][]byte) {
	op, err := parseBitwise(args[1])
	if err == nil && op == bitNot && len(args) != 4 {
		err = errBitOpNot
	}
	var out []byte
	if err == nil {
		out, err = b.combine(op, args[3:])
	}
	if err == nil {
		write := [][]byte{[]byte("set"), args[2], out}
		if len(out) == 0 {
			write = [][]byte{[]byte("del"), args[2]}
		}
		_, err = b.ask(write)
	}
	if err != nil {
		b.fail(err)
		return
	}
	b.int(int64(len(out)))
}

// combine returns what an operation makes of the values of keys.
func (b *batch) combine(op bitwise, keys [][]byte) (out []byte, err error) {
	for first := true; len(keys) > 0; {
		n := min(bitOpSources, len(keys))
		answers, err := b.ask(getEach(keys[:n])...)
		if err != nil {
			return nil, err
		}
		keys = keys[n:]
		for _, a := range answers {
			if first {
				out, first = a.str, false
				continue
			}
			if len(a.str) > len(out) {
				out = grown(out, len(a.str))
			}
			op.into(out, a.str)
		}
	}
	if op == bitNot {
		op.into(out, out)
	}
	return out, nil
}
