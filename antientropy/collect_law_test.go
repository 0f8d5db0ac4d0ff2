package antientropy

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage/version"
)

// This file draws what happens to a world, and checks the law of collection.

// step does one thing that may happen, and returns what.
func (w *world) step() string {
	what := rapid.SampledFrom([]string{
		"repair", "hand off", "send", "deliver", "repeat", "lose", "wait", "restart", "inspect", "nothing", "nothing",
		"hand off twice", "hand off twice", "hand off twice", "send all", "deliver all", "deliver hints", "deliver hints", "deliver hints",
		"crash and restart", "put", "crash",
	}).Draw(w.t, "what")
	switch what {
	case "put":
		w.write(w.any("coordinator"), false, w.sometimes)
	case "repair":
		w.repair(w.any("reader"), w.any("from"), w.any("to"))
	case "hand off":
		w.handOff(w.any("keeper"))
	case "send":
		if len(w.ops) > 0 {
			w.send(rapid.SampledFrom(w.ops).Draw(w.t, "op"))
		}
	case "deliver", "repeat", "lose":
		if len(w.mail) == 0 {
			break
		}
		i := rapid.IntRange(0, len(w.mail)-1).Draw(w.t, "letter")
		if what != "lose" {
			w.deliver(w.mail[i])
		}
		if what != "repeat" {
			w.mail = slices.Delete(w.mail, i, i+1)
		}
	case "wait":
		w.now += time.Duration(rapid.IntRange(1, 3000).Draw(w.t, "ms")) * time.Millisecond
	case "hand off twice":
		w.handOffTwice(w.any("keeper"))
	case "crash":
		w.crash(w.any("victim"))
	case "crash and restart":
		n := w.any("victim")
		w.crash(n)
		w.restart(n)
	case "restart":
		w.restart(w.any("victim"))
	case "inspect":
		w.inspect(w.any("member"))
	default:
		w.stepAll(what)
	}
	return what
}

// scene is a cell that is written, deleted everywhere and collected, with
// anything in between.
func (w *world) scene() {
	w.write(w.any("coordinator"), false, w.sometimes)
	w.happen(6)
	w.stepAll("restart all")
	w.write(rapid.SampledFrom(w.owners()).Draw(w.t, "deleter"), true, w.sometimes)
	for _, from := range w.owners() {
		for _, to := range w.owners() {
			if rapid.IntRange(0, 9).Draw(w.t, "arrives") > 0 {
				to.own = version.Merge(to.own, from.own)
			}
		}
	}
	for range rapid.IntRange(2, 4).Draw(w.t, "certificates") {
		if rapid.Bool().Draw(w.t, "all are up") {
			w.stepAll("restart all")
		}
		w.stepAll("certify")
		for range rapid.IntRange(1, 2).Draw(w.t, "waits") {
			w.now += rapid.SampledFrom([]time.Duration{time.Second, 4900 * time.Millisecond, 5100 * time.Millisecond}).Draw(w.t, "wait")
			w.check("waiting")
			w.happen(2)
		}
	}
	w.stepAll("deliver collects")
	w.happen(6)
}

// happen does up to n things that may happen.
func (w *world) happen(n int) {
	for range rapid.IntRange(0, n).Draw(w.t, "steps") {
		w.check(w.step())
	}
}

// stepAll does to all what step does to one: as it goes without faults.
func (w *world) stepAll(what string) {
	switch what {
	case "restart all":
		for _, n := range w.nodes {
			w.restart(n)
		}
	case "send all":
		for _, o := range slices.Clone(w.ops) {
			w.send(o)
		}
	case "deliver all", "deliver hints", "deliver collects":
		w.mail = slices.DeleteFunc(w.mail, func(l *letter) bool {
			if what == "deliver all" || what == "deliver hints" && l.hint != "" || what == "deliver collects" && l.cell == nil {
				w.deliver(l)
				return true
			}
			return false
		})
	case "hand all off":
		for _, n := range w.nodes {
			w.handOff(n)
		}
	case "certify":
		w.collect()
		for _, n := range w.nodes {
			w.inspect(n)
		}
	}
}

// heal ends all faults and lets everything take its course.
func (w *world) heal() {
	for range 12 {
		w.stepAll("restart all")
		w.stepAll("hand all off")
		for _, n := range w.nodes {
			for _, to := range w.owners() {
				if n.own.Digest() != to.own.Digest() {
					w.repair(n, n, to)
				}
			}
		}
		w.stepAll("send all")
		w.ops = nil
		w.stepAll("deliver all")
		w.stepAll("certify")
		w.check("healing")
		w.now += collectAfter / 2
	}
}

// What was deleted stays deleted, whatever order messages, crashes, late hints
// and repairs come in; and once faults end, what is dead goes.
func TestCollectionLaw(t *testing.T) {
	gone := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 3).Draw(t, "scenes") {
			w.scene()
		}
		gone += w.gone
		w.heal()
		all := w.everything()
		if all != nil && dead(all, w.now) {
			t.Fatalf("%v is left, and dead", all.Versions[0].Dot)
		}
	})
	t.Logf("%d cells were collected before faults ended", gone)
	if gone == 0 {
		t.Error("nothing was ever collected: the test shows nothing")
	}
}

// A hint that arrives after the first certificate, and is gone before the
// second, may still be on its way to its owner once more.
func TestCollectionWaitsForLateHints(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		w := newWorld(t)
		first, fallback := w.nodes[0], w.nodes[3]
		w.write(first, false, func(o *place) bool { return o == w.nodes[1] })
		w.write(first, true, func(*place) bool { return false })
		for _, n := range w.owners() {
			n.own = first.own
		}
		w.ops = nil
		certify := func(gone int) {
			t.Helper()
			w.stepAll("certify")
			w.stepAll("deliver collects")
			w.check("a certificate")
			if w.gone != gone {
				t.Errorf("with a restart %v: %d cells collected, want %d", restarts, w.gone, gone)
			}
		}
		certify(0)
		w.now += 4900 * time.Millisecond
		w.stepAll("deliver hints")
		w.now += 4900 * time.Millisecond
		w.handOffTwice(fallback)
		if restarts {
			w.crash(fallback)
			w.restart(fallback)
		}
		w.now += time.Second
		certify(0)
		w.now += 4 * time.Second
		w.stepAll("deliver all") // the hint's first message; it is of no age that anybody refuses
		w.now += collectAfter - 4*time.Second
		certify(3)
	}
}
