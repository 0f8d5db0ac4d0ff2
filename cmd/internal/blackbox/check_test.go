package blackbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// truth is what a settled cluster holds, by key: a register's value if there
// is one, a counter's number, a cart's items over all siblings.
type truth map[string][]string

// check returns what in a history, sorted by start, breaks a promise, with what
// was left at its end as each of some nodes tells it.
//
//   - A register holds what the last acknowledged write left, or what an
//     uncertain one did. In particular a deleted value does not come back.
//   - A counter holds what was acknowledged, and at most all that may have
//     happened.
//   - A cart holds every acknowledged item.
//   - Nothing holds, and no read has shown, what its writer was told was not
//     stored, or what nobody has written.
func check(ops []op, ends ...truth) []string {
	var broken []string
	for key, ops := range byKey(ops) {
		c := &checker{key: key, ops: ops, writers: map[string]op{}}
		for _, o := range ops {
			c.writers[o.value] = o
		}
		for _, o := range ops {
			if o.fate == acked {
				c.known(o.String(), o.saw, o.end)
			}
		}
		for _, end := range ends {
			c.end(end[key])
		}
		broken = append(broken, c.broken...)
	}
	slices.Sort(broken)
	return slices.Compact(broken)
}

func byKey(ops []op) map[string][]op {
	keys := map[string][]op{}
	for _, o := range ops {
		keys[o.key] = append(keys[o.key], o)
	}
	return keys
}

// checker checks the history of one key.
type checker struct {
	key     string
	ops     []op
	writers map[string]op // by the value that they wrote
	broken  []string
}

// shownOps is how many requests of a key a broken promise prints.
const shownOps = 12

func (c *checker) report(ops []op, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, o := range ops[max(0, len(ops)-shownOps):] {
		text += "\n    " + o.String()
	}
	c.broken = append(c.broken, text)
}

// known: what was read had been written, or was being written.
func (c *checker) known(what string, values []string, at time.Duration) {
	for _, v := range values {
		switch w, ok := c.writers[v]; {
		case !ok:
			c.report(c.ops, "%s shows %q, which nobody has written", what, v)
		case w.fate == refused:
			c.report([]op{w}, "%s shows %q, whose writer was told that nothing was stored", what, v)
		case w.start > at:
			c.report([]op{w}, "%s shows %q before it was written", what, v)
		}
	}
}

// never is the time of what is read at the end.
const never = time.Duration(1<<63 - 1)

func (c *checker) end(values []string) {
	switch c.ops[0].kind {
	case incr:
		c.counter(values)
		return
	case look, add:
		c.cart(values)
	default:
		c.register(values)
	}
	c.known(c.key, values, never)
}

func (c *checker) register(end []string) {
	allowed := []string{""} // nothing
	for _, o := range c.ops {
		if o.kind == get || o.fate == refused {
			continue
		}
		if o.fate == acked {
			// What is uncertain may still take effect, whenever it was asked for.
			allowed = slices.DeleteFunc(allowed, func(v string) bool { return !isUncertain(c.ops, v) })
		}
		allowed = append(allowed, o.value)
	}
	if got := strings.Join(end, ","); !slices.Contains(allowed, got) {
		c.report(c.ops, "%s holds %q at the end, not one of %q", c.key, got, allowed)
	}
}

// isUncertain reports whether a value, "" for none, is an uncertain write's.
func isUncertain(ops []op, value string) bool {
	return slices.ContainsFunc(ops, func(o op) bool {
		return o.fate == uncertain && o.value == value && (o.kind == set || o.kind == del)
	})
}

func (c *checker) counter(end []string) {
	low, high := 0, 0
	for _, o := range c.ops {
		switch o.fate {
		case acked:
			low, high = low+1, high+1
		case uncertain:
			high++
		}
	}
	n, err := strconv.Atoi(strings.Join(end, " "))
	if len(end) == 0 {
		n, err = 0, nil
	}
	if err != nil || n < low || n > high {
		c.report(c.ops, "%s holds %q at the end, not between %d and %d", c.key, end, low, high)
	}
}

func (c *checker) cart(end []string) {
	kept := make(map[string]bool, len(end))
	for _, item := range end {
		kept[item] = true
	}
	for i, o := range c.ops {
		if o.kind == add && o.fate == acked && !kept[o.value] {
			c.report(c.ops[i:i+1], "%s has lost the item %q at the end", c.key, o.value)
		}
	}
}

