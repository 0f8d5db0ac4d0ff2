package hyperloglog

// Bounds of a run of the sparse form.
const (
	maxRank     = 32 // of a run of equal registers
	maxRun      = 4  // of equal registers
	maxZeros    = 64 // in one byte
	mergeWithin = 5  // runs behind a change that are looked at for equal neighbours
)

// run is one run: n registers of a rank, in size bytes; size 0: damaged.
func runAt(b []byte) (rank uint8, n, size int) {
	switch c := b[0]; {
	case c&0x80 != 0:
		return c>>2&31 + 1, int(c&3) + 1, 1
	case c&0x40 == 0:
		return 0, int(c&63) + 1, 1
	case len(b) > 1:
		return 0, int(c&63)<<8 | int(b[1]) + 1, 2
	}
	return 0, 0, 0
}

func appendRun(dst []byte, rank uint8, n int) []byte {
	switch {
	case n == 0:
		return dst
	case rank > 0:
		return append(dst, 0x80|(rank-1)<<2|byte(n-1))
	case n <= maxZeros:
		return append(dst, byte(n-1))
	}
	return append(dst, 0x40|byte((n-1)>>8), byte(n-1))
}

// eachRun calls fn with the runs of a sparse sketch. It stops where they are
// damaged.
func (s *Sketch) eachRun(fn func(from, n int, rank uint8)) error {
	at := 0
	for b := s.b[headerSize:]; len(b) > 0; {
		rank, n, size := runAt(b)
		if size == 0 || at+n > registers {
			return ErrCorrupted
		}
		fn(at, n, rank)
		at += n
		b = b[size:]
	}
	if at != registers {
		return ErrCorrupted
	}
	return nil
}

// makeDense rewrites the sketch in the dense form.
func (s *Sketch) makeDense() error {
	if s.dense() {
		return nil
	}
	out := make([]byte, denseSize)
	copy(out, s.b[:headerSize])
	out[4] = encodingDense
	err := s.eachRun(func(from, n int, rank uint8) {
		if rank == 0 {
			return
		}
		for i := from; i < from+n; i++ {
			setDense(out[headerSize:], i, rank)
		}
	})
	if err == nil {
		s.b = out
	}
	return err
}

// raiseSparse raises a register in the sparse form; done is false where it has
// to become dense for that.
func (s *Sketch) raiseSparse(index int, rank uint8) (changed, done bool, err error) {
	if rank > maxRank {
		return false, false, nil
	}
	at, before, first := headerSize, -1, 0 // the run that holds the register, the one before, its first register
	var held uint8
	var n, size int
	for {
		if at >= len(s.b) {
			return false, true, ErrCorrupted
		}
		if held, n, size = runAt(s.b[at:]); size == 0 {
			return false, true, ErrCorrupted
		}
		if index < first+n {
			break
		}
		at, before, first = at+size, at, first+n
	}
	if held >= rank {
		return false, true, nil
	}
	var room [5]byte
	parts := appendRun(room[:0], held, index-first)
	parts = appendRun(parts, rank, 1)
	parts = appendRun(parts, held, first+n-1-index)
	if more := len(parts) - size; more > 0 && len(s.b)+more > maxSparse {
		return false, false, nil
	}
	tail := append([]byte(nil), s.b[at+size:]...)
	s.b = append(append(s.b[:at], parts...), tail...)
	if before < 0 {
		before = headerSize
	}
	s.joinRuns(before)
	s.Outdate()
	return true, true, nil
}

// joinRuns makes one run of equal neighbours, where that fits, near a change.
func (s *Sketch) joinRuns(at int) {
	for looked := 0; at < len(s.b) && looked < mergeWithin; looked++ {
		rank, n, size := runAt(s.b[at:])
		if rank > 0 && at+1 < len(s.b) {
			if next, m, _ := runAt(s.b[at+1:]); next == rank && n+m <= maxRun {
				s.b[at+1] = appendRun(nil, rank, n+m)[0]
				s.b = append(s.b[:at], s.b[at+1:]...)
				continue
			}
		}
		at += size
	}
}
