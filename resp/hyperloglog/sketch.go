package hyperloglog

import (
	"encoding/binary"
	"errors"
)

const (
	registers  = 1 << indexBits
	indexBits  = 14
	rankBits   = 64 - indexBits // of a hash, whose zeros are counted
	headerSize = 16
	denseSize  = headerSize + registers*6/8

	encodingDense  = 0
	encodingSparse = 1

	// maxSparse is the size up to which a sketch stays sparse, its header
	// included: Redis's hll-sparse-max-bytes.
	maxSparse = 3000
)

var magic = []byte("HYLL")

// Errors of values that are none, or damaged.
var (
	ErrNotSketch = errors.New("not a valid HyperLogLog string value")
	ErrCorrupted = errors.New("corrupted HyperLogLog")
)

// Sketch is a HyperLogLog. Its zero value is not one: New or Parse.
type Sketch struct {
	b []byte
}

// New returns a sketch of nothing.
func New() *Sketch {
	b := make([]byte, headerSize, headerSize+2)
	copy(b, magic)
	b[4] = encodingSparse
	return &Sketch{append(b, 0x40|(registers-1)>>8, (registers-1)&0xff)}
}

// Is reports whether a value looks like a sketch: its header does.
func Is(b []byte) bool {
	if len(b) < headerSize || string(b[:len(magic)]) != string(magic) || b[4] > encodingSparse {
		return false
	}
	return b[4] == encodingSparse || len(b) == denseSize
}

// Parse returns the sketch in a copy of b. Errors: ErrNotSketch. Damage inside
// a sparse one is found by those who read it (ErrCorrupted).
func Parse(b []byte) (*Sketch, error) {
	if !Is(b) {
		return nil, ErrNotSketch
	}
	return &Sketch{append(make([]byte, 0, len(b)+8), b...)}, nil
}

// Bytes returns the sketch as it is stored. The slice is the sketch's.
func (s *Sketch) Bytes() []byte { return s.b }

func (s *Sketch) dense() bool { return s.b[4] == encodingDense }

// Outdate marks the count that the header caches as out of date, as every write
// of a sketch does.
func (s *Sketch) Outdate() { s.b[headerSize-1] |= 0x80 }

// cached returns the count that the header holds, if it is up to date.
func (s *Sketch) cached() (n uint64, ok bool) {
	n = binary.LittleEndian.Uint64(s.b[8:])
	return n, n>>63 == 0
}

// Add counts an element, and reports whether that changed a register.
func (s *Sketch) Add(element []byte) (changed bool, err error) {
	h := hash(element)
	index := int(h & (registers - 1))
	rank := uint8(1)
	for rest := h>>indexBits | 1<<rankBits; rest&1 == 0; rest >>= 1 {
		rank++
	}
	return s.raise(index, rank)
}

// raise sets a register if it is lower.
func (s *Sketch) raise(index int, rank uint8) (changed bool, err error) {
	if !s.dense() {
		if changed, done, err := s.raiseSparse(index, rank); done || err != nil {
			return changed, err
		}
		if err := s.makeDense(); err != nil {
			return false, err
		}
	}
	r := s.b[headerSize:]
	if denseAt(r, index) >= rank {
		return false, nil
	}
	setDense(r, index, rank)
	s.Outdate()
	return true, nil
}

func denseAt(r []byte, index int) uint8 {
	at, shift := index*6/8, index*6%8
	v := uint(r[at]) >> shift
	if shift > 2 {
		v |= uint(r[at+1]) << (8 - shift)
	}
	return uint8(v & 63)
}

func setDense(r []byte, index int, rank uint8) {
	at, shift := index*6/8, index*6%8
	r[at] = r[at]&^(63<<shift) | rank<<shift
	if shift > 2 {
		r[at+1] = r[at+1]&^(63>>(8-shift)) | rank>>(8-shift)
	}
}

// Registers are a sketch's, one a byte.
type Registers [registers]uint8

// Merge raises the registers to those of a sketch.
func (r *Registers) Merge(s *Sketch) error {
	if s.dense() {
		for i := range r {
			r[i] = max(r[i], denseAt(s.b[headerSize:], i))
		}
		return nil
	}
	return s.eachRun(func(from, n int, rank uint8) {
		if rank == 0 {
			return
		}
		for i := from; i < from+n; i++ {
			r[i] = max(r[i], rank)
		}
	})
}

// Merge raises the sketch's registers to those of others, and reports whether
// that changed it. It becomes dense if one of the others is.
func (s *Sketch) Merge(others ...*Sketch) (changed bool, err error) {
	var r Registers
	dense := false
	for _, o := range others {
		if err := r.Merge(o); err != nil {
			return false, err
		}
		dense = dense || o.dense()
	}
	if dense {
		if err := s.makeDense(); err != nil {
			return false, err
		}
	}
	for i, rank := range r {
		if rank == 0 {
			continue
		}
		raised, err := s.raise(i, rank)
		if err != nil {
			return changed, err
		}
		changed = changed || raised
	}
	return changed, nil
}
