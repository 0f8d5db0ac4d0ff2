package ring

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage/version"
)

// checkRing checks what holds for every ring, whatever its history.
func checkRing(t interface {
	Helper()
	Fatalf(string, ...any)
}, r *Ring) {
	t.Helper()
	n := min(r.Config().N, len(r.Members()))
	if n == 0 {
		return
	}
	next := 0
	sets, lists := map[string]int{}, map[int]string{}
	for _, s := range r.Ranges() {
		p := s.Preference
		if int(s.Range.Lo) != next {
			t.Fatalf("slots %d to %v are nobody's", next, s.Range)
		}
		next = int(s.Range.Hi) + 1
		if r.Lookup(s.Range.Hi) != p {
			t.Fatalf("slot %d has another preference than %v", s.Range.Hi, s.Range)
		}
		all := slices.Concat(p.Owners, p.Coming, p.Fallbacks)
		sort.Strings(all)
		if len(slices.Compact(slices.Clone(all))) != len(r.Members()) || len(all) != len(r.Members()) {
			t.Fatalf("slots %v: %+v are not all members, each once", s.Range, p)
		}
		if len(p.Owners) == 0 || len(p.Owners) > p.Width || p.Width > n || len(p.Coming) > n {
			t.Fatalf("slots %v of %d members: %+v", s.Range, len(r.Members()), p)
		}
		if len(p.Coming) == 0 && len(p.Owners) != n {
			t.Fatalf("slots %v: %d owners and nobody coming, want %d", s.Range, len(p.Owners), n)
		}
		owners, coming := slices.Sorted(slices.Values(p.Owners)), slices.Sorted(slices.Values(p.Coming))
		key := fmt.Sprint(owners, coming)
		if set, ok := sets[key]; ok && set != p.Set || lists[p.Set] != "" && lists[p.Set] != key {
			t.Fatalf("set %d is %s, and %s", p.Set, key, lists[p.Set])
		}
		sets[key], lists[p.Set] = p.Set, key
	}
	if next != Slots {
		t.Fatalf("slots from %d are nobody's", next)
	}
	for _, m := range r.Members() {
		for _, a := range r.ComingOf(m.Name) {
			for slot := int(a.Range.Lo); slot <= int(a.Range.Hi); slot++ {
				if r.Lookup(uint16(slot)) != r.Lookup(a.Range.Lo) || r.Lookup(uint16(slot)).Role(m.Name) != Coming {
					t.Fatalf("%s: not all of %v has it coming the same way", m.Name, a.Range)
				}
			}
		}
	}
}

func TestAnyHistoryGivesARing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, err := NewHistory(drawEvents(t)...)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := Replay(h); err == nil {
			checkRing(t, r)
		}
	})
}

// cluster is a growing history whose members announce all they come to.
type cluster struct {
	t      rapid.TB
	events []Event
	ring   *Ring
}

func (c *cluster) add(e Event) {
	e.ID = EventID(len(c.events) + 1)
	e.Time = version.Timestamp(len(c.events) + 1)
	c.events = append(c.events, e)
	h, err := NewHistory(c.events...)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.ring, err = Replay(h); err != nil {
		c.t.Fatal(err)
	}
	checkRing(c.t, c.ring)
}

func (c *cluster) join(name string, weight int, zone string) {
	c.add(Event{Kind: Join, Name: name, Actor: uint64(len(c.events) + 100), Weight: weight, Zone: zone})
}

func (c *cluster) allReady() {
	for _, m := range c.ring.Members() {
		bySince := map[EventID][]Range{}
		for _, a := range c.ring.ComingOf(m.Name) {
			bySince[a.Since] = append(bySince[a.Since], a.Range)
		}
		for since, slots := range bySince {
			c.add(Event{Kind: Ready, Name: m.Name, Since: since, Slots: JoinRanges(slots)})
		}
	}
	if c.ring.Changing() {
		c.t.Fatal("everybody is ready and slots are still changing")
	}
}

