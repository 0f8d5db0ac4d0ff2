package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rules say what may be expected of a history.
type Rules struct {
	N int // owners of a key
	// From is when quorums begin to count: a read from then on sees every
	// write that was acknowledged before, if they share an owner (W + R > N).
	// never: where fallbacks may stand in for owners, where owners change, or
	// where crashes lose what was acknowledged from memory.
	From time.Duration
	// Settled are the times at which all owners held the same and nothing was
	// on its way any more. What was replaced before one of them is not read
	// after it, whoever answers.
	Settled []time.Duration
	// Healed is the last of them, with no fault after it: whoever is asked has
	// all that was acknowledged before. never: there is none.
	Healed time.Duration
	// Wiped disks took with them what fewer owners than that, and one, had
	// acknowledged.
	Wiped int
	// Durable: what was acknowledged is on disks.
	Durable bool
	// Clocks: all wall clocks agree, so that of two plain writes that follow
	// one another the later wins, wherever they were made.
	Clocks bool
	// Faultless: nothing failed, so that every INCR has its own number.
	Faultless bool
}

// sees reports whether a read must see a write: the quorums share an owner, or
// by now every owner has it.
func (c *checker) sees(r, w *Op) bool {
	switch {
	case w.Outcome != Acked || w.End >= r.Start || w.W <= c.Wiped:
		return false
	case c.Durable && w.End < c.Healed && c.Healed <= r.Start:
		return true
	}
	return r.Start >= c.From && min(w.W, c.N)+min(r.R, c.N) > c.N
}

// final reports whether what a write replaced, it replaced for ever before a
// read began: every owner had it, or had even collected it.
func (c *checker) final(w, r *Op) bool {
	return w.Outcome == Acked && w.W > c.Wiped && c.Durable && slices.ContainsFunc(c.Settled, func(t time.Duration) bool {
		return w.End < t && t <= r.Start
	})
}

// clockSlack is how far two plain writes must be apart before the clocks of
// nodes that have not talked to each other order them for sure.
const clockSlack = 2 * time.Millisecond

// Check returns what in a history, sorted by start, breaks the laws.
func Check(rules Rules, ops []*Op) []string {
	c := checker{Rules: rules}
	keys := byKey(ops)
	for _, key := range sortedKeys(keys) {
		c.key(keys[key])
	}
	return c.broken
}

type checker struct {
	Rules
	broken []string
}

// report notes a broken law and the operations that show it.
func (c *checker) report(law string, ops ...*Op) {
	for _, o := range ops {
		law += "\n    " + o.String()
	}
	c.broken = append(c.broken, law)
}

func (c *checker) key(ops []*Op) {
	c.errors(ops)
	if mixed(ops) {
		return
	}
	writers := c.writers(ops)
	siblings := c.siblings(ops)
	counter := slices.ContainsFunc(ops, isIncr)
	for _, r := range ops {
		if r.Outcome != Acked {
			continue
		}
		switch {
		case counter:
			c.count(r, ops)
		case r.Kind.reads():
			c.known(r, writers)
			c.revived(r, siblings)
			if r.Kind == DGet {
				c.register(r, siblings)
			} else if c.Clocks && !slices.ContainsFunc(ops, isSibling) {
				c.plain(r, ops, writers)
			}
		case r.Kind == Del && r.Number == 0 && c.Clocks:
			c.plain(r, ops, writers)
		}
	}
	if c.Faultless {
		c.distinct(ops)
	}
}

// mixed reports whether a key has seen writes of more than one family.
func mixed(ops []*Op) bool {
	families := 0
	for _, kinds := range [][]Kind{{Set, Del}, {Incr}, {DPut, DDel}} {
		if slices.ContainsFunc(ops, func(o *Op) bool { return slices.Contains(kinds, o.Kind) }) {
			families++
		}
	}
	return families > 1
}

// errors: no command of the workload deserves an error, other than those that
// faults explain.
func (c *checker) errors(ops []*Op) {
	for _, o := range ops {
		if strings.HasPrefix(o.Err, unexpected) || strings.HasPrefix(o.Err, "BADCONTEXT") ||
			strings.HasPrefix(o.Err, "ERR") && !slices.ContainsFunc(explained, func(s string) bool { return strings.Contains(o.Err, s) }) {
			c.report("an error that nothing explains", o)
		}
	}
}

