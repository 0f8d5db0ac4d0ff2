package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"math"
	"strconv"
)

// Version is the newest version that is read, and the one that is written.
const Version = 10

const (
	typeString = 0
	footerSize = 2 + 8

	special   = 0xc0
	int8Form  = special
	int16Form = special | 1
	int32Form = special | 2
	lzfForm   = special | 3

	maxIntegerDigits = 11 // of what is tried as an integer
)

// Errors of Parse.
var (
	ErrChecksum = errors.New("DUMP payload version or checksum are wrong")
	ErrFormat   = errors.New("bad data format")
)

// TypeError is a payload of a type other than strings.
type TypeError struct{ Type byte }

func (e *TypeError) Error() string {
	return fmt.Sprintf("the payload is of type %d: only strings can be restored", e.Type)
}

// SizeError is a value that is longer than its reader takes.
type SizeError struct{ Size uint64 }

func (e *SizeError) Error() string { return fmt.Sprintf("the value has %d bytes", e.Size) }

// jones is the polynomial of Redis's checksums, bits reversed.
var jones = crc64.MakeTable(0x95ac9329ac4bc9b5)

// checksum is a CRC without the inversions that Go's has at both ends.
func checksum(b []byte) uint64 { return ^crc64.Update(math.MaxUint64, jones, b) }

// Append appends the payload of a string.
func Append(dst, value []byte) []byte {
	from := len(dst)
	dst = append(dst, typeString)
	if n, ok := integer(value); ok {
		dst = appendInteger(dst, n)
	} else {
		dst = append(appendLength(dst, len(value)), value...)
	}
	dst = binary.LittleEndian.AppendUint16(dst, Version)
	return binary.LittleEndian.AppendUint64(dst, checksum(dst[from:]))
}

// integer reads a value that an integer of 32 bits stands for.
func integer(value []byte) (int32, bool) {
	if len(value) > maxIntegerDigits {
		return 0, false
	}
	n, err := strconv.ParseInt(string(value), 10, 32)
	return int32(n), err == nil && strconv.FormatInt(n, 10) == string(value)
}

func appendInteger(dst []byte, n int32) []byte {
	switch {
	case n == int32(int8(n)):
		return append(dst, int8Form, byte(n))
	case n == int32(int16(n)):
		return binary.LittleEndian.AppendUint16(append(dst, int16Form), uint16(n))
	}
	return binary.LittleEndian.AppendUint32(append(dst, int32Form), uint32(n))
}

func appendLength(dst []byte, n int) []byte {
	switch {
	case n < 1<<6:
		return append(dst, byte(n))
	case n < 1<<14:
		return append(dst, 0x40|byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0x80), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0x81), uint64(n))
}

// Parse returns the string in a payload, at most limit bytes long. Errors:
// ErrChecksum, ErrFormat, *TypeError, *SizeError.
func Parse(payload []byte, limit int) ([]byte, error) {
	if len(payload) < footerSize {
		return nil, ErrChecksum
	}
	footer := payload[len(payload)-footerSize:]
	if binary.LittleEndian.Uint16(footer) > Version ||
		binary.LittleEndian.Uint64(footer[2:]) != checksum(payload[:len(payload)-8]) {
		return nil, ErrChecksum
	}
	r := reader{b: payload[:len(payload)-footerSize]}
	switch t := r.take(1); {
	case r.bad:
		return nil, ErrFormat
	case t[0] != typeString:
		return nil, &TypeError{t[0]}
	}
	value, size := r.str(uint64(limit))
	switch {
	case size > uint64(limit):
		return nil, &SizeError{size}
	case r.bad:
		return nil, ErrFormat
	}
	return value, nil
}

// reader takes a payload apart. After the first thing that is not there it is
// bad, and answers nothing.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}

// str reads a string, and how long it is, which may be more than limit: then
// it is not read.
func (r *reader) str(limit uint64) (value []byte, size uint64) {
	n, form := r.length()
	switch form {
	case 0:
		if n > limit {
			return nil, n
		}
		return r.take(n), n
	case int8Form:
		if b := r.take(1); b != nil {
			value = strconv.AppendInt(nil, int64(int8(b[0])), 10)
		}
	case int16Form:
		if b := r.take(2); b != nil {
			value = strconv.AppendInt(nil, int64(int16(binary.LittleEndian.Uint16(b))), 10)
		}
	case int32Form:
		if b := r.take(4); b != nil {
			value = strconv.AppendInt(nil, int64(int32(binary.LittleEndian.Uint32(b))), 10)
		}
	case lzfForm:
		packed, form := r.length()
		size, form2 := r.length()
		r.bad = r.bad || form != 0 || form2 != 0
		if size > limit && !r.bad {
			return nil, size
		}
		value = r.unpack(r.take(packed), size)
	default:
		r.bad = true
	}
	return value, uint64(len(value))
}

// length reads a length, or the byte of a special form.
func (r *reader) length() (n uint64, form byte) {
	b := r.take(1)
	if b == nil {
		return 0, 0
	}
	switch c := b[0]; {
	case c < 0x40:
		return uint64(c), 0
	case c < 0x80:
		if low := r.take(1); low != nil {
			return uint64(c&0x3f)<<8 | uint64(low[0]), 0
		}
	case c == 0x80:
		if b := r.take(4); b != nil {
			return uint64(binary.BigEndian.Uint32(b)), 0
		}
	case c == 0x81:
		if b := r.take(8); b != nil {
			return binary.BigEndian.Uint64(b), 0
		}
	case c >= special:
		return 0, c
	default:
		r.bad = true
	}
	return 0, 0
}

// Bounds of LZF: a control byte below maxLiteral is followed by so many bytes
// and one more; else its upper bits are a copy's length, its lower ones the
// upper bits of how far back it begins.
const (
	maxLiteral = 1 << 5
	longCopy   = 7
	minCopy    = 2
)

// unpack undoes LZF. What comes out must have the size.
func (r *reader) unpack(in []byte, size uint64) []byte {
	// A copy of three bytes can stand for 264: no size costs more memory than
	// its input could fill.
	if r.bad || size == 0 || size > uint64(len(in))*100 {
		r.bad = true
		return nil
	}
	out := make([]byte, 0, size)
	p := reader{b: in}
	for len(p.b) > 0 && !p.bad {
		c := int(p.take(1)[0])
		if c < maxLiteral {
			out = append(out, p.take(uint64(c)+1)...)
			continue
		}
		n := c >> 5
		if n == longCopy {
			if more := p.take(1); more != nil {
				n += int(more[0])
			}
		}
		low := p.take(1)
		if low == nil {
			break
		}
		back := (c&(maxLiteral-1))<<8 | int(low[0])
		from := len(out) - back - 1
		if from < 0 || uint64(len(out)+n+minCopy) > size {
			p.bad = true
			break
		}
		for i := range n + minCopy {
			out = append(out, out[from+i]) // it may overlap what it makes
		}
	}
	if p.bad || uint64(len(out)) != size {
		r.bad = true
		return nil
	}
	return out
}
