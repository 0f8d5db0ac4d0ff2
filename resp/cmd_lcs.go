package resp

import "slices"

// maxLCSTable bounds the table that LCS works with: its bytes grow with the
// product of both lengths.
const maxLCSTable = 256 << 20

const (
	errLCSMemory = fault("ERR Insufficient memory, failed allocating transient memory for LCS")
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
	if uint64(len(x)+1)*uint64(len(y)+1) > maxLCSTable/4 {
		b.fail(errLCSMemory)
		return
	}
	t := newLCSTable(x, y)
	switch {
	case o.length:
		b.int(int64(t.at(len(x), len(y))))
	case o.indexes:
		b.matches(t, o)
	default:
		common, _ := t.trace()
		b.bulk(common)
	}
}

func (b *batch) matches(t *lcsTable, o lcsOptions) {
	_, all := t.trace()
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
	b.number("len", int64(t.at(len(t.x), len(t.y))))
}

// lcsTable has the length of the longest common subsequence of every two
// beginnings of x and y.
type lcsTable struct {
	x, y  []byte
	cells []uint32
}

// lcsMatch is n bytes that are the same, from x and y on.
type lcsMatch struct{ x, y, n int }

func newLCSTable(x, y []byte) *lcsTable {
	t := &lcsTable{x, y, make([]uint32, (len(x)+1)*(len(y)+1))}
	w := len(y) + 1
	for i := range x {
		above, row := t.cells[i*w:(i+1)*w], t.cells[(i+1)*w:(i+2)*w]
		for j := range y {
			if x[i] == y[j] {
				row[j+1] = above[j] + 1
			} else {
				row[j+1] = max(above[j+1], row[j])
			}
		}
	}
	return t
}

func (t *lcsTable) at(i, j int) uint32 { return t.cells[i*(len(t.y)+1)+j] }

// trace goes back through the table, and returns the subsequence and the
// matches that it is made of, the last first.
func (t *lcsTable) trace() (common []byte, all []lcsMatch) {
	common = make([]byte, t.at(len(t.x), len(t.y)))
	var m lcsMatch
	end := func() {
		if m.n > 0 {
			all = append(all, m)
		}
		m.n = 0
	}
	for i, j, n := len(t.x), len(t.y), len(common); i > 0 && j > 0; {
		switch {
		case t.x[i-1] == t.y[j-1]:
			i, j, n = i-1, j-1, n-1
			common[n] = t.x[i]
			m = lcsMatch{i, j, m.n + 1}
		case t.at(i-1, j) > t.at(i, j-1):
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
