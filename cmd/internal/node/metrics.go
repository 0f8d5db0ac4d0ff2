package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dynaring/dynaring/antientropy"
)

// collectSettling sends what there is to say of the work that brings owners
// into step.
func (m *metrics) collectSettling(out chan<- prometheus.Metric, send func(kind prometheus.ValueType, name, help string, v float64)) {
	counter := func(name, help string, v uint64) { send(prometheus.CounterValue, name, help, float64(v)) }
	gauge := func(name, help string, v float64) { send(prometheus.GaugeValue, name, help, v) }
	s := m.node.status()
	cells, mortal := m.node.replica.Cells()
	gauge("cells", "Cells that this node holds as its own, tombstones included.", float64(cells))
	gauge("mortal_cells", "Those of them that are tombstones or expire.", float64(mortal))
	disk := m.node.store.Metrics()
	gauge("disk_bytes", "What the data directory takes on disk, logs included.", float64(disk.DiskBytes))
	gauge("disk_free_bytes", "What is free on its file system.", float64(disk.FreeBytes))
	gauge("takeover_slots", "Slots that this node is coming to own and does not hold yet.", float64(s.Coming-s.Pulled))
	gauge("unstepped", "Pairs of a slot and another owner not known to be in step since its last change.", float64(s.Unstepped))
	gauge("unstepped_seconds", "For how long the oldest of those pairs has been so.", s.Lag.Seconds())
	gauge("strays", "Cells in slots of other nodes.", float64(s.Strays))
	gauge("background_share", "What background work is granted now, of the most that it may be.", s.Slices)
	counter("exchange_slots_total", "Slots compared with other owners.", s.Exchange.Compared)
	counter("exchange_differing_total", "Slots found to differ.", s.Exchange.Differed)
	counter("exchange_sent_total", "Cells that other owners lacked.", s.Exchange.Sent)
	counter("exchange_received_total", "Cells that this node lacked.", s.Exchange.Received)
	counter("exchange_bytes_total", "Bytes moved for comparing and repairing, both ways.", s.Exchange.Bytes)
	counter("scrub_slots_total", "Slots checked.", s.Scrub.Slots)
	counter("scrub_hashes_wrong_total", "Hashes that were not what the cells say.", s.Scrub.LeavesWrong)
	counter("scrub_rows_damaged_total", "Rows that could not be read, as often as the scrub met them.", s.Scrub.RowsDamaged)
	counter("damaged_rows_total", "Rows that turned out not to be what was written, cells' and hints'.", s.Damage.Found)
	counter("damaged_mended_total", "Damaged cells replaced by what the other owners hold, or by what was in memory.", s.Damage.Mended)
	counter("damaged_hints_total", "Damaged hints given up: their owners compare everything.", s.Damage.Hints)
	gauge("damaged_rows", "Damaged cells that wait to be replaced.", float64(s.Damage.Now))
	gauge("damaged_lost", "Damaged cells that no other owner holds.", float64(s.Damage.Lost))
	counter("strays_returned_total", "Cells given back to the owners of their slots.", s.Returned.Cells)
	counter("collected_total", "Tombstones and expired cells collected.", s.Collect.Collected)
	counter("collection_refused_total", "Dead cells that some member was not ready to let go.", s.Collect.Refused)
	gauge("collection_waiting", "Dead cells that every member has certified once.", float64(s.Collect.Waiting))
	held := 0.0
	if s.Collect.HeldUp != "" {
		held = 1
	}
	gauge("collection_held_up", "Whether a member that does not answer, or a hint, keeps dead cells from being collected.", held)
	m.collectHints(out, &s)
}

// collectHints sends what is kept for each other node, and was handed over.
func (m *metrics) collectHints(out chan<- prometheus.Metric, s *antientropy.Status) {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("dynaring_"+name, help, []string{"owner"}, nil)
	}
	cells := desc("hints", "Cells kept for a node until it can be reached.")
	bytes := desc("hint_bytes", "Bytes of them.")
	age := desc("hint_age_seconds", "Age of the oldest write among them.")
	full := desc("hints_full", "Whether their bound was reached, so that the node has to compare everything.")
	for _, h := range s.Hints {
		marked := 0.0
		if h.Full {
			marked = 1
		}
		for d, v := range map[*prometheus.Desc]float64{
			cells: float64(h.Cells), bytes: float64(h.Bytes), age: s.HintAge(h.Oldest).Seconds(), full: marked,
		} {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, h.Owner)
		}
	}
	delivered := desc("handoff_cells_total", "Cells handed over to a node, or to others in its place.")
	rate := desc("handoff_rate", "Of them, lately, cells a second.")
	for owner, h := range s.Handoff.Owners {
		out <- prometheus.MustNewConstMetric(delivered, prometheus.CounterValue, float64(h.Cells), owner)
		out <- prometheus.MustNewConstMetric(rate, prometheus.GaugeValue, h.Rate, owner)
	}
}