// loads returns each member's number of owned partitions.
func (c *cluster) loads() map[string]int {
	out := map[string]int{}
	for p := range c.ring.Config().Partitions {
		for _, o := range c.ring.Lookup(uint16(p * Slots / c.ring.Config().Partitions)).Owners {
			out[o]++
		}
	}
	return out
}

// Without zones and weights: tokens are even within one, replicas within about
// one token's worth (which is N), and a join gives only to the joiner.
func TestPlacementIsEven(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5} {
		for _, q := range []int{64, 256} {
			c := &cluster{t: t}
			c.add(found(n, q))
			for s := 1; s <= 16; s++ {
				before := c.ring
				c.join(fmt.Sprintf("n%02d", s), 1, "")
				c.allReady()
				name := fmt.Sprintf("n=%d q=%d members=%d", n, q, s)
				if s > 1 {
					checkOnlyJoinerGains(t, name, before, c.ring, fmt.Sprintf("n%02d", s))
				}
				if s <= n {
					continue
				}
				tokens := slices.Collect(func(yield func(int) bool) {
					for _, m := range c.ring.Members() {
						yield(m.Tokens)
					}
				})
				if spread := slices.Max(tokens) - slices.Min(tokens); spread > 1 {
					t.Errorf("%s: tokens %v", name, tokens)
				}
				ideal := float64(q*n) / float64(s)
				for m, load := range c.loads() {
					if off := float64(load) - ideal; off > float64(n+1) || off < -float64(n+1) {
						t.Errorf("%s: %s owns %d partitions, even would be %.1f", name, m, load, ideal)
					}
				}
			}
		}
	}
}

func checkOnlyJoinerGains(t *testing.T, name string, before, after *Ring, joiner string) {
	t.Helper()
	for slot := 0; slot < Slots; slot += Slots / after.Config().Partitions {
		was := before.Lookup(uint16(slot)).Owners
		for _, o := range after.Lookup(uint16(slot)).Owners {
			if o != joiner && !slices.Contains(was, o) {
				t.Errorf("%s: %s gained slot %d by the join of %s", name, o, slot, joiner)
			}
		}
	}
}

// Owners stand in distinct zones as far as there are zones, in whatever order
// members come; where they come zone by zone in turn, load is even as well.
func TestZones(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &cluster{t: t}
		n := rapid.IntRange(1, 4).Draw(t, "n")
		c.add(found(n, 64))
		members := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "c", "d"}), 1, 10).Draw(t, "zones")
		zoneOf, zones := map[string]string{}, map[string]bool{}
		for i, z := range members {
			name := fmt.Sprintf("n%02d", i)
			c.join(name, rapid.IntRange(1, 3).Draw(t, "weight"), z)
			c.allReady()
			zoneOf[name], zones[z] = z, true
			for _, s := range c.ring.Ranges() {
				distinct := map[string]bool{}
				for _, o := range s.Preference.Owners {
					distinct[zoneOf[o]] = true
				}
				if want := min(n, len(zones), i+1); len(distinct) < want {
					t.Fatalf("slots %v: owners %v stand in %d zones, want %d", s.Range, s.Preference.Owners, len(distinct), want)
				}
			}
		}
	})
}

func TestZonesInTurnAreEven(t *testing.T) {
	c := &cluster{t: t}
	c.add(found(3, 256))
	for i := range 9 {
		c.join(fmt.Sprintf("n%d", i), 1, string("abc"[i%3]))
		c.allReady()
	}
	for m, load := range c.loads() {
		if ideal := 256 * 3 / 9; load < ideal-4 || load > ideal+4 {
			t.Errorf("%s owns %d partitions, even would be %d", m, load, ideal)
		}
	}
}

