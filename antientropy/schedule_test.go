package antientropy

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica"
)

// desk is a schedule, its clock, and the slots' changes.
type desk struct {
	*schedule
	now     time.Duration
	changed map[uint16]time.Duration
}

func newDesk(shared map[string][]uint16) *desk {
	d := &desk{schedule: newSchedule("n1"), now: time.Second, changed: map[uint16]time.Duration{}}
	d.share(d.now, shared)
	return d
}

func (d *desk) Slot(slot uint16) replica.SlotState {
	return replica.SlotState{Changed: d.changed[slot]}
}

func (d *desk) Changed(first, last uint16) (latest time.Duration) {
	for slot := first; slot <= last; slot++ {
		latest = max(latest, d.changed[slot])
	}
	return latest
}

func (d *desk) change(slots ...uint16) {
	for _, slot := range slots {
		d.changed[slot] = d.now
	}
}

// rounds runs what is due until nothing is, every slot being in step, and
// returns what was compared with whom.
func (d *desk) rounds() map[string][]uint16 {
	out := map[string][]uint16{}
	for {
		d.scan(d.now, d)
		r, ok := d.next(d.now)
		if !ok {
			for _, slots := range out {
				slices.Sort(slots)
			}
			return out
		}
		out[r.peer] = append(out[r.peer], r.slots...)
		d.stepped(r, r.slots)
		d.finish(d.now, r, nil)
	}
}

func (d *desk) open() int {
	n, _ := d.unstepped(d.now, d)
	return n
}

func wantRounds(t *testing.T, got, want map[string][]uint16) {
	t.Helper()
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("compared %v, want %v", got, want)
	}
}

func TestScheduleComparesEverythingWithAPeerThatComesUp(t *testing.T) {
	d := newDesk(map[string][]uint16{"n2": {1, 2}, "n3": {2, 5}})
	wantRounds(t, d.rounds(), nil) // nobody can be reached
	if d.open() != 4 {
		t.Errorf("%d pairs open before anything was compared", d.open())
	}
	d.observe(d.now, "n2", true)
	wantRounds(t, d.rounds(), map[string][]uint16{"n2": {1, 2}})
	d.observe(d.now, "n3", true)
	wantRounds(t, d.rounds(), map[string][]uint16{"n3": {2, 5}})
	if d.open() != 0 || !d.fullSince(d.now) || !d.idle(d.now) {
		t.Errorf("%d pairs open, full %v, idle %v", d.open(), d.fullSince(d.now), d.idle(d.now))
	}
	d.now += time.Minute
	d.observe(d.now, "n2", false)
	if d.open() != 0 {
		t.Error("a peer that went away is out of step without a change")
	}
	d.observe(d.now, "n2", true)
	if n, lag := d.unstepped(d.now+time.Second, d); n != 2 || lag != time.Second {
		t.Errorf("after its return %d pairs are open, for %v", n, lag)
	}
	wantRounds(t, d.rounds(), map[string][]uint16{"n2": {1, 2}})
}

func TestScheduleWaitsForQuiet(t *testing.T) {
	d := newDesk(map[string][]uint16{"n2": {1, 2}})
	d.observe(d.now, "n2", true)
	d.rounds()
	d.now += 10 * time.Second
	d.change(2)
	if d.open() != 1 {
		t.Fatalf("%d pairs open after a change", d.open())
	}
	d.now += quietFor - 1
	wantRounds(t, d.rounds(), nil)
	d.now++
	wantRounds(t, d.rounds(), map[string][]uint16{"n2": {2}})
	if d.open() != 0 {
		t.Error("still open")
	}
	// A slot that never is quiet has its turn all the same.
	began := d.now
	for {
		d.now += quietFor / 2
		d.change(1)
		if got := d.rounds(); len(got) > 0 {
			wantRounds(t, got, map[string][]uint16{"n2": {1}})
			break
		}
	}
	if d.now-began > patience {
		t.Errorf("it took %v", d.now-began)
	}
	// Its change of the moment the compare began is not covered by it.
	if d.open() != 1 {
		t.Error("in step with a change as late as the compare")
	}
}

