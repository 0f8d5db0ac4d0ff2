package coordinator

import "sync/atomic"

// Stats are a coordinator's numbers, counts since New.
type Stats struct {
	Reads     uint64 // keys read
	Writes    uint64 // operations given to the local replica
	NoQuorum  uint64 // groups of a batch that found too few owners
	Uncertain uint64 // operations answered so
	Hedges    uint64 // further owners asked because one was late

	Stragglers  uint64 // acks of writes that came after the answer
	Missed      uint64 // batches of cells that neither an owner nor a fallback for it is known to have stored
	HintsSent   uint64 // batches of cells sent to fallbacks
	HintsFailed uint64 // of them, those that the fallback did not keep
	LateCovered uint64 // of them, those for a node that was late
	StandIns    uint64 // operations carried out in place of owners that cannot be reached
	PassedOver  int    // nodes that are passed over now, because they cannot store

	RepairsQueued  uint64 // cells
	RepairsDone    uint64
	RepairsFailed  uint64
	RepairsDropped uint64 // because too many were queued, or they had become too old

	Forwarded    uint64 // commands passed on to another node
	Rerouted     uint64 // of them, passed on once more
	Served       uint64 // commands that others passed on to this node
	ServeRefused uint64 // frames of them refused because too many were queued
}

// counters are Stats while they grow.
type counters struct {
	reads, writes, noQuorum, uncertain, hedges                atomic.Uint64
	stragglers, missed                                        atomic.Uint64
	hintsSent, hintsFailed, lateCovered, standIns             atomic.Uint64
	repairsQueued, repairsDone, repairsFailed, repairsDropped atomic.Uint64
	forwarded, rerouted, served, serveRefused                 atomic.Uint64
}

// Stats reads the numbers; each is right by itself, not all at one moment.
func (c *Coordinator) Stats() Stats {
	n := &c.counters
	return Stats{
		Reads:          n.reads.Load(),
		Writes:         n.writes.Load(),
		NoQuorum:       n.noQuorum.Load(),
		Uncertain:      n.uncertain.Load(),
		Hedges:         n.hedges.Load(),
		Stragglers:     n.stragglers.Load(),
		Missed:         n.missed.Load(),
		HintsSent:      n.hintsSent.Load(),
		HintsFailed:    n.hintsFailed.Load(),
		LateCovered:    n.lateCovered.Load(),
		StandIns:       n.standIns.Load(),
		PassedOver:     c.health.count(),
		RepairsQueued:  n.repairsQueued.Load(),
		RepairsDone:    n.repairsDone.Load(),
		RepairsFailed:  n.repairsFailed.Load(),
		RepairsDropped: n.repairsDropped.Load(),
		Forwarded:      n.forwarded.Load(),
		Rerouted:       n.rerouted.Load(),
		Served:         n.served.Load(),
		ServeRefused:   n.serveRefused.Load(),
	}
}