// explained are errors of nodes that stop, and of full and broken disks.
var explained = []string{"shutting down", "nothing was stored", "data directory failed", "too many siblings"}

func isIncr(o *Op) bool    { return o.Kind == Incr }
func isSibling(o *Op) bool { return o.Kind >= DGet }

// writers maps each value to the operation that wrote it.
func (c *checker) writers(ops []*Op) map[string]*Op {
	writers := make(map[string]*Op)
	for _, o := range ops {
		if o.Kind == Set || o.Kind == DPut {
			writers[o.Value] = o
		}
	}
	return writers
}

// known: a read answers only what somebody wrote, or was writing.
func (c *checker) known(r *Op, writers map[string]*Op) {
	for _, v := range r.Values {
		switch w := writers[v]; {
		case w == nil:
			c.report(fmt.Sprintf("%q was never written", v), r)
		case w.Outcome == Failed:
			c.report(fmt.Sprintf("%q is there, though its write said that nothing was stored", v), w, r)
		case w.Start > r.End:
			c.report(fmt.Sprintf("%q was read before it was written", v), r, w)
		case w.TTL > 0 && w.Outcome == Acked && c.Clocks && r.Start >= w.End+w.TTL:
			c.report(fmt.Sprintf("%q was read after it had expired", v), w, r)
		}
	}
}

// plain: a read answers the last write that ended before it, or one that was
// made at the same time as that, or later. Of a DEL that found nothing, it is
// "nothing" that was read.
func (c *checker) plain(r *Op, ops []*Op, writers map[string]*Op) {
	var sources []*Op // what may have led to the answer
	if len(r.Values) > 0 {
		sources = append(sources, writers[r.Values[0]])
	} else {
		for _, o := range ops {
			if o != r && o.erases(r) {
				sources = append(sources, o)
			}
		}
		sources = append(sources, nil) // the key that was never written
	}
	var newer *Op
	for _, s := range sources {
		if newer = c.superseded(s, r, ops); newer == nil {
			return
		}
	}
	c.report("an acknowledged write is not what a later read answers, nor anything newer", newer, r)
}

// erases reports whether o may be why r found nothing.
func (o *Op) erases(r *Op) bool {
	switch {
	case !o.wrote() || o.Start >= r.End:
		return false
	case o.Kind == Del:
		return true
	}
	return o.Kind == Set && o.TTL > 0 && o.Start+o.TTL <= r.End
}

// superseded returns an acknowledged write that r must have seen and that
// follows s; s is nil for the state before all writes.
func (c *checker) superseded(s, r *Op, ops []*Op) *Op {
	for _, w := range ops {
		if w == s || !w.wrote() || len(r.Values) == 0 && w.erases(r) {
			continue
		}
		if !c.sees(r, w) && (len(r.Values) == 0 || !c.final(w, r)) {
			continue
		}
		if s == nil || s.settled() < never && w.Start > s.settled()+clockSlack {
			return w
		}
	}
	return nil
}

// count: a number is at least what was acknowledged before, and at most what
// may have happened by then.
func (c *checker) count(r *Op, ops []*Op) {
	number := r.Number
	if len(r.Values) > 0 {
		n, err := strconv.ParseInt(r.Values[0], 10, 64)
		if err != nil {
			c.report("a counter is not a number", r)
			return
		}
		number = n
	}
	var low, high int64
	for _, o := range ops {
		switch {
		case o.Kind != Incr || o.Outcome == Failed || o.Start >= r.End && o != r:
		case o == r, c.sees(r, o):
			low, high = low+o.By, high+o.By
		default:
			low, high = low+min(o.By, 0), high+max(o.By, 0)
		}
	}
	if number < low || number > high {
		c.report(fmt.Sprintf("a counter shows %d, not between %d and %d", number, low, high), r)
	}
}

// distinct: no two increments of 1 or more answer the same number.
func (c *checker) distinct(ops []*Op) {
	seen := make(map[int64]*Op)
	for _, o := range ops {
		if o.Kind != Incr || o.Outcome != Acked {
			continue
		}
		if other := seen[o.Number]; other != nil {
			c.report("two increments answered the same number", other, o)
		}
		seen[o.Number] = o
	}
}