func TestScheduleComparesEverythingNowAndThen(t *testing.T) {
	d := newDesk(map[string][]uint16{"n2": {1, 2}})
	d.observe(d.now, "n2", true)
	d.rounds()
	d.now += fullEvery - 1
	if !d.idle(d.now) {
		t.Error("not idle")
	}
	d.now++
	if d.idle(d.now) {
		t.Error("idle when everything is to be compared")
	}
	wantRounds(t, d.rounds(), map[string][]uint16{"n2": {1, 2}})
	if d.open() != 0 {
		t.Error("the periodic compare makes pairs count as out of step")
	}
	d.now += time.Minute
	d.request(d.now)
	if d.fullSince(d.now) {
		t.Error("everything is compared before it is")
	}
	wantRounds(t, d.rounds(), map[string][]uint16{"n2": {1, 2}})
	if !d.fullSince(d.now) {
		t.Error("everything was compared, but not known to be")
	}
}

func TestScheduleMarksAreDueAtOnce(t *testing.T) {
	d := newDesk(map[string][]uint16{"n2": {1, 2}, "n3": {2}})
	d.observe(d.now, "n2", true)
	d.observe(d.now, "n3", true)
	d.rounds()
	d.now += time.Millisecond
	d.mark(d.now, 2)
	if d.open() != 2 {
		t.Errorf("%d open", d.open())
	}
	wantRounds(t, d.rounds(), map[string][]uint16{"n2": {2}, "n3": {2}})
}

func TestScheduleBacksOff(t *testing.T) {
	d := newDesk(map[string][]uint16{"n2": {1}})
	d.observe(d.now, "n2", true)
	failed := errors.New("failed")
	var pauses []time.Duration
	for last := d.now; len(pauses) < 10; d.now += 50 * time.Millisecond {
		d.scan(d.now, d)
		if r, ok := d.next(d.now); ok {
			pauses = append(pauses, d.now-last)
			last = d.now
			d.finish(d.now, r, failed)
		}
	}
	if !slices.IsSorted(pauses) || pauses[0] != 0 || pauses[1] < backoffMin || pauses[9] != backoffMax {
		t.Errorf("pauses %v", pauses)
	}
	if d.observe(d.now, "n2", false); len(d.rounds()) > 0 {
		t.Error("a round with nobody")
	}
	d.observe(d.now, "n2", true)
	wantRounds(t, d.rounds(), map[string][]uint16{"n2": {1}}) // it came back: no pause
}

func TestScheduleUnsureIsAskedAgain(t *testing.T) {
	d := newDesk(map[string][]uint16{"n2": {1, 2}})
	d.observe(d.now, "n2", true)
	d.scan(d.now, d)
	r, _ := d.next(d.now)
	d.stepped(r, []uint16{1})
	d.unsure(r, []uint16{2})
	d.finish(d.now, r, nil)
	if d.open() != 1 {
		t.Errorf("%d open", d.open())
	}
	d.now += retryPair - 1
	wantRounds(t, d.rounds(), nil)
	d.now++
	wantRounds(t, d.rounds(), map[string][]uint16{"n2": {2}})
}

// What is known of slots that stay shared outlives a change of the ring.
func TestScheduleFollowsTheRing(t *testing.T) {
	d := newDesk(map[string][]uint16{"n2": {1, 3, 5}, "n3": {1}})
	d.observe(d.now, "n2", true)
	d.rounds()
	d.now += time.Second
	d.share(d.now, map[string][]uint16{"n2": {0, 3, 4, 5}, "n4": {3}, "n3": nil})
	wantRounds(t, d.rounds(), map[string][]uint16{"n2": {0, 4}})
	if names := slices.Sorted(maps.Keys(d.plans)); !slices.Equal(names, []string{"n2", "n4"}) {
		t.Errorf("peers %v", names)
	}
}

func TestSchedulePeersTakeTurns(t *testing.T) {
	shared := map[string][]uint16{"n2": nil, "n3": nil, "n4": nil}
	for name := range shared {
		for slot := range uint16(3 * maxRoundSlots) {
			shared[name] = append(shared[name], slot)
		}
	}
	d := newDesk(shared)
	for name := range shared {
		d.observe(d.now, name, true)
	}
	var turns []string
	for range 9 {
		d.now += time.Millisecond
		d.scan(d.now, d)
		r, ok := d.next(d.now)
		if !ok || len(r.slots) != maxRoundSlots {
			t.Fatalf("a round of %d slots", len(r.slots))
		}
		turns = append(turns, r.peer)
		d.stepped(r, r.slots)
		d.finish(d.now, r, nil)
	}
	if want := []string{"n2", "n3", "n4", "n2", "n3", "n4", "n2", "n3", "n4"}; !slices.Equal(turns, want) {
		t.Errorf("turns %v", turns)
	}
	if d.scan(d.now, d); d.open() != 0 {
		t.Errorf("%d pairs open after all turns", d.open())
	}
}

