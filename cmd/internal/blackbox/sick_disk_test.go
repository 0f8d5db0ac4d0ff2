package blackbox

import (
	"strings"
	"testing"
)

// TestSlowDisk: one node's syncs take three times as long as a request may. It
// is passed over like a node that does not answer, and given what it missed
// when its disk is well again.
func TestSlowDisk(t *testing.T) {
	for _, k := range []struct {
		name, durability string
		nodes            int
	}{
		{"three nodes, always", "always", 3},
		{"five nodes, always", "always", 5},
		{"three nodes, one", "one", 3},
	} {
		t.Run(k.name, func(t *testing.T) {
			c := startLab(t, k.nodes, "--durability", k.durability)
			l := startLoad(t, c)
			l.during("before", calm)
			begun := l.h.since()
			slow := c.n(3).inject(slowSync)
			p := l.during("the disk of n3 is slow", short)
			p.start, p.whole = begun, p.start // to be traced takes its time
			slow.end()
			l.during("the disk of n3 is well again", 2*calm)
			l.end()
			l.smooth(p, c.others(c.n(3)))
			if !c.n(3).alive() {
				t.Error("n3 has ended, though its disk was only slow")
			}
			c.settle()
			c.audit(l.h.sorted())
		})
	}
}

// TestFailingDisk: a sync fails with an error of the disk. The node cannot know
// what the disk holds, refuses everything and ends; started again, it has all
// that it has acknowledged.
func TestFailingDisk(t *testing.T) {
	for _, durability := range []string{"always", "one", "interval"} {
		t.Run(durability, func(t *testing.T) {
			c := startLab(t, 3, "--durability", durability)
			l := startLoad(t, c)
			l.during("before", calm)
			begun := l.h.since()
			c.n(3).inject(failedSync)
			if code := c.n(3).wait(); code <= 0 {
				t.Errorf("n3 ended with exit code %d, want one that says that it failed", code)
			}
			p := l.during("n3 has ended", 2*calm)
			p.start, p.whole = begun, p.start
			wantLastWords(t, c.n(3), c.n(3).dataDir(), "input/output error", "sync")
			c.n(3).start()
			l.during("n3 is back", 2*calm)
			l.end()
			l.smooth(p, c.others(c.n(3)))
			c.settle()
			c.audit(l.h.sorted())
		})
	}
}

// wantLastWords fails the test unless the last line that a node has printed
// says all of that.
func wantLastWords(t *testing.T, s *server, words ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(s.log()), "\n")
	last := lines[len(lines)-1]
	for _, w := range words {
		if !strings.Contains(last, w) {
			t.Errorf("%s ends with %q, which does not say %q", s.name, last, w)
		}
	}
}
