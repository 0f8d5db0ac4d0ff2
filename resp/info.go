package resp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// infoSections are Redis's, in its order. The rare ones are only there when
// they are asked for, by name or with all.
var infoSections = []infoSection{
	{name: "Server", fields: (*batch).infoServer},
	{name: "Clients", fields: (*batch).infoClients},
	{name: "Memory", fields: (*batch).infoMemory},
	{name: "Persistence", fields: (*batch).infoPersistence},
	{name: "Stats", fields: (*batch).infoStats},
	{name: "Replication", fields: (*batch).infoReplication},
	{name: "CPU", fields: (*batch).infoCPU},
	{name: "Modules", fields: func(*batch) []Field { return nil }},
	{name: "Commandstats", fields: (*batch).infoCommandStats, rare: true},
	{name: "Errorstats", fields: (*batch).infoErrorStats},
	{name: "Latencystats", fields: (*batch).infoLatencyStats, rare: true},
	{name: "Cluster", fields: (*batch).infoCluster},
	{name: "Keyspace", fields: (*batch).infoKeyspace, named: (*batch).infoKeyspaceNow},
}

type infoSection struct {
	name   string
	fields func(b *batch) []Field
	named  func(b *batch) []Field // instead, where it is asked for by name
	rare   bool                   // not by default
}

// infoWish is what an INFO asks for.
type infoWish struct {
	names          []string // lower case
	byDefault, all bool
}

func newInfoWish(args [][]byte) (w infoWish) {
	w.byDefault = len(args) == 1
	for _, a := range args[1:] {
		switch name := string(appendLower(nil, a)); name {
		case "default":
			w.byDefault = true
		case "all", "everything":
			w.all = true
		case "module_list":
			w.names = append(w.names, "modules")
		default:
			w.names = append(w.names, name)
		}
	}
	return w
}

func (w *infoWish) named(name string) bool { return slices.Contains(w.names, strings.ToLower(name)) }

func (w *infoWish) wants(s *infoSection) bool {
	return w.all || w.byDefault && !s.rare || w.named(s.name)
}

// info answers the sections that are asked for; the default ones have what the
// node adds.
func info(b *batch, args [][]byte) {
	wish := newInfoWish(args)
	more := b.s.opts.Cluster.Info()
	var parts []string
	for i := range infoSections {
		s := &infoSections[i]
		var added []Field
		more = slices.DeleteFunc(more, func(m Section) bool {
			if strings.EqualFold(m.Name, s.name) {
				added = append(added, m.Fields...)
				return true
			}
			return false
		})
		if !wish.wants(s) {
			continue
		}
		fields := s.fields
		if s.named != nil && wish.named(s.name) {
			fields = s.named
		}
		parts = append(parts, infoPart(s.name, append(fields(b), added...)))
	}
	for _, m := range more {
		if wish.wants(&infoSection{name: m.Name}) {
			parts = append(parts, infoPart(m.Name, m.Fields))
		}
	}
	b.text(strings.Join(parts, "\r\n"))
}

func infoPart(name string, fields []Field) string {
	var s strings.Builder
	s.WriteString("# " + name + "\r\n")
	for _, f := range fields {
		s.WriteString(f.Name + ":" + f.Value + "\r\n")
	}
	return s.String()
}

// line makes a Field of any value.
func line(name string, value any) Field { return Field{name, fmt.Sprint(value)} }

// zeros makes Fields that are 0 here: what they count does not exist.
func zeros(names ...string) []Field {
	fields := make([]Field, len(names))
	for i, name := range names {
		fields[i] = Field{name, "0"}
	}
	return fields
}

// infoCommandStats has a line for each command that was sent, subcommands by
// their own names.
func (b *batch) infoCommandStats() (out []Field) {
	for _, name := range slices.Sorted(maps.Keys(b.s.table.byName)) {
		m := &b.s.table.byName[name].meter
		calls, micros := m.calls.Load(), time.Duration(m.nanos.Load()).Microseconds()
		rejected, failed := m.rejected.Load(), m.failed.Load()
		if calls == 0 && rejected == 0 && failed == 0 {
			continue
		}
		each := 0.0
		if calls > 0 {
			each = float64(micros) / float64(calls)
		}
		out = append(out, Field{"cmdstat_" + name, fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
			calls, micros, each, rejected, failed)})
	}
	return out
}

func (b *batch) infoErrorStats() (out []Field) {
	for _, f := range b.s.errors.all() {
		out = append(out, Field{"errorstat_" + f.Name, "count=" + f.Value})
	}
	return out
}

func (b *batch) infoLatencyStats() (out []Field) {
	set := b.s.settings()
	if !set.histograms {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(b.s.table.byName)) {
		if h := b.s.table.byName[name].meter.latency.Load(); h != nil && h.total() > 0 {
			out = append(out, Field{"latency_percentiles_usec_" + name, percentilesOf(h, set.percentiles)})
		}
	}
	return out
}

func (b *batch) infoCluster() []Field { return []Field{line("cluster_enabled", 1)} }
