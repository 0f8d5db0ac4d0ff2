package replica

// Stats are a replica's numbers. Those without a unit are counts since New.
type Stats struct {
	QueueOps   int // operations waiting in the lanes' queues, now
	QueueBytes int // bytes of them
	Jobs       int // peers' requests waiting for a worker, now
	Syncs      int // groups on their way to the disk, now

	Groups  uint64 // storage batches' worth of work
	Updates uint64 // operations of UpdateBatches
	Applies uint64 // cells of ApplyBatches
	Writes  uint64 // cells stored; Applies that changed nothing are not
	Refused uint64 // operations and cells that the store refused

	CacheHits      uint64
	CacheMisses    uint64
	CacheEvictions uint64
	CacheCells     int   // held now
	CacheBytes     int64 // held now
}

// Stats reads the numbers; each is right by itself, not all at one moment.
func (r *Replica) Stats() Stats {
	var s Stats
	for _, l := range r.lanes {
		ops, bytes := l.queue.stats()
		s.QueueOps += ops
		s.QueueBytes += bytes
		s.Syncs += len(l.runway.flights)
		s.Groups += l.counts.groups.Load()
		s.Updates += l.counts.updates.Load()
		s.Applies += l.counts.applies.Load()
		s.Writes += l.counts.writes.Load()
		s.Refused += l.counts.refused.Load()
	}
	s.Jobs = r.point.len() + r.bulk.len() + r.paced.len()
	c := r.cache.stats()
	s.CacheHits, s.CacheMisses, s.CacheEvictions = c.hits, c.misses, c.evictions
	s.CacheCells, s.CacheBytes = c.entries, c.bytes
	return s
}
