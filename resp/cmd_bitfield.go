package resp

import (
	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	errOverflowType = fault("ERR Invalid OVERFLOW type specified")
	errFieldType    = fault("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")
	errFieldRO      = fault("ERR BITFIELD_RO only supports the GET subcommand")
)

// fieldOp is one operation of BITFIELD on the integer of width bits at an
// offset.
type fieldOp struct {
	kind     fieldKind
	overflow overflow
	signed   bool
	width    int64 // 1 to 64
	at       int64 // in bits
	by       int64 // the value, or the increment
}

type fieldKind uint8

const (
	fieldGet fieldKind = iota
	fieldSet
	fieldIncr
)

// overflow is what becomes of a number that its field cannot hold.
type overflow uint8

const (
	overflowWrap overflow = iota
	overflowSat
	overflowFail
)

// fieldResult is what an operation answers; failed: null.
type fieldResult struct {
	n      int64
	failed bool
}

// parseFields reads BITFIELD's operations from args[2:].
func parseFields(args [][]byte, readOnly bool) (ops []fieldOp, err error) {
	mode, writes := overflowWrap, false
	for i := 2; i < len(args); i++ {
		left := len(args) - i - 1
		op := fieldOp{overflow: mode}
		switch {
		case is(args[i], "GET") && left >= 2:
			op.kind = fieldGet
		case is(args[i], "SET") && left >= 3:
			op.kind = fieldSet
		case is(args[i], "INCRBY") && left >= 3:
			op.kind = fieldIncr
		case is(args[i], "OVERFLOW") && left >= 1:
			i++
			if mode, err = parseOverflow(args[i]); err != nil {
				return nil, err
			}
			continue
		default:
			return nil, errSyntax
		}
		if op.signed, op.width, err = parseFieldType(args[i+1]); err != nil {
			return nil, err
		}
		if op.at, err = parseBitOffset(args[i+2], op.width); err != nil {
			return nil, err
		}
		i += 2
		if op.kind != fieldGet {
			writes = true
			i++
			if op.by, err = parseInt(args[i]); err != nil {
				return nil, err
			}
		}
		ops = append(ops, op)
	}
	if writes && readOnly {
		return nil, errFieldRO
	}
	return ops, nil
}

func parseOverflow(arg []byte) (overflow, error) {
	switch {
	case is(arg, "WRAP"):
		return overflowWrap, nil
	case is(arg, "SAT"):
		return overflowSat, nil
	case is(arg, "FAIL"):
		return overflowFail, nil
	}
	return 0, errOverflowType
}

// parseFieldType reads i1 to i64 and u1 to u63.
func parseFieldType(arg []byte) (signed bool, width int64, err error) {
	if len(arg) == 0 || arg[0] != 'i' && arg[0] != 'u' {
		return false, 0, errFieldType
	}
	signed = arg[0] == 'i'
	width, err = parseInt(arg[1:])
	if err != nil || width < 1 || signed && width > 64 || !signed && width > 63 {
		return false, 0, errFieldType
	}
	return signed, width, nil
}

// run carries the operation out on a value that is long enough for its writes.
func (op *fieldOp) run(value []byte) fieldResult {
	old := op.load(value)
	if op.kind == fieldGet {
		return fieldResult{n: old}
	}
	from, by := old, op.by
	if op.kind == fieldSet {
		from, by = op.by, 0
	}
	n, ok := op.fit(from, by)
	if !ok {
		return fieldResult{failed: true}
	}
	op.store(value, n)
	if op.kind == fieldSet {
		return fieldResult{n: old}
	}
	return fieldResult{n: n}
}

func (op *fieldOp) load(value []byte) int64 {
	var u uint64
	for i := range op.width {
		u = u<<1 | uint64(bitAt(value, op.at+i))
	}
	return op.extend(u)
}

// extend reads the lowest bits of u as the field's number.
func (op *fieldOp) extend(u uint64) int64 {
	shift := 64 - op.width
	if op.signed {
		return int64(u<<shift) >> shift
	}
	return int64(u << shift >> shift)
}

func (op *fieldOp) store(value []byte, n int64) {
	for i := range op.width {
		setBitAt(value, op.at+i, byte(n>>(op.width-1-i)&1))
	}
}

// fit returns n + by as the field can hold it; ok is false where it cannot, and
// must fail then.
func (op *fieldOp) fit(n, by int64) (_ int64, ok bool) {
	lowest, highest := int64(0), int64(1)<<(op.width&63)-1
	if op.signed {
		highest = int64(uint64(1)<<(op.width-1) - 1)
		lowest = -highest - 1
	}
	// A number to be set in an unsigned field is one itself.
	over := n > highest || by > 0 && uint64(by) > uint64(highest)-uint64(n) || !op.signed && n < 0
	under := !over && (n < lowest || by < 0 && -uint64(by) > uint64(n)-uint64(lowest))
	switch {
	case !over && !under:
		return n + by, true
	case op.overflow == overflowFail:
		return 0, false
	case op.overflow == overflowWrap:
		return op.extend(uint64(n) + uint64(by)), true
	case over:
		return highest, true
	}
	return lowest, true
}

// bitFieldRO answers operations that only read.
func bitFieldRO(b *batch, u *unit) {
	ops, err := parseFields(u.args, true)
	if err != nil {
		b.fail(err)
		return
	}
	s, _ := b.found(u)
	b.array(len(ops))
	for i := range ops {
		b.int(ops[i].run(s.Value).n)
	}
}

func planBitField(b *batch, u *unit) error {
	ops, err := parseFields(u.args, false)
	if err != nil {
		return err
	}
	return b.s.checkLength(fieldsEnd(ops))
}

// fieldsEnd returns how many bytes a value needs for what operations write; 0:
// they only read.
func fieldsEnd(ops []fieldOp) (size int64) {
	for i := range ops {
		if ops[i].kind != fieldGet {
			size = max(size, (ops[i].at+ops[i].width+7)/8)
		}
	}
	return size
}

// writeBitField carries operations out one after the other, each on what the
// one before it has left.
func writeBitField(_ *batch, u *unit, w *coordinator.Write) {
	ops, _ := parseFields(u.args, false) // planBitField has
	size := fieldsEnd(ops)
	decide(u, w, func(o *outcome, s version.Sibling, ok bool, now int64) (replica.Change, error) {
		value := s.Value
		if size > 0 {
			value = grown(value, int(size))
		}
		o.fields = make([]fieldResult, len(ops))
		for i := range ops {
			o.fields[i] = ops[i].run(value)
		}
		if size == 0 {
			return replica.Change{}, nil
		}
		return replica.Change{Kind: replica.Put, Value: value, Expiry: keptExpiry(s, ok, now)}, nil
	})
}

func finishBitField(b *batch, u *unit) {
	b.array(len(u.out.fields))
	for _, f := range u.out.fields {
		if f.failed {
			b.null()
		} else {
			b.int(f.n)
		}
	}
}
