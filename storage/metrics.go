package storage

import "time"

// Metrics are numbers of a store since it was opened, or of now.
type Metrics struct {
	DiskBytes uint64 // on disk, logs included
	FreeBytes uint64 // available on the file system; 0 if not known
	DiskFull  bool   // batches are refused for lack of space

	CacheBytes, CacheHits, CacheMisses int64 // blocks of tables
	BloomHits, BloomMisses             int64 // tables that a filter spared, or did not
	MemTableBytes                      uint64

	Syncs    uint64        // of the log
	SyncTime time.Duration // spent in them
	LastSync time.Duration // the latest one

	Stalls         uint64 // times that writes waited for flushes or compactions
	Compactions    int64
	CompactionDebt uint64 // bytes to be compacted
	ReadAmp        int    // tables that a read may have to ask
}

// Metrics returns the store's numbers; it takes some microseconds. After Close
// it returns the zero Metrics.
func (s *Store) Metrics() Metrics {
	if !s.gate.enter() {
		return Metrics{}
	}
	defer s.gate.leave()
	p := s.db.Metrics()
	return Metrics{
		DiskBytes:      p.DiskSpaceUsage(),
		FreeBytes:      s.space.free.Load(),
		DiskFull:       s.space.err() != nil,
		CacheBytes:     p.BlockCache.Size,
		CacheHits:      p.BlockCache.Hits,
		CacheMisses:    p.BlockCache.Misses,
		BloomHits:      p.Filter.Hits,
		BloomMisses:    p.Filter.Misses,
		MemTableBytes:  p.MemTable.Size,
		Syncs:          s.guard.syncs.count.Load(),
		SyncTime:       time.Duration(s.guard.syncs.total.Load()),
		LastSync:       time.Duration(s.guard.syncs.last.Load()),
		Stalls:         s.stalls.count.Load(),
		Compactions:    p.Compact.Count,
		CompactionDebt: p.Compact.EstimatedDebt,
		ReadAmp:        p.ReadAmp(),
	}
}