// Whatever happens: a pair counts as in step only if a compare that began
// after its slot's last change, and after the peer's last return, found it so;
// one peer has one round at a time; and once all is quiet and the peers are
// there, everything comes to be in step, within bounded time.
func TestScheduleLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shared := map[string][]uint16{"n2": {1, 2, 100}, "n3": {2, 100, 300}}
		some := rapid.SampledFrom([]uint16{1, 2, 3, 100, 300})
		d := newDesk(shared)
		type key struct {
			peer string
			slot uint16
		}
		proven := map[key]time.Duration{} // start of the last compare that found it in step
		since := map[string]time.Duration{}
		up := map[string]bool{}
		running := map[string]round{}
		check := func() {
			n := 0
			for peer, slots := range shared {
				for _, slot := range slots {
					at, ok := proven[key{peer, slot}]
					if !ok || at < since[peer] || d.changed[slot] > 0 && at <= d.changed[slot] {
						n++
					}
				}
			}
			all := 0
			for _, p := range d.plans {
				for i := range p.pairs {
					if !p.known(&p.pairs[i], d.changed[p.pairs[i].slot]) {
						all++
					}
				}
			}
			if got := d.open(); got < n || got != all {
				t.Fatalf("%d pairs open, %d by looking at each, %d at least are not in step", got, all, n)
			}
		}
		finish := func(peer string, outcome int) {
			r, ok := running[peer]
			if !ok {
				return
			}
			delete(running, peer)
			if outcome == 0 {
				d.stepped(r, r.slots)
				for _, slot := range r.slots {
					proven[key{peer, slot}] = r.start
				}
			} else {
				d.unsure(r, r.slots)
			}
			var err error
			if outcome == 2 {
				err = errors.New("failed")
			}
			d.finish(d.now, r, err)
		}
		begin := func() {
			d.scan(d.now, d)
			for r, ok := d.next(d.now); ok; r, ok = d.next(d.now) {
				if _, busy := running[r.peer]; busy || !up[r.peer] {
					t.Fatalf("a round with %s, which is busy or down", r.peer)
				}
				running[r.peer] = r
			}
		}
		peers := rapid.SampledFrom([]string{"n2", "n3"})
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			d.now += time.Duration(rapid.OneOf(rapid.IntRange(1, 3000), rapid.IntRange(1, 120)).Draw(t, "ms")) * time.Millisecond
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				d.change(some.Draw(t, "slot"))
			case 1:
				name := peers.Draw(t, "peer")
				if up[name] = !up[name]; up[name] {
					since[name] = d.now
				}
				d.observe(d.now, name, up[name])
			case 2:
				d.mark(d.now, some.Draw(t, "slot"))
			case 3:
				finish(peers.Draw(t, "peer"), rapid.IntRange(0, 2).Draw(t, "outcome"))
			case 4:
				d.request(d.now)
			default:
				begin()
			}
			check()
		}
		for name := range shared {
			finish(name, 0)
			d.observe(d.now, name, true)
			up[name] = true
		}
		for end := d.now + backoffMax + 3*time.Second; d.now < end; d.now += 100 * time.Millisecond {
			begin()
			for name := range shared {
				finish(name, 0)
			}
		}
		if d.scan(d.now, d); d.open() != 0 || !d.idle(d.now) {
			t.Fatalf("%d pairs open when all was quiet", d.open())
		}
	})
}

// What a round that failed did not come to is first in the next one.
func TestScheduleGoesOnWhereARoundFailed(t *testing.T) {
	d := newDesk(map[string][]uint16{"n2": {1, 100, 200, 201}})
	d.observe(d.now, "n2", true)
	d.scan(d.now, d)
	r, _ := d.next(d.now)
	d.stepped(r, []uint16{1})
	d.unsure(r, []uint16{100})
	d.finish(d.now, r, errors.New("failed"))
	d.now += retryPair
	d.scan(d.now, d)
	if r, _ := d.next(d.now); !slices.Equal(r.slots, []uint16{200, 201, 100}) {
		t.Errorf("the next round is %v", r.slots)
	}
}

// Of two nodes that compare with each other, one begins in the middle.
func TestScheduleBeginsWhereTheOtherDoesNot(t *testing.T) {
	for self, want := range map[string]uint16{"n1": 0, "n3": 300} {
		s := newSchedule(self)
		s.share(0, map[string][]uint16{"n2": {0, 1, 100, 300, 301, 400}})
		s.observe(0, "n2", true)
		s.scan(0, newDesk(nil))
		if r, _ := s.next(0); len(r.slots) != 6 || r.slots[0] != want {
			t.Errorf("%s begins with %v", self, r.slots)
		}
	}
}
