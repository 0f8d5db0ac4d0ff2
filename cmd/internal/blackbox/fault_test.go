package blackbox

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

const (
	// bound is the nodes' --timeout, within which every request is answered.
	bound = 500 * time.Millisecond
	// slack is what a client may measure beyond it, on a busy machine.
	slack = 50 * time.Millisecond
)

// Times of the faults.
const (
	calm  = time.Second     // before and after
	short = 5 * time.Second // a fault
	long  = 7 * time.Second // one that outlives every message
)

// judge fails the test unless the requests to some nodes in a part of the
// history are answered in time: 99.9 of 100 within a request's bound. It
// returns them, without those that the machine held up.
func (l *load) judge(p period, nodes []string) []op {
	l.t.Helper()
	all := p.of(l.h.sorted(), nodes)
	ops := l.stalls.undisturbed(all)
	p999 := percentile(ops, 999)
	l.t.Logf("%s: %d of %d requests to %v: p50 %v, p99 %v, p99.9 %v, longest %v; %s", p.name, len(ops), len(all), nodes,
		percentile(ops, 500), percentile(ops, 990), p999, percentile(ops, 1000), tally(ops))
	if len(ops) < len(all)/2 {
		l.t.Logf("%s: NOT JUDGED: the machine or its disk stood still in most requests: it is too busy to tell", p.name)
		return nil
	}
	if p999 > bound+slack {
		l.t.Errorf("%s: the 99.9th percentile is %v, over the bound of %v", p.name, p999, bound)
	}
	return ops
}

// none fails the test if there are such requests.
func (l *load) none(p period, what string, ops []op, such func(op) bool) {
	l.t.Helper()
	ops = slices.DeleteFunc(slices.Clone(ops), func(o op) bool { return !such(o) })
	if len(ops) > 0 {
		l.t.Errorf("%s: %s in %d requests, the first of them %v", p.name, what, len(ops), ops[:min(3, len(ops))])
	}
}

// failed reports whether a request was not done.
func (o op) failed() bool { return o.err != "" }

// blind reports whether a request writes without a read before it, so that its
// coordinator alone decides where it is stored.
func (o op) blind() bool { return o.kind == set || o.kind == add }

// smooth fails the test unless requests to the nodes that are left go on as if
// nothing had happened: no blind write fails, from the beginning of the fault,
// and from the first second on nothing does.
func (l *load) smooth(p period, nodes []string) {
	l.t.Helper()
	ops, whole := l.judge(p, nodes), max(p.start, p.whole)
	l.none(p, "a blind write failed", ops, func(o op) bool { return o.blind() && o.failed() })
	l.none(p, "something failed after the first second", ops, func(o op) bool {
		return o.start > whole+time.Second && o.failed()
	})
}

// TestNodeKilled: kill -9 of one of three nodes under load, in each mode of
// durability.
func TestNodeKilled(t *testing.T) {
	for _, durability := range []string{"always", "one", "interval"} {
		t.Run(durability, func(t *testing.T) {
			c := startLab(t, 3, "--durability", durability)
			l := startLoad(t, c)
			l.during("before", calm)
			begun := l.h.since()
			c.n(3).kill()
			p := l.during("n3 is dead", 4*calm)
			p.start = begun
			c.n(3).start()
			l.during("n3 is back", calm)
			l.end()
			l.smooth(p, c.others(c.n(3)))
			c.settle()
			c.audit(l.h.sorted())
		})
	}
}

// TestNodeFrozen: SIGSTOP of one of three nodes under load. It keeps its
// connections, and answers nothing; what it had been asked it does when it
// thaws.
func TestNodeFrozen(t *testing.T) {
	c := startLab(t, 3)
	l := startLoad(t, c)
	l.during("before", calm)
	begun := l.h.since()
	c.n(3).freeze()
	p := l.during("n3 is frozen", long)
	p.start = begun
	c.n(3).thaw()
	l.during("n3 thaws", calm)
	l.end()
	l.smooth(p, c.others(c.n(3)))
	c.settle()
	c.audit(l.h.sorted())
}

// TestAllKilled: kill -9 of all nodes at once, also with the loss of a disk.
func TestAllKilled(t *testing.T) {
	for _, c := range []struct {
		durability string
		wiped      bool
		forgets    bool // the last second of what was acknowledged from memory
	}{
		{"always", false, false},
		{"always", true, false},
		{"one", false, false},
		{"one", true, true},
		{"interval", false, true},
	} {
		name := c.durability
		if c.wiped {
			name += " and a disk lost"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			allKilled(t, c.durability, c.wiped, c.forgets)
		})
	}
}

func allKilled(t *testing.T, durability string, wiped, forgets bool) {
	c := startLab(t, 3, "--durability", durability)
	l := startLoad(t, c)
	l.during("before", 2*syncedWithin)
	killed := l.h.since()
	for _, s := range c.nodes {
		s.signal(syscall.SIGKILL)
	}
	for _, s := range c.nodes {
		s.wait()
	}
	l.end()
	if wiped {
		c.wipe(c.n(2))
	}
	for _, s := range c.nodes {
		s.start()
	}
	c.settle()
	ops := l.h.sorted()
	if forgets {
		ops = forgiving(ops, killed-syncedWithin, never)
	}
	c.audit(ops)
}

// syncedWithin is how old what was acknowledged from memory is at the most
// when it is synced: a second, and a sync.
const syncedWithin = 1500 * time.Millisecond
