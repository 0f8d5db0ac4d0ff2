package resp

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/dynaring/dynaring/coordinator"
)

// The fields of each section have Redis's names and order. What does not exist
// here is 0, as in a Redis that does not use it.

func (b *batch) infoServer() []Field {
	_, port, _ := net.SplitHostPort(b.ss.local)
	now, p := b.s.opts.Now(), &b.s.opts.Process
	up := int64(now.Sub(b.s.started) / time.Second)
	hz := b.s.config.named("hz")
	const lruClockBits = 24
	return []Field{
		line("redis_version", RedisVersion),
		line("dynaring_version", b.s.opts.Version),
		line("redis_git_sha1", "00000000"),
		line("redis_git_dirty", 0),
		line("redis_build_id", 0),
		line("redis_mode", b.ss.view.mode()),
		line("os", runtime.GOOS+" "+runtime.GOARCH),
		line("arch_bits", 32<<(^uint(0)>>63)),
		line("monotonic_clock", "Go runtime"),
		line("multiplexing_api", "Go netpoller"),
		line("atomicvar_api", "sync/atomic"),
		line("gcc_version", "0.0.0"),
		line("process_id", os.Getpid()),
		line("process_supervised", no),
		line("run_id", b.s.runID),
		line("tcp_port", port),
		line("server_time_usec", now.UnixMicro()),
		line("uptime_in_seconds", up),
		line("uptime_in_days", up/(24*60*60)),
		line("hz", hz),
		line("configured_hz", hz),
		line("lru_clock", now.Unix()&(1<<lruClockBits-1)),
		line("executable", p.Executable),
		line("config_file", p.ConfigFile),
		line("io_threads_active", 0),
	}
}

func (b *batch) infoClients() []Field {
	return append([]Field{
		line("connected_clients", b.s.stats.clients.Load()),
		line("cluster_connections", 0),
		line("maxclients", b.s.settings().maxClients),
	}, zeros("client_recent_max_input_buffer", "client_recent_max_output_buffer", "blocked_clients",
		"tracking_clients", "clients_in_timeout_table")...)
}

func (b *batch) infoMemory() []Field {
	m := b.s.memory.read()
	size := func(name string, n uint64) []Field {
		return []Field{line(name, n), line(name+"_human", humanBytes(n))}
	}
	percent := func(name string, n, of uint64) Field { return Field{name, fmt.Sprintf("%.2f%%", 100*ratio(n, of))} }
	dataset := m.used - min(m.used, m.start)
	policy := b.s.config.named("maxmemory-policy")
	limit, _ := strconv.ParseUint(b.s.config.named("maxmemory"), 10, 64)
	return fieldsOf(size("used_memory", m.used), size("used_memory_rss", m.resident), size("used_memory_peak", m.peak),
		[]Field{
			percent("used_memory_peak_perc", m.used, m.peak),
			line("used_memory_overhead", min(m.used, m.start)),
			line("used_memory_startup", m.start),
			line("used_memory_dataset", dataset),
			percent("used_memory_dataset_perc", dataset, max(dataset, 1)),
			line("allocator_allocated", m.used),
			line("allocator_active", m.spans),
			line("allocator_resident", m.resident),
		},
		size("total_system_memory", m.machine),
		zeros("used_memory_lua", "used_memory_vm_eval"), []Field{line("used_memory_lua_human", "0B")},
		zeros("used_memory_scripts_eval", "number_of_cached_scripts", "number_of_functions", "number_of_libraries",
			"used_memory_vm_functions", "used_memory_vm_total"), []Field{line("used_memory_vm_total_human", "0B")},
		zeros("used_memory_functions", "used_memory_scripts"), []Field{line("used_memory_scripts_human", "0B")},
		size("maxmemory", limit),
		[]Field{
			line("maxmemory_policy", policy),
			line("allocator_frag_ratio", twoDigits(ratio(m.spans, m.used))),
			line("allocator_frag_bytes", int64(m.spans)-int64(m.used)),
			line("allocator_rss_ratio", twoDigits(ratio(m.resident, m.spans))),
			line("allocator_rss_bytes", int64(m.resident)-int64(m.spans)),
			line("rss_overhead_ratio", "1.00"),
			line("rss_overhead_bytes", 0),
			line("mem_fragmentation_ratio", twoDigits(ratio(m.resident, m.used))),
			line("mem_fragmentation_bytes", int64(m.resident)-int64(m.used)),
		},
		zeros("mem_not_counted_for_evict", "mem_replication_backlog", "mem_total_replication_buffers",
			"mem_clients_slaves", "mem_clients_normal", "mem_cluster_links", "mem_aof_buffer"),
		[]Field{line("mem_allocator", runtime.Version())},
		zeros("active_defrag_running", "lazyfree_pending_objects", "lazyfreed_objects"))
}

