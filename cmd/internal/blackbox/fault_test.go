package blackbox

import (
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
)

// smooth fails the test unless requests to the nodes that are left go on as if
// nothing had happened, from the beginning of the fault: their 99.9th
// percentile is within a request's bound, and no plain write fails.
func (l *load) smooth(p period, nodes []string) {
	l.t.Helper()
	ops := p.of(l.h.sorted(), nodes)
	p999 := percentile(ops, 999)
	l.t.Logf("%s: %d requests to %v: p50 %v, p99 %v, p99.9 %v, longest %v; %s", p.name, len(ops), nodes,
		percentile(ops, 500), percentile(ops, 990), p999, percentile(ops, 1000), tally(ops))
	if p999 > bound+slack {
		l.t.Errorf("%s: the 99.9th percentile is %v, over the bound of %v", p.name, p999, bound)
	}
	for _, o := range ops {
		if o.kind == set && o.fate != acked {
			l.t.Errorf("%s: a plain write failed: %v", p.name, o)
		}
	}
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
			p := l.during("n3 is dead", short)
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
	p := l.during("n3 is frozen", short)
	p.start = begun
	c.n(3).thaw()
	l.during("n3 thaws", calm)
	l.end()
	l.smooth(p, c.others(c.n(3)))
	c.settle()
	c.audit(l.h.sorted())
}

// TestAllKilled: kill -9 of all nodes at once.
func TestAllKilled(t *testing.T) {
	for _, durability := range []string{"always", "one", "interval"} {
		t.Run(durability, func(t *testing.T) {
			c := startLab(t, 3, "--durability", durability)
			l := startLoad(t, c)
			l.during("before", short)
			killed := l.h.since()
			for _, s := range c.nodes {
				s.signal(9)
			}
			for _, s := range c.nodes {
				s.wait()
			}
			l.end()
			for _, s := range c.nodes {
				s.start()
			}
			c.settle()
			ops := l.h.sorted()
			if durability == "interval" {
				ops = forgiving(ops, killed-syncedWithin, never)
			}
			c.audit(ops)
		})
	}
}

// syncedWithin is how old what was acknowledged from memory is at the most
// when it is synced: a second, and a sync.
const syncedWithin = 1500 * time.Millisecond
