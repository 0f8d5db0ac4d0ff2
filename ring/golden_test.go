package ring

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/dynaring/dynaring/storage/version"
)

// TestGolden plays the histories in testdata. Events get the ids and times 1,
// 2, 3 … in the order in which they are written.
//
//	found n=<n> partitions=<q>
//	join <name> [actor=<a>] [weight=<w>] [zone=<z>]
//	ready <name> [since=<id>] [slots=<lo>-<hi>]   all it is coming to, by default
//	settle                                        everybody is ready
//	ring                                          neighbouring slots in one line
//	members
//	coming <name>
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata/rings", func(t *testing.T, path string) {
		g := golden{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return g.run(t, d)
		})
	})
}

type golden struct {
	t      *testing.T
	events []Event
	ring   *Ring
}

func (g *golden) run(t *testing.T, d *datadriven.TestData) string {
	e := Event{ID: EventID(len(g.events) + 1), Time: version.Timestamp(len(g.events) + 1)}
	if len(d.CmdArgs) > 0 {
		e.Name = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "found":
		c := Config{Cluster: testCluster, Placement: PlacementEqual}
		d.ScanArgs(t, "n", &c.N)
		d.ScanArgs(t, "partitions", &c.Partitions)
		e.Kind, e.Name, e.Config = Found, "", &c
	case "join":
		e.Kind, e.Actor, e.Weight = Join, uint64(e.ID)+100, 1
		d.MaybeScanArgs(t, "actor", &e.Actor)
		d.MaybeScanArgs(t, "weight", &e.Weight)
		d.MaybeScanArgs(t, "zone", &e.Zone)
	case "ready":
		g.ready(t, d, &e)
	case "settle":
		c := cluster{t: t, events: g.events, ring: g.ring}
		c.allReady()
		g.events, g.ring = c.events, c.ring
		return ""
	case "ring":
		return g.print()
	case "members":
		return g.printMembers()
	case "coming":
		var b strings.Builder
		for _, a := range g.ring.ComingOf(e.Name) {
			fmt.Fprintf(&b, "%v since %d\n", a.Range, a.Since)
		}
		return b.String()
	default:
		d.Fatalf(t, "what is %q?", d.Cmd)
	}
	g.events = append(g.events, e)
	r, err := Replay(mustHistory(t, g.events...))
	if err != nil {
		return err.Error() + "\n"
	}
	checkRing(t, r)
	g.ring = r
	return fmt.Sprintf("event %d\n", e.ID)
}

func (g *golden) ready(t *testing.T, d *datadriven.TestData, e *Event) {
	e.Kind = Ready
	for _, a := range g.ring.ComingOf(e.Name) {
		e.Since = a.Since
	}
	if d.HasArg("since") {
		var since uint64
		d.ScanArgs(t, "since", &since)
		e.Since = EventID(since)
	}
	for _, a := range g.ring.ComingOf(e.Name) {
		if a.Since == e.Since {
			e.Slots = append(e.Slots, a.Range)
		}
	}
	var slots string
	if d.MaybeScanArgs(t, "slots", &slots) {
		lo, hi, _ := strings.Cut(slots, "-")
		l, _ := strconv.Atoi(lo)
		h, _ := strconv.Atoi(hi)
		e.Slots = []Range{{uint16(l), uint16(h)}}
	}
	e.Slots = JoinRanges(e.Slots)
}

func (g *golden) print() string {
	var b strings.Builder
	for _, s := range g.ring.Ranges() {
		p := s.Preference
		fmt.Fprintf(&b, "%v: %s", s.Range, strings.Join(p.Owners, " "))
		if len(p.Coming) > 0 {
			fmt.Fprintf(&b, " + %s", strings.Join(p.Coming, " "))
		}
		if len(p.Fallbacks) > 0 {
			fmt.Fprintf(&b, " | %s", strings.Join(p.Fallbacks, " "))
		}
		if p.Width != len(p.Owners) {
			fmt.Fprintf(&b, " (width %d)", p.Width)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (g *golden) printMembers() string {
	owned := map[string]int{}
	for _, s := range g.ring.Ranges() {
		for _, o := range s.Preference.Owners {
			owned[o] += s.Range.Len()
		}
	}
	var b strings.Builder
	for _, m := range g.ring.Members() {
		fmt.Fprintf(&b, "%s: weight %d, zone %q, %d tokens, owns %d slots\n", m.Name, m.Weight, m.Zone, m.Tokens, owned[m.Name])
	}
	return b.String()
}
