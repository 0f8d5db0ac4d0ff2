package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// load is one column of one table of the report.
type load struct {
	command  string // SET, GET or INCR
	pipeline int
	keys     keySpace
}

// keySpace is which keys a load uses.
type keySpace int

const (
	oneKey   keySpace = iota // redis-benchmark as it comes: one key, 3 bytes
	manyKeys                 // randomKeys of them at random, valueBytes each
)

const (
	randomKeys = 10_000
	valueBytes = 64
)

func (k keySpace) String() string {
	if k == oneKey {
		return "one key of 3 bytes (redis-benchmark's defaults)"
	}
	return fmt.Sprintf("%d random keys of %d bytes", randomKeys, valueBytes)
}

// args are what redis-benchmark is told for it.
func (k keySpace) args() []string {
	if k == oneKey {
		return nil
	}
	return []string{"-r", strconv.Itoa(randomKeys), "-d", strconv.Itoa(valueBytes)}
}

func (l load) String() string { return fmt.Sprintf("%s P%d", l.command, l.pipeline) }

func loads(keys keySpace) []load {
	var out []load
	for _, pipeline := range []int{1, 16} {
		for _, command := range []string{"SET", "GET", "INCR"} {
			out = append(out, load{command, pipeline, keys})
		}
	}
	return out
}

// firstGuess is the rate assumed before anything was measured, in requests a
// second and pipelined command.
const firstGuess = 10_000

// run measures requests a second; expect is the rate so far, 0 if unknown.
func (l load) run(ctx context.Context, o options, s system, expect float64) (rps float64, err error) {
	if expect == 0 {
		expect = firstGuess * float64(l.pipeline)
	}
	args := append([]string{"-p", strconv.Itoa(s.port), "--csv",
		"-t", strings.ToLower(l.command), "-P", strconv.Itoa(l.pipeline), "-c", strconv.Itoa(o.clients),
		"-n", strconv.Itoa(int(expect * o.seconds))}, l.keys.args()...)
	cmd := exec.CommandContext(ctx, "redis-benchmark", args...)
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return 0, fmt.Errorf("redis-benchmark: %w: %s%s", err, out, exit.Stderr)
	} else if err != nil {
		return 0, fmt.Errorf("redis-benchmark (Debian package redis-tools): %w", err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
	if err != nil || len(rows) < 2 || len(rows[1]) < 2 {
		return 0, fmt.Errorf("redis-benchmark printed %q", out)
	}
	return strconv.ParseFloat(rows[1][1], 64)
}

// results holds the rates of every system and load, one a round.
type results map[string]map[load][]float64

func (r results) add(system string, l load, rps float64) {
	if r[system] == nil {
		r[system] = map[load][]float64{}
	}
	r[system][l] = append(r[system][l], rps)
}

func (r results) median(system string, l load) float64 {
	sorted := slices.Sorted(slices.Values(r[system][l]))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}

// ratio is the median over the rounds of system's rate to redcon's.
func (r results) ratio(system string, l load) float64 {
	var ratios []float64
	for i, rps := range r[system][l] {
		ratios = append(ratios, rps/r[redconName][l][i])
	}
	slices.Sort(ratios)
	if len(ratios) == 0 {
		return 0
	}
	return ratios[len(ratios)/2]
}

func (r results) print(w io.Writer, systems []system, markdown bool) {
	for _, keys := range []keySpace{oneKey, manyKeys} {
		fmt.Fprintf(w, "%v\n\n", keys)
		table := func(title string, cell func(s system, l load) string) {
			rows := [][]string{{title}}
			for _, l := range loads(keys) {
				rows[0] = append(rows[0], l.String())
			}
			for _, s := range systems {
				row := []string{s.name}
				for _, l := range loads(keys) {
					row = append(row, cell(s, l))
				}
				rows = append(rows, row)
			}
			printTable(w, rows, markdown)
			fmt.Fprintln(w)
		}
		table("requests/s", func(s system, l load) string { return fmt.Sprintf("%.0f", r.median(s.name, l)) })
		table("ratio to "+redconName, func(s system, l load) string { return fmt.Sprintf("%.3f", r.ratio(s.name, l)) })
	}
}

func printTable(w io.Writer, rows [][]string, markdown bool) {
	if !markdown {
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		for _, row := range rows {
			fmt.Fprintln(t, strings.Join(row, "\t"))
		}
		t.Flush()
		return
	}
	for i, row := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintln(w, "|"+strings.Repeat(" --- |", len(row)))
		}
	}
}