func TestWeights(t *testing.T) {
	for _, weights := range [][]int{{1, 2, 3, 4, 5, 6}, {2, 2, 1, 1, 1, 1, 1}, {1, 2, 1, 2, 1, 2, 1, 2}, {3, 1, 1, 3, 1, 1, 3}} {
		c := &cluster{t: t}
		c.add(found(3, 256))
		sum := 0
		for i, w := range weights {
			c.join(fmt.Sprintf("n%d", i), w, "")
			c.allReady()
			sum += w
		}
		loads := c.loads()
		for i, w := range weights {
			ideal := float64(256*3*w) / float64(sum)
			if load := loads[fmt.Sprintf("n%d", i)]; float64(load) < ideal-6 || float64(load) > ideal+6 {
				t.Errorf("weights %v: n%d owns %d partitions, its share is %.1f", weights, i, load, ideal)
			}
		}
	}
}

// A node with most of the weight owns everything, and no more.
func TestOneHeavyMember(t *testing.T) {
	c := &cluster{t: t}
	c.add(found(3, 256))
	for i, w := range []int{1, 1, 1, 1, MaxWeight} {
		c.join(fmt.Sprintf("n%d", i), w, "")
		c.allReady()
	}
	loads := c.loads()
	if loads["n4"] < 240 {
		t.Errorf("the heavy member owns %d of 256 partitions", loads["n4"])
	}
	for i := range 4 {
		if load := loads[fmt.Sprintf("n%d", i)]; load < 120 || load > 140 {
			t.Errorf("n%d owns %d partitions, the others share 512 evenly", i, load)
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	c := &cluster{t: t}
	c.add(found(3, 256))
	for i := range 5 {
		c.join(fmt.Sprintf("n%d", i), 1, "")
	}
	slot := uint16(0)
	if n := testing.AllocsPerRun(100, func() {
		slot = (slot + 77) % Slots
		if c.ring.Lookup(slot).Role("n1") == None {
			t.Error("a member without a role")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPartition(t *testing.T) {
	c := &cluster{t: t}
	c.add(found(1, 256))
	for slot, want := range map[uint16]int{0: 0, 63: 0, 64: 1, 16383: 255} {
		if got := c.ring.Partition(slot); got != want {
			t.Errorf("slot %d is in partition %d, want %d", slot, got, want)
		}
	}
	c = &cluster{t: t}
	c.add(found(1, 1))
	if got := c.ring.Partition(16383); got != 0 {
		t.Errorf("slot 16383 is in partition %d of 1", got)
	}
}

// The history of fifty members that came one after the other, all settled.
func grown(b *testing.B, members, partitions int) *History {
	events := []Event{found(3, partitions)}
	add := func(e Event) {
		e.ID, e.Time = EventID(len(events)+1), version.Timestamp(len(events)+1)
		events = append(events, e)
	}
	for i := range members {
		add(Event{Kind: Join, Name: fmt.Sprintf("n%02d", i), Actor: uint64(i + 1), Weight: 1})
		r := mustReplay(b, mustHistory(b, events...))
		if i == 0 {
			continue
		}
		var slots []Range
		coming := r.ComingOf(fmt.Sprintf("n%02d", i))
		for _, a := range coming {
			slots = append(slots, a.Range)
		}
		add(Event{Kind: Ready, Name: fmt.Sprintf("n%02d", i), Since: coming[0].Since, Slots: JoinRanges(slots)})
	}
	return mustHistory(b, events...)
}

func BenchmarkReplay(b *testing.B) {
	for _, q := range []int{256, Slots} {
		h := grown(b, 50, q)
		b.Run(fmt.Sprintf("members=50/partitions=%d", q), func(b *testing.B) {
			for b.Loop() {
				mustReplay(b, h)
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	r := mustReplay(b, grown(b, 5, 256))
	slot := uint16(0)
	for b.Loop() {
		slot = (slot + 77) % Slots
		_ = r.Lookup(slot).Set
	}
}

func TestStrings(t *testing.T) {
	got := fmt.Sprint(Found, Join, Ready, Kind(9), " ", Owner, Coming, Fallback, None, " ", Range{1, 1}, Range{1, 2}, " ", EventID(10))
	if want := "found join ready kind-9 owner coming fallback none 1 1-2 000000000000000a"; strings.Join(strings.Fields(got), " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
