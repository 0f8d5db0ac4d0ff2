package resp

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Events of the latency monitor.
const (
	eventCommand     = "command"
	eventFastCommand = "fast-command" // flagged so
)

// eventOf returns the event of steps that ran together.
func eventOf(steps []step) string {
	for i := range steps {
		if r := steps[i].row; r != nil && !contains(r.flags, "fast") {
			return eventCommand
		}
	}
	return eventFastCommand
}

// latencySamples is how many seconds' samples are kept of an event.
const latencySamples = 160

// latencyEvents are the latencies from latency-monitor-threshold on. Its
// methods may be called from any goroutine.
type latencyEvents struct {
	mu struct {
		sync.Mutex
		byName map[string]*latencyEvent
	}
}

// latencyEvent is one event's samples, one a second, the latest last.
type latencyEvent struct {
	samples []latencySample
	worst   int64 // ms, of all times
}

type latencySample struct{ at, millis int64 } // Unix seconds

// add notes that an event took d until now.
func (l *latencyEvents) add(name string, now time.Time, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.mu.byName[name]
	if e == nil {
		if l.mu.byName == nil {
			l.mu.byName = map[string]*latencyEvent{}
		}
		e = &latencyEvent{}
		l.mu.byName[name] = e
	}
	s := latencySample{now.Unix(), d.Milliseconds()}
	e.worst = max(e.worst, s.millis)
	if n := len(e.samples); n > 0 && e.samples[n-1].at == s.at {
		e.samples[n-1].millis = max(e.samples[n-1].millis, s.millis)
		return
	}
	if len(e.samples) == latencySamples {
		e.samples = slices.Delete(e.samples, 0, 1)
	}
	e.samples = append(e.samples, s)
}

// event returns what is known of one.
func (l *latencyEvents) event(name string) (latencyEvent, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.mu.byName[name]
	if e == nil {
		return latencyEvent{}, false
	}
	return latencyEvent{slices.Clone(e.samples), e.worst}, true
}

// names returns the events that there are.
func (l *latencyEvents) names() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.mu.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// reset forgets events, all if none is named, and returns how many there were.
func (l *latencyEvents) reset(names ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(names) == 0 {
		n = len(l.mu.byName)
		clear(l.mu.byName)
	}
	for _, name := range names {
		if l.mu.byName[name] != nil {
			delete(l.mu.byName, name)
			n++
		}
	}
	return n
}

// latencySummary is an event's samples in a few numbers.
type latencySummary struct {
	low, high, mean, deviation int64   // ms
	period                     float64 // s, between two
}

func (e *latencyEvent) summary(now int64) (s latencySummary) {
	if len(e.samples) == 0 {
		return s
	}
	s.low = math.MaxInt64
	var sum, off int64
	for _, x := range e.samples {
		s.low, s.high, sum = min(s.low, x.millis), max(s.high, x.millis), sum+x.millis
	}
	n := int64(len(e.samples))
	s.mean = sum / n
	for _, x := range e.samples {
		off += max(x.millis-s.mean, s.mean-x.millis)
	}
	s.deviation = off / n
	s.period = float64(max(now-e.samples[0].at, 1)) / float64(n)
	return s
}

// Size of LATENCY GRAPH.
const (
	graphRows  = 4
	graphWidth = 80
)

// graph draws samples as columns, the latest on the right, each above how long
// ago it was.
func (e *latencyEvent) graph(now int64) string {
	samples := e.samples[max(0, len(e.samples)-graphWidth):]
	s := (&latencyEvent{samples: samples}).summary(now)
	columns := make([]string, len(samples))
	for i, x := range samples {
		columns[i] = column(x.millis-s.low, s.high-s.low) + ago(now-x.at)
	}
	height := 0
	for _, c := range columns {
		height = max(height, len(c))
	}
	var out strings.Builder
	for row := range height {
		for _, c := range columns {
			if row < len(c) {
				out.WriteByte(c[row])
			} else {
				out.WriteByte(' ')
			}
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// column draws a value of 0 to most in graphRows characters, top to bottom.
func column(value, most int64) string {
	const marks = "_o#" // within a row: low, middle, high
	steps := int64(graphRows*len(marks) - 1)
	level := int64(0)
	if most > 0 {
		level = value * steps / most
	}
	out := []byte(strings.Repeat(" ", graphRows))
	top := graphRows - 1 - int(level)/len(marks)
	out[top] = marks[level%int64(len(marks))]
	for below := top + 1; below < graphRows; below++ {
		out[below] = '|'
	}
	return string(out)
}
