package version

// (signatures; bodies are being filled in)

type Range struct{ Lo, Hi uint64 } // inclusive

// Pair: every counter 1..Base and those of Extra (sorted, disjoint, each Lo > Base+1). Time: newest timestamp of the actor's dots.
type Pair struct {
	Actor Actor
	Base  uint64
	Extra []Range
	Time  Timestamp
}

func (p Pair) Highest() uint64 { panic("x") }

type Past []Pair // sorted by Actor

func (p Past) Contains(d Dot) bool          { panic("x") }
func (p Past) Highest(a Actor) uint64       { panic("x") }
func (p Past) With(d Dot, t Timestamp) Past { panic("x") }
func (p Past) Union(q Past) Past            { panic("x") }

type Seen struct {
	Actor Actor
	Count uint64
	Sum   int64
}
type Total struct {
	Actor Actor
	Count uint64
	Sum   int64
	Base  Dot
}
type Flags uint8

const Tombstone Flags = 1

type Version struct {
	Dot    Dot
	Past   Past
	Time   Timestamp
	Flags  Flags
	Expiry int64 // unix ms, 0 none
	Seen   []Seen
	Value  []byte
}

func (v *Version) Dead(now int64) bool { panic("x") }
func (v *Version) Clock() Past         { panic("x") } // past ∪ dot

// Cell is immutable once built. nil is a valid empty *Cell for all methods.
type Cell struct {
	Versions []Version // sorted by dot
	Totals   []Total   // sorted by actor
	enc      []byte
	digest   uint64
}

func NewCell(versions []Version, totals []Total) *Cell { panic("x") } // takes ownership, sorts, does not merge
func Merge(a, b *Cell) *Cell                           { panic("x") } // returns a or b itself where that is the answer
func (c *Cell) Bytes() []byte                          { panic("x") } // canonical encoding; nil cell: nil
func (c *Cell) Digest() uint64                         { panic("x") } // 0 for nil/empty
func DecodeCell(b []byte) (*Cell, error)               { panic("x") } // aliases b
func DigestOf(encoded []byte) uint64                   { panic("x") } // without decoding
func (c *Cell) Highest(a Actor) uint64                 { panic("x") } // highest counter or increment count of a visible in the cell
func (c *Cell) Context() Context                       { panic("x") }
func (c *Cell) Stripped() *Cell                        { panic("x") } // without value bytes (same digest); for scans

// Sibling is one live value as a reader sees it.
type Sibling struct {
	Version *Version
	Value   []byte // the number, for a counter
}

func (c *Cell) Winner(now int64) (s Sibling, ok bool) { panic("x") } // plain GET; ok=false: absent
func (c *Cell) Siblings(now int64) []Sibling          { panic("x") } // DGET: live values, sorted by dot

// Mint is what a coordinator's replica brings to a write.
type Mint struct {
	Actor       Actor
	Floor       uint64
	Time        Timestamp
	Now         int64 // wall ms
	ClockMax    int   // 0: no limit
	MaxSiblings int   // 0: no limit
}

type Write struct {
	Tombstone bool
	Value     []byte
	Expiry    int64
	Context   *Context // nil: everything in the cell
}

func (c *Cell) Put(m Mint, w Write) (next, delta *Cell, dot Dot, err error)             { panic("x") } // ErrTooManySiblings
func (c *Cell) Increment(m Mint, by int64) (next, delta *Cell, number int64, err error) { panic("x") } // ErrNotInteger, ErrOverflow

// Context is what a reader saw.
type Context struct {
	Past   Past
	Totals []Seen
}

func (x Context) With(d Dot, t Timestamp) Context            { panic("x") }
func (x Context) Token(key []byte) string                    { panic("x") } // printable
func ParseContext(token string, key []byte) (Context, error) { panic("x") } // ErrBadContext
func FormatClock(p Past, name func(Actor) string) string     { panic("x") } // [(n1,2),(n2,1)] ordered by name
