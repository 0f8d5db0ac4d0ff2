package sim

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dynaring/dynaring/storage/version"
)

// Kind is what a client did. Most keys see kinds of one family only: Set, Get
// and Del; or Incr and Get; or DPut, DDel, DGet and Get. Of others, only what
// holds for every key is checked.
type Kind uint8

// The kinds of operations.
const (
	Get Kind = iota
	Set
	Del
	Incr
	DGet
	DPut
	DDel
)

var kindNames = [...]string{"GET", "SET", "DEL", "INCRBY", "DGET", "DPUT", "DDEL"}

func (k Kind) String() string { return kindNames[k] }

func (k Kind) reads() bool { return k == Get || k == DGet }

// Outcome is what a client may conclude from what it was told.
type Outcome uint8

const (
	// Acked: it happened.
	Acked Outcome = iota
	// Failed: it did not happen and never will. Of a read: no answer.
	Failed
	// Uncertain: it may have happened, or may yet.
	Uncertain
)

var outcomeNames = [...]string{"ok", "failed", "uncertain"}

func (o Outcome) String() string { return outcomeNames[o] }

// never is the end of what has no known end.
const never = time.Duration(math.MaxInt64)

// Op is one request and its outcome. Times count from the history's begin.
type Op struct {
	Client, Node string
	Kind         Kind
	Key          string
	Value        string           // Set, DPut: unlike every other value of the key
	By           int64            // Incr
	TTL          time.Duration    // Set, DPut: 0 for ever
	R, W         int              // owners that it asked for
	Given        *version.Context // DPut, DDel; nil: none
	Start, End   time.Duration

	Outcome Outcome
	Err     string          // why it is not Acked
	Values  []string        // Get: none or one; DGet: the live ones
	Number  int64           // Incr: the number afterwards; Del: keys that were there
	Got     version.Context // DGet: what was read; DPut, DDel: Given and the new dot
}

// String prints the operation as a line of a transcript.
func (o *Op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s@%s %v-%v %v %s", o.Client, o.Node, o.Start.Round(time.Microsecond), o.End.Round(time.Microsecond), o.Kind, o.Key)
	switch o.Kind {
	case Set, DPut:
		b.WriteString(" " + o.Value)
	case Incr:
		fmt.Fprintf(&b, " %d", o.By)
	}
	if o.TTL > 0 {
		fmt.Fprintf(&b, " PX %d", o.TTL.Milliseconds())
	}
	if o.Given != nil {
		b.WriteString(" given " + dots(o.Given.Past))
	}
	if o.Kind.reads() {
		fmt.Fprintf(&b, " R=%d", o.R)
	} else {
		fmt.Fprintf(&b, " W=%d", o.W)
	}
	fmt.Fprintf(&b, " -> %v", o.Outcome)
	switch {
	case o.Outcome != Acked:
		b.WriteString(" " + o.Err)
	case o.Kind.reads():
		fmt.Fprintf(&b, " %q", o.Values)
	case o.Kind == Incr || o.Kind == Del:
		fmt.Fprintf(&b, " %d", o.Number)
	}
	if o.Outcome == Acked && o.Kind >= DGet {
		b.WriteString(" " + dots(o.Got.Past))
	}
	return b.String()
}

// dots prints a past in full: each actor by its id's first digits.
func dots(p version.Past) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, pair := range p {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%04x", pair.Actor.ID>>48)
		if pair.Actor.Inc > 0 {
			fmt.Fprintf(&b, "/%d", pair.Actor.Inc)
		}
		fmt.Fprintf(&b, ":%d", pair.Base)
		for _, r := range pair.Extra {
			fmt.Fprintf(&b, ",%d-%d", r.Lo, r.Hi)
		}
	}
	b.WriteByte('}')
	return b.String()
}

// wrote reports whether the operation may have changed its key.
func (o *Op) wrote() bool {
	return !o.Kind.reads() && o.Outcome != Failed && !(o.Kind == Del && o.Outcome == Acked && o.Number == 0)
}

// settled returns when the operation had taken effect at the latest.
func (o *Op) settled() time.Duration {
	if o.Outcome == Acked {
		return o.End
	}
	return never
}

// History is what all clients did, in the order in which they were answered.
type History struct {
	begin time.Time

	mu  sync.Mutex
	ops []*Op
}

// NewHistory begins a history now.
func NewHistory() *History { return &History{begin: time.Now()} }

// Since returns the time since the history's begin.
func (h *History) Since() time.Duration { return time.Since(h.begin) }

// Add records an operation that has ended.
func (h *History) Add(o Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, &o)
}

// Ops returns what was recorded so far, by start.
func (h *History) Ops() []*Op {
	h.mu.Lock()
	defer h.mu.Unlock()
	ops := slices.Clone(h.ops)
	slices.SortStableFunc(ops, func(a, b *Op) int { return cmp.Compare(a.Start, b.Start) })
	return ops
}

// byKey returns the operations by key.
func byKey(ops []*Op) map[string][]*Op {
	keys := make(map[string][]*Op)
	for _, o := range ops {
		keys[o.Key] = append(keys[o.Key], o)
	}
	return keys
}
