package resp

import "slices"

// maxLCSCells bounds what LCS works through, which grows with the product of
// both lengths. Redis has 4 bytes for each and no more than a value's.
const maxLCSCells = maxBulk / 4

const (
	errLCSMemory = fault("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
	errLCSBoth   = fault("ERR If you want both the length and indexes, please just use IDX.")
)

// lcsOptions are what LCS was told.
type lcsOptions struct {
	length, indexes, withLength bool
	shortest                    int64 // match that is shown
}

func parseLCS(args [][]byte) (o lcsOptions, err error) {
	for i := 3; i < len(args); i++ {
		switch {
		case is(args[i], "IDX"):
			o.indexes = true
		case is(args[i], "LEN"):
			o.length = true
		case is(args[i], "WITHMATCHLEN"):
			o.withLength = true
		case is(args[i], "MINMATCHLEN") && i+1 < len(args):
			i++
			if o.shortest, err = parseInt(args[i]); err != nil {
				return o, err
			}
		default:
			return o, errSyntax
		}
	}
	if o.indexes && o.length {
		return o, errLCSBoth
	}
	return o, nil
}

// lcs answers the longest common subsequence of two values.
func lcs(b *batch, args [][]byte) {
	answers, err := b.ask(getEach(args[1:3])...)
	if err != nil {
		b.fail(err)
		return
	}
	o, err := parseLCS(args)
	if err != nil {
		b.fail(err)
		return
	}
	x, y := answers[0].str, answers[1].str
	if (int64(len(x))+1)*(int64(len(y))+1) > maxLCSCells {
		b.fail(errLCSMemory)
		return
	}
	if o.length {
		b.int(int64(newLCSWay(x, y, false).length))
		return
	}
	common, all := newLCSWay(x, y, true).trace()
	if o.indexes {
		b.matches(all, len(common), o)
	} else {
		b.bulk(common)
	}
}

func (b *batch) matches(all []lcsMatch, length int, o lcsOptions) {
	all = slices.DeleteFunc(all, func(m lcsMatch) bool { return int64(m.n) < o.shortest })
	b.mapping(2)
	b.str("matches")
	b.array(len(all))
	for _, m := range all {
		if o.withLength {
			b.array(3)
		} else {
			b.array(2)
		}
		for _, from := range [...]int{m.x, m.y} {
			b.array(2)
			b.int(int64(from))
			b.int(int64(from + m.n - 1))
		}
		if o.withLength {
			b.int(int64(m.n))
		}
	}
	b.number("len", int64(length))
}

// lcsWay is the way back through the lengths of what all pairs of beginnings of
// x and y have in common. Where the last bytes of a pair are not the same, one
// thing about it has to be known: whether without x's there is more in common
// than without y's. So there is a bit a pair, and of the lengths only one row.
type lcsWay struct {
	x, y   []byte
	length int
	up     []byte // a row of bits for each byte of x
	width  int    // bytes of a row
}

// lcsMatch is n bytes that are the same, from x and y on.
type lcsMatch struct{ x, y, n int }

// newLCSWay finds the length and, where it is wanted, the way.
func newLCSWay(x, y []byte, way bool) *lcsWay {
	w := &lcsWay{x: x, y: y, width: (len(y) + 7) / 8}
	next := 0 // without a way every row may be the same
	if way {
		next = w.width
	}
	w.up = make([]byte, w.width+next*len(x))
	lengths := make([]uint32, len(y)+1)
	for i, c := range x {
		up := w.up[i*next:][:w.width]
		var corner, left uint32
		for j, d := range y {
			above := lengths[j+1]
			switch {
			case c == d:
				left = corner + 1
			case above > left:
				left = above
				up[j/8] |= 1 << (j % 8)
			}
			lengths[j+1], corner = left, above
		}
	}
	w.length = int(lengths[len(y)])
	return w
}

// trace goes the way, and returns the subsequence and the matches that it is
// made of, the last first.
func (w *lcsWay) trace() (common []byte, all []lcsMatch) {
	common = make([]byte, w.length)
	var m lcsMatch
	end := func() {
		if m.n > 0 {
			all = append(all, m)
		}
		m.n = 0
	}
	for i, j, n := len(w.x), len(w.y), w.length; i > 0 && j > 0; {
		switch {
		case w.x[i-1] == w.y[j-1]:
			i, j, n = i-1, j-1, n-1
			common[n] = w.x[i]
			m = lcsMatch{i, j, m.n + 1}
		case w.up[(i-1)*w.width+(j-1)/8]>>((j-1)%8)&1 != 0:
			end()
			i--
		default:
			end()
			j--
		}
	}
	end()
	return common, all
}