func twoDigits(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

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
	last, took, count, ok := b.s.saves.state()
	status, seconds := "ok", int64(took/time.Second)
	if !ok {
		status = "err"
	}
	return fieldsOf(
		[]Field{line("loading", loading)},
		zeros("async_loading", "current_cow_peak", "current_cow_size", "current_cow_size_age"),
		[]Field{line("current_fork_perc", "0.00")},
		zeros("current_save_keys_processed", "current_save_keys_total", "rdb_changes_since_last_save", "rdb_bgsave_in_progress"),
		[]Field{
			line("rdb_last_save_time", last.Unix()),
			line("rdb_last_bgsave_status", status),
			line("rdb_last_bgsave_time_sec", seconds),
			line("rdb_current_bgsave_time_sec", -1),
			line("rdb_saves", count),
		},
		zeros("rdb_last_cow_size", "rdb_last_load_keys_expired", "rdb_last_load_keys_loaded",
			"aof_enabled", "aof_rewrite_in_progress", "aof_rewrite_scheduled"),
		[]Field{
			line("aof_last_rewrite_time_sec", -1),
			line("aof_current_rewrite_time_sec", -1),
			line("aof_last_bgrewrite_status", status),
		},
		zeros("aof_rewrites", "aof_rewrites_consecutive_failures"),
		[]Field{line("aof_last_write_status", "ok")},
		zeros("aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size"),
	)
}

func fieldsOf(parts ...[]Field) (all []Field) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func (b *batch) infoStats() []Field {
	c := b.s.Stats()
	commands, in, out := b.s.stats.pace.perSecond(&b.s.stats, b.now)
	const kilo = 1024
	return fieldsOf(
		[]Field{
			line("total_connections_received", c.Connections),
			line("total_commands_processed", c.Commands),
			line("instantaneous_ops_per_sec", int64(commands+0.5)),
			line("total_net_input_bytes", c.BytesIn),
			line("total_net_output_bytes", c.BytesOut),
			line("total_net_repl_input_bytes", 0),
			line("total_net_repl_output_bytes", 0),
			line("instantaneous_input_kbps", twoDigits(in/kilo)),
			line("instantaneous_output_kbps", twoDigits(out/kilo)),
			line("instantaneous_input_repl_kbps", "0.00"),
			line("instantaneous_output_repl_kbps", "0.00"),
			line("rejected_connections", c.Rejected),
		},
		zeros("sync_full", "sync_partial_ok", "sync_partial_err"),
		[]Field{line("expired_keys", b.s.opts.Cluster.Expired()), line("expired_stale_perc", "0.00")},
		zeros("expired_time_cap_reached_count", "expire_cycle_cpu_milliseconds", "evicted_keys", "evicted_clients",
			"total_eviction_exceeded_time", "current_eviction_exceeded_time"),
		[]Field{line("keyspace_hits", c.Hits), line("keyspace_misses", c.Misses)},
		b.s.hub.fields(),
		zeros("latest_fork_usec", "total_forks",
			"migrate_cached_sockets", "slave_expires_tracked_keys", "active_defrag_hits", "active_defrag_misses",
			"active_defrag_key_hits", "active_defrag_key_misses", "total_active_defrag_time", "current_active_defrag_time",
			"tracking_total_keys", "tracking_total_items", "tracking_total_prefixes", "unexpected_error_replies"),
		[]Field{line("total_error_replies", c.Errors), line("dump_payload_sanitizations", 0),
			line("total_reads_processed", b.s.stats.reads.Load()), line("total_writes_processed", b.s.stats.writes.Load())},
		zeros("io_threaded_reads_processed", "io_threaded_writes_processed", "reply_buffer_shrinks", "reply_buffer_expands"),
	)
}

// noReplication is the id of a history that does not exist.
var noReplication = strings.Repeat("0", 40)

func (b *batch) infoReplication() []Field {
	return []Field{
		line("role", "master"),
		line("connected_slaves", 0),
		line("master_failover_state", "no-failover"),
		line("master_replid", b.s.runID),
		line("master_replid2", noReplication),
		line("master_repl_offset", 0),
		line("second_repl_offset", -1),
		line("repl_backlog_active", 0),
		line("repl_backlog_size", b.s.config.named("repl-backlog-size")),
		line("repl_backlog_first_byte_offset", 0),
		line("repl_backlog_histlen", 0),
	}
}

// fields says how many channels and patterns have subscribers on this node.
func (h *hub) fields() []Field {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return []Field{
		line("pubsub_channels", len(h.by[plainChannel])),
		line("pubsub_patterns", len(h.by[channelPattern])),
		line("pubsubshard_channels", len(h.by[shardChannel])),
	}
}
