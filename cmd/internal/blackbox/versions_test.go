package blackbox

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dynaring/dynaring/cmd/internal/netlab"
)

// Of the shop whose carts TestVersionsSeen counts the versions of.
const (
	shopCarts = 200
	// shopVisit is how long a cart is shopped for: then it is left for a new one.
	shopVisit = 30 * time.Second
	// faultTime is how long a fault and the calm after it take together.
	faultTime = 6 * time.Second
)

// versionsTime is how long TestVersionsSeen runs: DYNARING_TEST_VERSIONS.
func versionsTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("DYNARING_TEST_VERSIONS")
	if text == "" {
		return 2 * faultTime
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < faultTime {
		t.Fatalf("DYNARING_TEST_VERSIONS=%s: a time of at least %v is wanted", text, faultTime)
	}
	return d
}

// TestVersionsSeen counts how many versions the reads of a shop's carts see
// while nodes fail one after the other, to be compared with section 6.3 of the
// paper. Every item that was acknowledged is in its cart at the end.
func TestVersionsSeen(t *testing.T) {
	t.Parallel()
	c := startLab(t, 5)
	d := versionsTime(t)
	l := startWork(t, c, d+loadLongest, func(w *worker) { w.shop() })
	rng := rand.New(rand.NewPCG(1, 2))
	for end := l.h.since() + d; l.h.since() < end; {
		name, heal := c.someFault(rng)
		l.during(name, faultTime/2)
		heal()
		l.during("after "+name, faultTime/2)
	}
	l.end()
	ops := l.h.sorted()
	t.Log(versionsSeen(ops))
	c.settle()
	c.audit(ops)
}

// shop adds an item to a cart: most often the worker's own, rarely one that
// others shop for too, so that siblings come from failures and from rare
// writers at the same time.
func (w *worker) shop() {
	owner := w.number
	if w.rng.IntN(100) == 0 {
		owner = w.rng.IntN(loadWorkers)
	}
	visit := w.h.since() / shopVisit
	w.add(fmt.Sprintf("cart:%d:%d:%d", visit, owner, w.rng.IntN(shopCarts/loadWorkers)))
}

// someFault begins a fault of one of five nodes, or between them, and returns
// what ends it.
func (c *labCluster) someFault(rng *rand.Rand) (name string, heal func()) {
	i := 1 + rng.IntN(len(c.nodes))
	victim, rest := c.n(i), c.hosts()
	for _, s := range c.nodes {
		if s != victim {
			rest = append(rest, s.on)
		}
	}
	split := 1 + rng.IntN(len(rest)-1)
	one := c.hosts(i)
	switch rng.IntN(6) {
	case 0:
		victim.kill()
		return victim.name + " is killed", victim.start
	case 1:
		victim.freeze()
		return victim.name + " is frozen", victim.thaw
	case 2:
		c.lab.Between(one, rest[:split], netlab.Condition{Cut: true})
		return fmt.Sprintf("%s is cut from %d others", victim.name, split), c.lab.Heal
	case 3:
		c.lab.Between(append(one, rest[:1]...), rest[1:], netlab.Condition{Cut: true})
		return victim.name + " and another one are cut from the rest", c.lab.Heal
	case 4:
		c.lab.Set(one, rest, netlab.Condition{Cut: true})
		return victim.name + " is not heard", c.lab.Heal
	}
	c.lab.Between(one, rest, netlab.Condition{Delay: 50 * time.Millisecond, Jitter: 50 * time.Millisecond, Loss: 0.05})
	return victim.name + " is slow and loses packets", c.lab.Heal
}

// paperShares are the shares of reads that saw 1, 2, 3 and 4 versions in the
// paper's shop over 24 hours.
var paperShares = [...]string{"99.94", "0.00057", "0.00047", "0.00009"}

// versionsSeen is a table of how many siblings the reads of carts saw.
func versionsSeen(ops []op) string {
	var counts [8]int // the last: that many or more
	total, failed := 0, 0
	for _, o := range ops {
		switch {
		case o.kind != look:
		case o.fate != acked:
			failed++
		case o.versions > 0: // a cart that was there
			counts[min(o.versions, len(counts)-1)]++
			total++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d reads of carts answered, %d not\n\n| versions | reads | %% | the paper's %% |\n| --- | --- | --- | --- |\n", total, failed)
	for n := 1; n < len(counts); n++ {
		paper := ""
		if n <= len(paperShares) {
			paper = paperShares[n-1]
		} else if counts[n] == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %d | %d | %.4f | %s |\n", n, counts[n], 100*float64(counts[n])/float64(max(1, total)), paper)
	}
	return b.String()
}