// forgiving returns a history in which what was acknowledged from memory just
// before all nodes died is uncertain.
func forgiving(ops []op, from, to time.Duration) []op {
	out := slices.Clone(ops)
	for i := range out {
		if out[i].fate == acked && out[i].end >= from && out[i].start <= to {
			out[i].fate = uncertain
		}
	}
	return out
}

// TestCheck: the checker finds what breaks a promise, and nothing else.
func TestCheck(t *testing.T) {
	at := time.Duration(0)
	do := func(k kind, key, value string, f fate, saw ...string) op {
		at += 2
		return op{kind: k, key: key, value: value, start: at, end: at + 1, fate: f, saw: saw}
	}
	for _, c := range []struct {
		name string
		ops  []op
		end  truth
		want string // in the broken promises; "" if there is none
	}{
		{"kept", []op{do(set, "r", "1", acked), do(set, "r", "2", acked), do(get, "r", "", acked, "2")}, truth{"r": {"2"}}, ""},
		{"never written", []op{do(get, "r", "", acked)}, nil, ""},
		{"lost", []op{do(set, "r", "1", acked)}, nil, "not one of"},
		{"an older one is back", []op{do(set, "r", "1", acked), do(set, "r", "2", acked)}, truth{"r": {"1"}}, "not one of"},
		{"a deleted one is back", []op{do(set, "r", "1", acked), do(del, "r", "", acked)}, truth{"r": {"1"}}, "not one of"},
		{"deleted", []op{do(set, "r", "1", acked), do(del, "r", "", acked)}, nil, ""},
		{"perhaps deleted", []op{do(set, "r", "1", acked), do(del, "r", "", uncertain)}, truth{"r": {"1"}}, ""},
		{"an uncertain one took effect late", []op{do(set, "r", "1", uncertain), do(set, "r", "2", acked)}, truth{"r": {"1"}}, ""},
		{"an uncertain delete took effect late", []op{do(del, "r", "", uncertain), do(set, "r", "2", acked)}, nil, ""},
		{"an uncertain one hides no loss", []op{do(set, "r", "1", acked), do(set, "r", "2", acked), do(set, "r", "3", uncertain)}, truth{"r": {"1"}}, "not one of"},
		{"refused and there", []op{do(set, "r", "1", acked), do(set, "r", "2", refused)}, truth{"r": {"2"}}, "nothing was stored"},
		{"read though refused", []op{do(set, "r", "1", refused), do(get, "r", "", acked, "1")}, nil, "nothing was stored"},
		{"out of nowhere", []op{do(get, "r", "", acked, "9")}, nil, "nobody has written"},
		{"from the future", []op{do(get, "r", "", acked, "7"), do(set, "r", "7", acked)}, truth{"r": {"7"}}, "before it was written"},
		{"counted", []op{do(incr, "c", "", acked), do(incr, "c", "", uncertain), do(incr, "c", "", refused)}, truth{"c": {"2"}}, ""},
		{"one lost", []op{do(incr, "c", "", acked), do(incr, "c", "", acked)}, truth{"c": {"1"}}, "not between 2 and 2"},
		{"one counted twice", []op{do(incr, "c", "", acked)}, truth{"c": {"2"}}, "not between 1 and 1"},
		{"a counter lost", []op{do(incr, "c", "", acked)}, nil, "not between 1 and 1"},
		{"a cart", []op{do(add, "k", "a", acked), do(add, "k", "b", uncertain), do(look, "k", "", acked, "a", "b")}, truth{"k": {"a"}}, ""},
		{"an item lost", []op{do(add, "k", "a", acked), do(add, "k", "b", acked)}, truth{"k": {"b"}}, "lost the item"},
		{"an item refused and there", []op{do(add, "k", "a", refused)}, truth{"k": {"a"}}, "nothing was stored"},
	} {
		switch broken := check(c.ops, c.end); {
		case c.want == "" && len(broken) > 0:
			t.Errorf("%s: %s", c.name, strings.Join(broken, "\n"))
		case c.want != "" && !strings.Contains(strings.Join(broken, "\n"), c.want):
			t.Errorf("%s: found %q, want %q", c.name, broken, c.want)
		}
	}
	ops := []op{do(set, "r", "1", acked), do(set, "r", "2", acked)}
	if broken := check(forgiving(ops, ops[1].start, ops[1].end), truth{"r": {"1"}}); len(broken) > 0 {
		t.Errorf("a write that may be lost: %q", broken)
	}
}
