package blackbox

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// kind is what a client of the load did.
type kind uint8

// The kinds. Registers, whose keys have one writer each, see sets, dels and
// gets; counters see incrs; carts, which all write to, see adds: a read of all
// siblings, and a write of what they hold together with one item more.
const (
	set kind = iota
	del
	get
	incr
	look // the read of an add
	add
)

func (k kind) String() string { return [...]string{"SET", "DEL", "GET", "INCR", "DGET", "DPUT"}[k] }

// fate is what a client may conclude from what it was told.
type fate uint8

const (
	acked     fate = iota
	refused        // it did not happen and never will
	uncertain      // it may have happened, or may yet
)

func (f fate) String() string { return [...]string{"acked", "refused", "uncertain"}[f] }

// op is one request and what became of it. Times count from the history's
// begin.
type op struct {
	writer     int
	node       string // that was asked
	kind       kind
	key, value string // a set's value, an add's item: unlike every other
	start, end time.Duration
	fate       fate
	err        string   // why it is not acked
	saw        []string // a get's value, if any; a look's items
	versions   int      // a look's siblings
}

func (o op) String() string {
	s := fmt.Sprintf("%v-%v w%d@%s %v %s %s -> %v", o.start.Round(time.Millisecond), o.end.Round(time.Millisecond),
		o.writer, o.node, o.kind, o.key, o.value, o.fate)
	switch {
	case o.err != "":
		s += " " + o.err
	case o.kind == get:
		s += fmt.Sprintf(" %q", o.saw)
	}
	return s
}

// conclude returns what an error of go-redis says about the request.
func conclude(err error) (fate, string) {
	var said redis.Error
	var op *net.OpError
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		return acked, ""
	case errors.As(err, &said):
		if strings.HasPrefix(err.Error(), "UNCERTAIN ") {
			return uncertain, err.Error()
		}
		return refused, err.Error()
	case errors.As(err, &op) && op.Op == "dial":
		return refused, err.Error()
	}
	return uncertain, err.Error()
}

// lost reports whether an error says that the node does not answer, so that a
// client goes to another one.
func lost(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) ||
		err != nil && (strings.HasPrefix(err.Error(), "LOADING ") || strings.Contains(err.Error(), "shutting down"))
}

// history is what all clients did.
type history struct {
	begin time.Time

	mu  sync.Mutex
	ops []op
}

func newHistory() *history { return &history{begin: time.Now()} }

func (h *history) since() time.Duration { return time.Since(h.begin) }

func (h *history) add(o op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, o)
}

// sorted returns what was recorded so far, by start.
func (h *history) sorted() []op {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := slices.Clone(h.ops)
	slices.SortStableFunc(out, func(a, b op) int { return int(a.start - b.start) })
	return out
}

// count returns how many requests have ended.
func (h *history) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// period is a part of a history.
type period struct {
	name       string
	start, end time.Duration
	whole      time.Duration // when the fault was all there, if it took its time to come
}

// of returns the requests that began in the period, at one of the nodes.
func (p period) of(ops []op, nodes []string) []op {
	var out []op
	for _, o := range ops {
		if o.start >= p.start && o.start < p.end && slices.Contains(nodes, o.node) {
			out = append(out, o)
		}
	}
	return out
}

// percentile returns the duration that so many of 1000 requests did not
// exceed.
func percentile(ops []op, of1000 int) time.Duration {
	if len(ops) == 0 {
		return 0
	}
	took := make([]time.Duration, len(ops))
	for i, o := range ops {
		took[i] = o.end - o.start
	}
	slices.Sort(took)
	return took[min(len(took)*of1000/1000, len(took)-1)]
}

// tally counts requests by kind and fate, for a test's log.
func tally(ops []op) string {
	counts := map[string]int{}
	for _, o := range ops {
		counts[fmt.Sprintf("%v %v", o.kind, o.fate)]++
	}
	var parts []string
	for what, n := range counts {
		parts = append(parts, fmt.Sprintf("%d %s", n, what))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
