package resp

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ago prints how many seconds ago something was: 5s, 12m, 3h, 2d.
func ago(seconds int64) string {
	switch {
	case seconds < 60:
		return fmt.Sprintf("%ds", max(seconds, 0))
	case seconds < 60*60:
		return fmt.Sprintf("%dm", seconds/60)
	case seconds < 24*60*60:
		return fmt.Sprintf("%dh", seconds/(60*60))
	}
	return fmt.Sprintf("%dd", seconds/(24*60*60))
}

func latencyLatest(b *batch, _ [][]byte) {
	names := b.s.latency.names()
	b.array(len(names))
	for _, name := range names {
		e, _ := b.s.latency.event(name)
		var last latencySample
		if n := len(e.samples); n > 0 {
			last = e.samples[n-1]
		}
		b.array(4)
		b.str(name)
		b.int(last.at)
		b.int(last.millis)
		b.int(e.worst)
	}
}

func latencyHistory(b *batch, args [][]byte) {
	e, _ := b.s.latency.event(string(args[2]))
	b.array(len(e.samples))
	for _, s := range e.samples {
		b.array(2)
		b.int(s.at)
		b.int(s.millis)
	}
}

func latencyReset(b *batch, args [][]byte) {
	var names []string
	for _, a := range args[2:] {
		names = append(names, string(a))
	}
	b.int(int64(b.s.latency.reset(names...)))
}

func latencyGraph(b *batch, args [][]byte) {
	name := string(args[2])
	e, ok := b.s.latency.event(name)
	if !ok {
		b.error(fmt.Sprintf("ERR No samples available for event '%s'", quote(args[2], quotedName)))
		return
	}
	now := b.s.opts.Now().Unix()
	s := e.summary(now)
	b.text(fmt.Sprintf("%s - high %d ms, low %d ms (all time high %d ms)\n%s\n%s",
		name, s.high, s.low, e.worst, strings.Repeat("-", graphWidth), e.graph(now)))
}

// latencyDoctor tells what was slow, and where to look on.
func latencyDoctor(b *batch, _ [][]byte) {
	if b.s.settings().spike == 0 {
		b.text("The latency monitor is off, so there is nothing to tell. CONFIG SET latency-monitor-threshold <milliseconds> turns it on.\n")
		return
	}
	names := b.s.latency.names()
	if len(names) == 0 {
		b.text("No command has taken as long as latency-monitor-threshold since the monitor was turned on or reset.\n")
		return
	}
	var out strings.Builder
	now := b.s.opts.Now().Unix()
	for i, name := range names {
		e, _ := b.s.latency.event(name)
		s := e.summary(now)
		fmt.Fprintf(&out, "%d. %s: %d latency spikes (average %dms, mean deviation %dms, period %.2f sec). Worst all time event %dms.\n",
			i+1, name, len(e.samples), s.mean, s.deviation, s.period, e.worst)
	}
	out.WriteString("\nWhere to look on:\n" +
		"- SLOWLOG GET: which commands they were, and whose.\n" +
		"- DEXPLAIN key: whether an owner of a slow command's key is down or late; then its requests wait for another one.\n" +
		"- INFO dynaring: whether background work or a slow disk takes the node's time (dynaring_background_share).\n" +
		"- Commands on all keys (KEYS, FLUSHALL, DBSIZE) and on many keys take as long as there are keys.\n")
	b.text(out.String())
}

// latencyHistogram answers the distribution of the times of commands, of all
// that were used if none is named.
func latencyHistogram(b *batch, args [][]byte) {
	var rows []*row
	seen := map[*row]bool{}
	add := func(r *row) {
		for _, r := range append([]*row{r}, r.subs...) {
			if h := r.meter.latency.Load(); h != nil && h.total() > 0 && !seen[r] {
				seen[r] = true
				rows = append(rows, r)
			}
		}
	}
	if len(args) == 2 {
		for _, r := range b.s.table.rows {
			add(r)
		}
	}
	for _, name := range args[2:] {
		if r := b.s.table.named(name, nil); r != nil {
			add(r)
		}
	}
	b.mapping(len(rows))
	for _, r := range rows {
		var bounds, counts []int64
		h := r.meter.latency.Load()
		h.doublings(func(micros, n int64) { bounds, counts = append(bounds, micros), append(counts, n) })
		b.str(r.name)
		b.mapping(2)
		b.number("calls", h.total())
		b.str("histogram_usec")
		b.mapping(len(bounds))
		for i := range bounds {
			b.int(bounds[i])
			b.int(counts[i])
		}
	}
}

// percentilesOf prints a histogram's percentiles for INFO, in µs.
func percentilesOf(h *histogram, of []percentile) string {
	parts := make([]string, len(of))
	for i, p := range of {
		parts[i] = "p" + p.text + "=" + strconv.FormatFloat(float64(h.at(p.p))/float64(time.Microsecond), 'f', 3, 64)
	}
	return strings.Join(parts, ",")
}

func latencyHelp(b *batch, _ [][]byte) {
	b.help("LATENCY",
		"DOCTOR",
		"    Return a human readable latency analysis report.",
		"GRAPH <event>",
		"    Return an ASCII latency graph for the <event> class.",
		"HISTORY <event>",
		"    Return time-latency samples for the <event> class.",
		"LATEST",
		"    Return the latest latency samples for all events.",
		"RESET [<event> ...]",
		"    Reset latency data of one or more <event> classes.",
		"    (default: reset all data for all event classes)",
		"HISTOGRAM [COMMAND ...]",
		"    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
		"    If no commands are specified then all histograms are replied.")
}
