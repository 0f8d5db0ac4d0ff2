package resp

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"time"

	"github.com/dynaring/dynaring/coordinator"
)

func dbSize(b *batch, _ [][]byte) {
	n, err := b.s.opts.Cluster.Count(b.ctx)
	if err != nil {
		b.fail(err)
		return
	}
	b.int(n)
}

// flushAll is FLUSHALL and FLUSHDB, which are the same with one database. They
// answer when all is done, whatever they are told.
func flushAll(b *batch, args [][]byte) {
	if len(args) > 2 || len(args) == 2 && !is(args[1], "ASYNC") && !is(args[1], "SYNC") {
		b.fail(errSyntax)
		return
	}
	if err := b.s.opts.Cluster.Flush(b.ctx); err != nil {
		b.fail(err)
		return
	}
	b.ok()
}

// infoSections are Redis's, in its order. Keyspace counts the keys of the whole
// cluster, so it is only there when it is asked for by name.
var infoSections = []struct {
	name   string
	fields func(b *batch) []Field
	asked  bool
}{
	{"Server", (*batch).infoServer, false},
	{"Clients", (*batch).infoClients, false},
	{"Memory", (*batch).infoMemory, false},
	{"Persistence", (*batch).infoPersistence, false},
	{"Stats", (*batch).infoStats, false},
	{"Replication", (*batch).infoReplication, false},
	{"CPU", (*batch).infoCPU, false},
	{"Cluster", (*batch).infoCluster, false},
	{"Keyspace", (*batch).infoKeyspace, true},
}

// info answers the sections that are asked for; all of them have what the
// node adds.
func info(b *batch, args [][]byte) {
	wants := func(name string, asked bool) bool {
		for _, a := range args[1:] {
			if is(a, strings.ToUpper(name)) || is(a, "ALL") || is(a, "EVERYTHING") || is(a, "DEFAULT") && !asked {
				return true
			}
		}
		return len(args) == 1 && !asked
	}
	more := b.s.opts.Cluster.Info()
	var parts []string
	for _, s := range infoSections {
		var added []Field
		more = slices.DeleteFunc(more, func(m Section) bool {
			if strings.EqualFold(m.Name, s.name) {
				added = append(added, m.Fields...)
				return true
			}
			return false
		})
		if wants(s.name, s.asked) {
			parts = append(parts, infoPart(s.name, append(s.fields(b), added...)))
		}
	}
	for _, m := range more {
		if wants(m.Name, false) {
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

func (b *batch) infoServer() []Field {
	_, port, _ := net.SplitHostPort(b.ss.local)
	now := b.s.opts.Now()
	up := int64(now.Sub(b.s.started) / time.Second)
	return []Field{
		line("redis_version", RedisVersion),
		line("dynaring_version", b.s.opts.Version),
		line("redis_mode", redisMode),
		line("os", runtime.GOOS+" "+runtime.GOARCH),
		line("arch_bits", 32<<(^uint(0)>>63)),
		line("process_id", os.Getpid()),
		line("tcp_port", port),
		line("server_time_usec", now.UnixMicro()),
		line("uptime_in_seconds", up),
		line("uptime_in_days", up/(24*60*60)),
	}
}

func (b *batch) infoClients() []Field {
	return []Field{
		line("connected_clients", b.s.stats.clients.Load()),
		line("maxclients", b.s.opts.MaxClients),
		line("blocked_clients", 0),
	}
}

func (b *batch) infoMemory() []Field {
	m := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(m)
	used, rss := m[0].Value.Uint64(), m[1].Value.Uint64()-m[2].Value.Uint64()
	return []Field{
		line("used_memory", used),
		line("used_memory_human", humanBytes(used)),
		line("used_memory_rss", rss),
		line("used_memory_rss_human", humanBytes(rss)),
		line("maxmemory", 0),
		line("maxmemory_human", "0B"),
		line("maxmemory_policy", "noeviction"),
		line("mem_allocator", runtime.Version()),
	}
}

// humanBytes prints a size as Redis does: 1.14M.
func humanBytes(n uint64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%dB", n)
	}
	f, unit := float64(n)/(1<<10), 0
	for f >= 1<<10 && unit < 3 {
		f, unit = f/(1<<10), unit+1
	}
	return fmt.Sprintf("%.2f%c", f, "KMGT"[unit])
}

func (b *batch) infoPersistence() []Field {
	loading := 0
	if _, err := b.s.opts.Backend.Route(0, coordinator.Reading); faultIs(err, "LOADING") {
		loading = 1
	}
	return []Field{
		line("loading", loading),
		line("async_loading", 0),
		line("rdb_changes_since_last_save", 0),
		line("rdb_bgsave_in_progress", 0),
		line("rdb_last_bgsave_status", "ok"),
		line("aof_enabled", 0),
		line("aof_rewrite_in_progress", 0),
	}
}

func (b *batch) infoStats() []Field {
	c := b.s.Stats()
	return []Field{
		line("total_connections_received", c.Connections),
		line("total_commands_processed", c.Commands),
		line("total_net_input_bytes", c.BytesIn),
		line("total_net_output_bytes", c.BytesOut),
		line("rejected_connections", c.Rejected),
		line("expired_keys", 0),
		line("evicted_keys", 0),
		line("keyspace_hits", c.Hits),
		line("keyspace_misses", c.Misses),
		line("total_error_replies", c.Errors),
	}
}

func (b *batch) infoReplication() []Field {
	return []Field{
		line("role", "master"),
		line("connected_slaves", 0),
		line("master_repl_offset", 0),
	}
}

func (b *batch) infoCluster() []Field { return []Field{line("cluster_enabled", 1)} }

func (b *batch) infoKeyspace() []Field {
	n, err := b.s.opts.Cluster.Count(b.ctx)
	if err != nil || n == 0 {
		return nil
	}
	return []Field{line("db0", fmt.Sprintf("keys=%d,expires=0,avg_ttl=0", n))}
}
