package resp

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
)

// memoryUse is what the process's memory has been used for.
type memoryUse struct {
	mu struct {
		sync.Mutex
		start, peak uint64
	}
}

// memoryState is the process's memory now, in bytes.
type memoryState struct {
	used     uint64 // by what is alive, and what is not yet collected
	spans    uint64 // what the allocator keeps that in
	resident uint64 // what the system has given for all of it
	start    uint64 // used, when the server was made
	peak     uint64 // used, the most that anybody has seen
	machine  uint64 // of the whole machine; 0: not known
}

func (u *memoryUse) read() (m memoryState) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	at := func(i int) uint64 { return samples[i].Value.Uint64() }
	m.used, m.spans, m.resident, m.machine = at(0), at(0)+at(1), at(2)-at(3), machineMemory()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.mu.start == 0 {
		u.mu.start = m.used
	}
	u.mu.peak = max(u.mu.peak, m.used)
	m.start, m.peak = u.mu.start, u.mu.peak
	return m
}

// machineMemory reads what Linux says of the machine.
var machineMemory = sync.OnceValue(func() uint64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(text)) {
		if f := strings.Fields(l); len(f) > 1 && f[0] == "MemTotal:" {
			n, _ := strconv.ParseUint(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
})

func ratio(n, of uint64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// memoryStats answers what INFO memory does, in numbers.
func memoryStats(b *batch, _ [][]byte) {
	m := b.s.memory.read()
	k := b.lastCount()
	dataset := m.used - min(m.used, m.start)
	each := int64(0)
	if k.Live > 0 {
		each = int64(dataset) / k.Live
	}
	numbers := func(fields ...Field) {
		for _, f := range fields {
			n, _ := strconv.ParseInt(f.Value, 10, 64)
			b.number(f.Name, n)
		}
	}
	b.mapping(27)
	numbers(line("peak.allocated", m.peak), line("total.allocated", m.used), line("startup.allocated", m.start))
	numbers(zeros("replication.backlog", "clients.slaves", "clients.normal", "cluster.links", "aof.buffer", "lua.caches", "functions.caches")...)
	numbers(line("overhead.total", min(m.used, m.start)), line("keys.count", k.Live), line("keys.bytes-per-key", each), line("dataset.bytes", dataset))
	b.double("dataset.percentage", 100*ratio(dataset, max(dataset, 1)))
	b.double("peak.percentage", 100*ratio(m.used, m.peak))
	numbers(line("allocator.allocated", m.used), line("allocator.active", m.spans), line("allocator.resident", m.resident))
	b.double("allocator-fragmentation.ratio", ratio(m.spans, m.used))
	numbers(line("allocator-fragmentation.bytes", int64(m.spans)-int64(m.used)))
	b.double("allocator-rss.ratio", ratio(m.resident, m.spans))
	numbers(line("allocator-rss.bytes", int64(m.resident)-int64(m.spans)))
	b.double("rss-overhead.ratio", 1)
	numbers(line("rss-overhead.bytes", 0))
	b.double("fragmentation", ratio(m.resident, m.used))
	numbers(line("fragmentation.bytes", int64(m.resident)-int64(m.used)))
}

// double appends a field of a map that is a number with a fraction.
func (r *reply) double(name string, f float64) {
	r.str(name)
	text := strconv.FormatFloat(f, 'g', 17, 64)
	if r.proto < resp3 {
		r.str(text)
		return
	}
	r.buf = append(append(append(r.buf, ','), text...), "\r\n"...)
}

// memoryDoctor tells whether the memory is used well.
func memoryDoctor(b *batch, _ [][]byte) {
	const small, wasteful = 64 << 20, 2.0
	m := b.s.memory.read()
	switch {
	case m.used < small:
		b.text("This node uses very little memory: there is nothing to find fault with.\n")
	case ratio(m.resident, m.used) > wasteful:
		b.text("The process keeps more than twice as much memory as it uses. It gives the rest back by itself when the system needs it; MEMORY PURGE gives it back now, a lower GOGC keeps less.\n")
	default:
		b.text("There is nothing to find fault with. Most of the memory is the caches': --cache bounds them.\n")
	}
}

// memoryMallocStats shows what Go's runtime tells of its memory.
func memoryMallocStats(b *batch, _ [][]byte) {
	var out strings.Builder
	out.WriteString("___ Begin Go runtime statistics (" + runtime.Version() + ") ___\n")
	var samples []metrics.Sample
	for _, d := range metrics.All() {
		if strings.HasPrefix(d.Name, "/memory/") || strings.HasPrefix(d.Name, "/gc/") {
			samples = append(samples, metrics.Sample{Name: d.Name})
		}
	}
	metrics.Read(samples)
	for _, s := range samples {
		switch s.Value.Kind() {
		case metrics.KindUint64:
			out.WriteString(s.Name + " " + strconv.FormatUint(s.Value.Uint64(), 10) + "\n")
		case metrics.KindFloat64:
			out.WriteString(s.Name + " " + strconv.FormatFloat(s.Value.Float64(), 'g', -1, 64) + "\n")
		}
	}
	out.WriteString("___ End Go runtime statistics ___\n")
	b.text(out.String())
}

// memoryPurge gives unused memory back to the system.
func memoryPurge(b *batch, _ [][]byte) {
	debug.FreeOSMemory()
	b.ok()
}

func memoryHelp(b *batch, _ [][]byte) {
	b.help("MEMORY",
		"DOCTOR",
		"    Return memory problems reports.",
		"MALLOC-STATS",
		"    Return internal statistics report from the memory allocator.",
		"PURGE",
		"    Attempt to purge dirty pages for reclamation by the allocator.",
		"STATS",
		"    Return information about the memory usage of the server.",
		"USAGE <key> [SAMPLES <count>]",
		"    Return memory in bytes used by <key> and its value. Nested values are",
		"    sampled up to <count> times (default: 5, 0 means sample all).")
}
