package coordinator

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"
)

// TestTally replays testdata/tally: a quorum, then what its owners do, one a
// line, and what the tally says after each.
func TestTally(t *testing.T) {
	datadriven.RunTest(t, "testdata/tally", func(t *testing.T, d *datadriven.TestData) string {
		var names []string
		need, voters := 0, uint64(0)
		for _, arg := range d.CmdArgs {
			switch arg.Key {
			case "need":
				d.ScanArgs(t, "need", &need)
			case "present":
				for _, n := range arg.Vals {
					voters |= bit(len(names))
					names = append(names, n)
				}
			default: // coming, down, fallback: positions without a vote
				names = append(names, arg.Vals...)
			}
		}
		y := newTally(need, voters)
		var out strings.Builder
		say := func(what string) {
			fmt.Fprintf(&out, "%s: %v, %d of %d", what, y.outcome(), y.acks(), y.need)
			if y.outcome() == pending {
				fmt.Fprintf(&out, ", %d more to ask", y.short())
			}
			out.WriteByte('\n')
		}
		say("at first")
		for line := range strings.Lines(d.Input) {
			who, what, _ := strings.Cut(strings.TrimSpace(line), " ")
			pos := slices.Index(names, who)
			if pos < 0 {
				d.Fatalf(t, "%s is not an owner", who)
			}
			switch what {
			case "is asked":
				y.ask(pos)
			case "stands in", "is asked once more":
				y.admit(pos)
				y.retry(pos)
				y.ask(pos)
			case "acks":
				y.answer(pos, true)
			case "fails":
				y.answer(pos, false)
			default:
				d.Fatalf(t, "%q?", what)
			}
			say(strings.TrimSpace(line))
		}
		return out.String()
	})
}

// drawTally draws a quorum and one answer for each of some of its owners.
func drawTally(t *rapid.T) (y tally, answers []answered) {
	width := rapid.IntRange(1, 9).Draw(t, "owners")
	voters := rapid.Uint64Range(0, 1<<width-1).Draw(t, "voters")
	y = newTally(rapid.IntRange(0, width).Draw(t, "need"), voters)
	for pos := range width {
		if rapid.Bool().Draw(t, "answers") {
			answers = append(answers, answered{pos, rapid.Bool().Draw(t, "ok")})
		}
	}
	return y, answers
}

type answered struct {
	pos int
	ok  bool
}

func (y tally) after(answers []answered) tally {
	for _, a := range answers {
		y.answer(a.pos, a.ok)
	}
	return y
}

// The order of the answers decides nothing.
func TestTallyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y, answers := drawTally(t)
		shuffled := rapid.Permutation(answers).Draw(t, "another order")
		if a, b := y.after(answers), y.after(shuffled); a != b {
			t.Fatalf("%v in order %v, %v in order %v", a, answers, b, shuffled)
		}
	})
}

// The tally agrees with counting by hand: only voters, each once, by their
// first answer.
func TestTallyCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y, answers := drawTally(t)
		again := slices.Clone(answers)
		for i := range again {
			again[i].ok = rapid.Bool().Draw(t, "ok the second time")
		}
		got := y.after(answers).after(again)
		acks, possible := 0, bits.OnesCount64(y.voters)
		for _, a := range answers {
			votes := y.voters&bit(a.pos) != 0
			if votes && a.ok {
				acks++
			}
			if votes && !a.ok {
				possible--
			}
		}
		want := pending
		switch {
		case acks >= y.need:
			want = enough
		case possible < y.need:
			want = failed
		}
		if got.outcome() != want || got.acks() != acks {
			t.Fatalf("%v with %d acks, want %v with %d", got.outcome(), got.acks(), want, acks)
		}
	})
}

// Once decided, a tally stays decided, and enough never turns into failed.
func TestTallyDecidesOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y, answers := drawTally(t)
		decided := y.outcome()
		for _, a := range answers {
			o := y.answer(a.pos, a.ok)
			if decided != pending && o != decided {
				t.Fatalf("%v became %v", decided, o)
			}
			decided = o
		}
	})
}

// Asking as many as are short, until none is or nobody is left, and hearing
// from all who were asked, always decides.
func TestTallyShort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y, _ := drawTally(t)
		for y.outcome() == pending {
			ask := y.short()
			if ask == 0 || bits.OnesCount64(y.open()) < ask {
				t.Fatalf("pending with %d to ask of %b, nobody waited for", ask, y.open())
			}
			for range ask {
				y.ask(bits.TrailingZeros64(y.open()))
			}
			if y.short() != 0 {
				t.Fatalf("short by %d after asking", y.short())
			}
			for w := y.waiting(); w != 0; w &= w - 1 {
				y.answer(bits.TrailingZeros64(w), rapid.Bool().Draw(t, "ok"))
			}
		}
	})
}

// Where one voter's answer is indispensable, as the coordinator's own is where
// it alone syncs, no number of others makes up for it.
func TestTallyMust(t *testing.T) {
	with := func(answers ...int) outcome { // positions that answer well, below 0 badly: -1 is 0
		tl := newTally(2, 7)
		tl.must = bit(0)
		for _, a := range answers {
			tl.answer(max(a, -1-a), a >= 0)
		}
		return tl.outcome()
	}
	for _, c := range []struct {
		answers []int
		want    outcome
	}{
		{[]int{1, 2}, pending}, {[]int{1, 2, 0}, enough}, {[]int{0, 1}, enough}, {[]int{0}, pending},
		{[]int{1, 2, -1}, failed}, {[]int{-1}, failed}, {[]int{0, -2, -3}, failed},
	} {
		if got := with(c.answers...); got != c.want {
			t.Errorf("%v: %v, want %v", c.answers, got, c.want)
		}
	}
}
