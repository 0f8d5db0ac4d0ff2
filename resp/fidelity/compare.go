package fidelity

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"

	"golang.org/x/sync/errgroup"
)

// Tolerance is by how much numbers of a step may differ that says so, at most a
// twentieth of them and at least 1: times in seconds or ms between two servers
// that are asked one after the other. Below zero they may not differ at all.
const Tolerance = 2000

// Compare has both servers answer a script, at the same time, and returns what
// differs, a text a step.
func Compare(real, ours Dial, s *Script, proto int) ([]string, error) {
	var want, got [][]byte
	var g errgroup.Group
	g.Go(func() (err error) {
		if want, err = Talk(real, s, proto); err != nil {
			return fmt.Errorf("redis-server: %w", err)
		}
		return nil
	})
	g.Go(func() (err error) {
		got, err = Talk(ours, s, proto)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return differences(s, proto, want, got), nil
}

// differences compares replies; a step is named by the reply's number, which is
// its own but for what answers with several replies or none.
func differences(s *Script, proto int, want, got [][]byte) (out []string) {
	for i := range max(len(want), len(got)) {
		step := &s.Steps[min(i, len(s.Steps)-1)]
		var w, g []byte
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if step.Differs != "" && i < len(want) == (i < len(got)) || same(w, g, step.Near) {
			continue
		}
		out = append(out, fmt.Sprintf("%s:%d (RESP%d) %s\n redis: %s\n ours:  %s",
			s.File, step.Line, proto, Clip([]byte(step.Text)), Clip(w), Clip(g)))
	}
	return out
}

// ours are the parts of replies that every connection and machine has its own
// of, and what they are compared as: HELLO's id, the head of a line of MONITOR,
// and in a line of CLIENT LIST addresses, times and sizes of buffers.
var ours = []struct {
	is *regexp.Regexp
	as []byte
}{
	{regexp.MustCompile(`\$2\r\nid\r\n:\d+\r\n`), nil},
	{regexp.MustCompile(`(?m)^\+\d+\.\d{6} \[0 [^\]]*\] `), []byte("+0.0 ")},
	{regexp.MustCompile(`[$=]\d+\r\n(txt:)?id=\d+`), []byte("${1}id=")},
	{regexp.MustCompile(`id=\d* addr=\S* laddr=\S* fd=-?\d+`), nil},
	{regexp.MustCompile(`age=\d+ idle=\d+`), nil},
	{regexp.MustCompile(`flags=U `), []byte("flags=N ")}, // a Unix socket
	{regexp.MustCompile(`(flags=\w*)U`), []byte("$1")},
	{regexp.MustCompile(`qbuf=\d+ qbuf-free=\d+ argv-mem=\d+ multi-mem=\d+ rbs=\d+ rbp=\d+ obl=\d+ oll=\d+ omem=\d+ tot-mem=\d+ events=rw?`), nil},
}

func same(w, g []byte, near bool) bool {
	for _, o := range ours {
		w, g = o.is.ReplaceAll(w, o.as), o.is.ReplaceAll(g, o.as)
	}
	if !near {
		return bytes.Equal(w, g)
	}
	w, g = lengths.ReplaceAll(w, nil), lengths.ReplaceAll(g, nil)
	return bytes.Equal(number.ReplaceAll(w, nil), number.ReplaceAll(g, nil)) &&
		nearBy(number.FindAll(w, -1), number.FindAll(g, -1))
}

// Numbers, and the lengths of strings, which follow those of the numbers in them.
var (
	number  = regexp.MustCompile(`-?\d+(\.\d+)?`)
	lengths = regexp.MustCompile(`\$\d+\r\n`)
)

func nearBy(w, g [][]byte) bool {
	if len(w) != len(g) {
		return false
	}
	for i := range w {
		a, errA := strconv.ParseFloat(string(w[i]), 64)
		b, errB := strconv.ParseFloat(string(g[i]), 64)
		if errA != nil || errB != nil || math.Abs(a-b) > tolerance(min(a, b)) {
			return false
		}
	}
	return true
}

// Clip quotes bytes for a person, the middle of long ones left out.
func Clip(b []byte) string {
	const most = 1200
	if len(b) > most {
		return fmt.Sprintf("%q… (%d bytes) …%q", b[:most/2], len(b), b[len(b)-most/2:])
	}
	return fmt.Sprintf("%q", b)
}

func tolerance(n float64) float64 {
	if n < 0 {
		return 0
	}
	return min(Tolerance, max(1, n/20))
}
