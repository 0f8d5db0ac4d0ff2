package blackbox

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/dynaring/dynaring/cmd/internal/netlab"
)

// writable fails the test if, from the first second of a fault on, a blind
// write fails at one of the nodes, or answers are late.
func (l *load) writable(p period, nodes []string) {
	l.t.Helper()
	p.start = min(p.start+time.Second, p.end)
	l.none(p, "a blind write failed", l.judge(p, nodes), func(o op) bool { return o.blind() && o.failed() })
}

// TestPartitions: five nodes, of which each can always reach one more, so that
// every write finds its two.
func TestPartitions(t *testing.T) {
	c := startLab(t, 5)
	l := startLoad(t, c)
	l.during("before", calm)
	cut := netlab.Condition{Cut: true}
	var faults []period
	for _, f := range []struct {
		name  string
		begin func()
	}{
		{"n1 and n2 are cut from n3, n4 and n5", func() { c.lab.Between(c.hosts(1, 2), c.hosts(3, 4, 5), cut) }},
		{"n1 and n2 do not hear of each other", func() { c.lab.Between(c.hosts(1), c.hosts(2), cut) }},
		{"n3 does not reach n4 and n5, they reach it", func() { c.lab.Set(c.hosts(3), c.hosts(4, 5), cut) }},
		{"n1 is cut off in both directions but from n5", func() { c.lab.Between(c.hosts(1), c.hosts(2, 3, 4), cut) }},
	} {
		f.begin()
		faults = append(faults, l.during(f.name, 3*calm))
		c.lab.Heal()
		l.during("healed", calm)
	}
	l.end()
	for _, p := range faults {
		l.writable(p, c.others())
	}
	c.settle()
	c.audit(l.h.sorted())
}

// TestSlowNetwork: delays of 10 to 20 ms and a packet of a hundred lost,
// between all nodes.
func TestSlowNetwork(t *testing.T) {
	c := startLab(t, 3, "--durability", "one")
	l := startLoad(t, c)
	nodes := c.hosts(1, 2, 3)
	c.lab.Between(nodes, nodes, netlab.Condition{Delay: 10 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.01})
	p := l.during("a slow network that loses packets", short)
	c.lab.Heal()
	l.end()
	ops := l.judge(p, c.others())
	failed := slices.DeleteFunc(slices.Clone(ops), func(o op) bool { return !o.failed() })
	if len(failed) > len(ops)/50 {
		t.Errorf("%d of %d requests failed, the first of them %v", len(failed), len(ops), failed[0])
	}
	c.settle()
	c.audit(l.h.sorted())
}

// cutTime is how long TestCutOff cuts a node off: two minutes if
// DYNARING_TEST_CUT=2m says so.
func cutTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("DYNARING_TEST_CUT")
	if text == "" {
		return 16 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > loadLongest/2 {
		t.Fatalf("DYNARING_TEST_CUT=%s: a time up to %v is wanted", text, loadLongest/2)
	}
	return d
}

// TestCutOff: a node is cut off from the others, not from its clients, for
// long, and dies and comes back meanwhile: the others' connections to it stay
// half open. It refuses what it cannot keep, and comes back by itself.
func TestCutOff(t *testing.T) {
	c := startLab(t, 3)
	l := startLoad(t, c)
	l.during("before", calm)
	c.lab.Between(c.hosts(3), c.hosts(1, 2), netlab.Condition{Cut: true})
	begun := l.h.since()
	l.during("n3 is cut off", cutTime(t)/2)
	c.n(3).kill()
	c.n(3).start()
	p := l.during("n3 is cut off, and has died", cutTime(t)/2)
	p.start = begun
	c.lab.Heal()
	l.during("n3 is back", calm)
	l.end()
	l.smooth(p, c.others(c.n(3)))
	for _, o := range p.of(l.h.sorted(), []string{"n3"}) {
		if o.kind != look && o.kind != get && o.fate == acked {
			t.Errorf("acknowledged by a node alone: %v", o)
		}
	}
	c.settle()
	c.audit(l.h.sorted())
}
