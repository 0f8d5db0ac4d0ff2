package resp

import (
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// meter counts what clients did with one command since the last RESETSTAT. Its
// methods may be called from any goroutine.
type meter struct {
	calls, nanos     atomic.Int64
	rejected, failed atomic.Int64 // before it was begun; by an error
	latency          atomic.Pointer[histogram]
}

// reset forgets everything.
func (m *meter) reset() {
	m.calls.Store(0)
	m.nanos.Store(0)
	m.rejected.Store(0)
	m.failed.Store(0)
	m.latency.Store(nil)
}

// histogram returns the meter's, made at the first use.
func (m *meter) histogram() *histogram {
	for {
		if h := m.latency.Load(); h != nil {
			return h
		}
		m.latency.CompareAndSwap(nil, new(histogram))
	}
}

// Buckets of a histogram: one a nanosecond up to histogramExact, then half as
// many to each doubling, so that a bucket is less than 1% wide.
const (
	histogramBits  = 8
	histogramExact = 1 << histogramBits
	histogramStep  = histogramExact / 2
	histogramMost  = time.Second // longer ones count as this
	histogramSize  = histogramStep * (30 - histogramBits + 2)
)

// histogram counts times by their length.
type histogram [histogramSize]atomic.Int64

// bucket returns where a time is counted.
func bucket(d time.Duration) int {
	v := uint64(min(max(d, 1), histogramMost))
	if v < histogramExact {
		return int(v)
	}
	shift := bits.Len64(v) - histogramBits
	return histogramStep*shift + int(v>>shift)
}

// bucketTop returns the longest time, in ns, of a bucket.
func bucketTop(i int) int64 {
	if i < histogramExact {
		return int64(i)
	}
	shift := i/histogramStep - 1
	return int64(i-histogramStep*shift+1)<<shift - 1
}

// total returns how many times were counted.
func (h *histogram) total() (n int64) {
	for i := range h {
		n += h[i].Load()
	}
	return n
}

// at returns the time, in ns, that p percent of the times do not exceed.
func (h *histogram) at(p float64) int64 {
	want := max(int64(p/100*float64(h.total())+0.5), 1)
	for i := range h {
		if want -= h[i].Load(); want <= 0 {
			return bucketTop(i)
		}
	}
	return int64(histogramMost)
}

// doublings calls fn with the bounds (µs) of doubling ranges that hold times,
// and how many of them there are up to there.
func (h *histogram) doublings(fn func(micros, n int64)) {
	const first = 1024 // ns
	total, n, i := h.total(), int64(0), 0
	for bound := time.Duration(first); n < total; bound *= 2 {
		before, top := n, bucket(bound)
		for ; i <= top; i++ {
			n += h[i].Load()
		}
		if n > before {
			fn(bucketTop(top)/int64(time.Microsecond), n)
		}
		if top == bucket(histogramMost) {
			return
		}
	}
}

// errorCodes counts error replies by their code.
type errorCodes struct {
	mu struct {
		sync.RWMutex
		counts map[string]*atomic.Int64
	}
}

const (
	maxErrorCodes = 128 // that are told apart: some of them clients' own words
	maxErrorCode  = 64  // bytes of one
)

// add counts a reply, "-CODE …".
func (e *errorCodes) add(reply []byte) {
	n := 1
	for n < len(reply) && n <= maxErrorCode && reply[n] != ' ' && reply[n] != '\r' {
		n++
	}
	code := reply[1:n]
	e.mu.RLock()
	c := e.mu.counts[string(code)]
	e.mu.RUnlock()
	if c == nil {
		c = e.begin(string(code))
	}
	c.Add(1)
}

func (e *errorCodes) begin(code string) *atomic.Int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.counts == nil {
		e.mu.counts = map[string]*atomic.Int64{}
	}
	if len(e.mu.counts) >= maxErrorCodes {
		code = "OTHER"
	}
	c := e.mu.counts[code]
	if c == nil {
		c = new(atomic.Int64)
		e.mu.counts[code] = c
	}
	return c
}

func (e *errorCodes) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.counts = nil
}

// all returns the counts by code.
func (e *errorCodes) all() (out []Field) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for code, n := range e.mu.counts {
		out = append(out, line(code, n.Load()))
	}
	slices.SortFunc(out, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// A rate is told from what was done in rateWindow, give or take a rateSlice.
const (
	rateSlice  = 100 * time.Millisecond
	rateWindow = 1600 * time.Millisecond
	rateMarks  = 2 * int(rateWindow/rateSlice)
)

// pace remembers what the counts were when a slice of time began in which
// something was done.
type pace struct {
	last  atomic.Int64 // slice, since 1970
	marks [rateMarks]struct{ slice, commands, in, out atomic.Int64 }
}

// note is called before anything that is done at a time in Unix ms is counted.
func (p *pace) note(c *stats, now int64) {
	slice, last := now/rateSlice.Milliseconds(), p.last.Load()
	if slice == last || !p.last.CompareAndSwap(last, slice) {
		return
	}
	m := &p.marks[uint64(slice)%uint64(rateMarks)]
	m.commands.Store(c.commands.Load())
	m.in.Store(c.in.Load())
	m.out.Store(c.out.Load())
	m.slice.Store(slice)
}

// perSecond returns how much was done lately, at a time in Unix ms.
func (p *pace) perSecond(c *stats, now int64) (commands, in, out float64) {
	slice, oldest := now/rateSlice.Milliseconds(), -1
	for i := range p.marks {
		age := slice - p.marks[i].slice.Load()
		if age >= 0 && age <= int64(rateWindow/rateSlice) && (oldest < 0 || age > slice-p.marks[oldest].slice.Load()) {
			oldest = i
		}
	}
	if oldest < 0 {
		return 0, 0, 0
	}
	m := &p.marks[oldest]
	each := func(now, then *atomic.Int64) float64 {
		return float64(max(now.Load()-then.Load(), 0)) / rateWindow.Seconds()
	}
	return each(&c.commands, &m.commands), each(&c.in, &m.in), each(&c.out, &m.out)
}
