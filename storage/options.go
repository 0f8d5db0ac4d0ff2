package storage

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Durability says whose disk has to hold a write before it is acknowledged.
// The store itself only ever does what each [Store.Apply] asks; the mode is
// kept here for those who ask.
type Durability int

const (
	// Always: every replica syncs before it acknowledges.
	Always Durability = iota
	// One: the coordinator's replica syncs, the others acknowledge from memory.
	One
	// Interval: all acknowledge from memory; the log is synced every second.
	Interval
)

// ParseDurability parses "always", "one" or "interval".
func ParseDurability(s string) (Durability, error) {
	for _, d := range []Durability{Always, One, Interval} {
		if s == d.String() {
			return d, nil
		}
	}
	return 0, fmt.Errorf("durability %q: it is always, one or interval", s)
}

// String returns the mode as ParseDurability takes it.
func (d Durability) String() string {
	switch d {
	case Always:
		return "always"
	case One:
		return "one"
	case Interval:
		return "interval"
	}
	return fmt.Sprintf("Durability(%d)", int(d))
}

// Options of a store. Dir is required, all else has a default.
type Options struct {
	Dir string // the data directory, made if absent
	FS  vfs.FS // nil: the operating system's

	CacheBytes    int64 // blocks read from tables; 0: 64 MiB
	MemTableBytes int64 // one of up to memTables tables in memory; 0: 64 MiB

	Durability   Durability
	MinFreeBytes uint64 // below it batches are refused; 0: only when a write fails

	Logger  *slog.Logger // nil: discard
	OnFatal func(error)  // told once, on a goroutine of its own, that the store has failed
}

const (
	defaultCacheBytes    = 64 << 20
	defaultMemTableBytes = 8 << 20
	minMemTableBytes     = 256 << 10

	memTables    = 4    // in memory, the one written to included; then writes wait
	bloomBits    = 10   // a key and table: 1% of absent rows cost a read
	maxOpenFiles = 1000 // tables held open
	blockBytes   = 16 << 10
	indexBytes   = 256 << 10 // one level of index for all but the largest tables
	l0Compact    = 4         // overlapping flushes that start a compaction
	l0Stop       = 64        // overlapping flushes at which writes wait

	// formatMajor is Pebble's own format; raising it makes the directory
	// unreadable to older programs, so formatNumber has to be raised too.
	formatMajor = pebble.FormatValueSeparation
)

// withDefaults fills in and checks o.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("no data directory given")
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if vfs.Root(o.FS) == vfs.Default {
		dir, err := filepath.Abs(o.Dir)
		if err != nil {
			return o, fmt.Errorf("data directory %s: %w", o.Dir, err)
		}
		o.Dir = dir
	}
	o.Dir = o.FS.PathJoin(o.Dir) // cleaned, as Pebble will spell it
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.MemTableBytes <= 0 {
		o.MemTableBytes = defaultMemTableBytes
	}
	o.MemTableBytes = max(o.MemTableBytes, minMemTableBytes)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// pebbleOptions are Pebble's options for s, with cache and lock to be closed by
// the caller.
func (s *Store) pebbleOptions(o Options, cache *pebble.Cache, lock *pebble.Lock) *pebble.Options {
	po := &pebble.Options{
		FS:                          s.guard,
		Lock:                        lock,
		Cache:                       cache,
		MemTableSize:                uint64(o.MemTableBytes),
		MemTableStopWritesThreshold: memTables,
		MaxOpenFiles:                maxOpenFiles,
		L0CompactionThreshold:       l0Compact,
		L0StopWritesThreshold:       l0Stop,
		LBaseMaxBytes:               max(o.MemTableBytes, 64<<20),
		FormatMajorVersion:          formatMajor,
		Logger:                      pebbleLogger{&s.fault},
		EventListener:               s.fault.events(&s.stalls),
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
		po.Levels[i].BlockSize = blockBytes
		po.Levels[i].IndexBlockSize = indexBytes
	}
	return po
}
