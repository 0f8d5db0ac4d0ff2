package antientropy

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage"
)

// How fast the scrub goes round.
const (
	// scrubCells is how many cells it checks a second, give or take.
	scrubCells = 2000
	// scrubFastest is the pause after a slot of few cells.
	scrubFastest = 250 * time.Millisecond
	// scrubSlowest is the pause after a slot of many: so all slots have their
	// turn within about a day, however many cells there are.
	scrubSlowest = 24 * time.Hour / storage.Slots
	// scrubRow is about what checking one cell costs the disk, in bytes.
	scrubRow = 256
)

// Checked is a replica that can be checked against itself. *replica.Replica is
// one.
type Checked interface {
	Scrub(ctx context.Context, slot uint16) (replica.Scrubbed, error)
	Slot(slot uint16) replica.SlotState
}

// ScrubStatus is what the scrub has found since the node's start.
type ScrubStatus struct {
	Slots       uint64 // checked
	LeavesWrong uint64 // hashes that were not what the cells say
	RowsDamaged uint64 // rows that could not be read, as often as it met them
	Last        time.Time
}

// Scrubber walks through all slots, slowly and again and again, and checks
// that what is kept of each is right. Slots in which something was wrong are
// marked, to be compared with the other owners at once.
type Scrubber struct {
	replica Checked
	pace    Pace
	mark    func(slot uint16)
	log     *slog.Logger

	mu     sync.Mutex
	status ScrubStatus
}

// NewScrubber returns a scrubber that does nothing before Run.
func NewScrubber(r Checked, pace Pace, mark func(slot uint16), log *slog.Logger) *Scrubber {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Scrubber{replica: r, pace: pace, mark: mark, log: log}
}

// Status returns what was found so far.
func (s *Scrubber) Status() ScrubStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Run scrubs until ctx ends.
func (s *Scrubber) Run(ctx context.Context) error {
	// Each start begins elsewhere: where nodes are restarted often, the last
	// slots would never have their turn.
	first := time.Now().Unix()
	for at := first; ctx.Err() == nil; at++ {
		slot := uint16(at % storage.Slots)
		cells := int(s.replica.Slot(slot).Cells)
		if s.pace.Wait(ctx, scrubRow*cells) != nil {
			return nil
		}
		s.scrub(ctx, slot)
		pause := time.Duration(cells) * time.Second / scrubCells
		if sleep(ctx, min(max(pause, scrubFastest), scrubSlowest)) != nil {
			return nil
		}
	}
	return nil
}

func (s *Scrubber) scrub(ctx context.Context, slot uint16) {
	found, err := s.replica.Scrub(ctx, slot)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("a slot could not be checked", "slot", slot, "err", err)
		}
		return
	}
	s.count(found)
	if found.LeavesWrong == 0 && found.RowsDamaged == 0 {
		return
	}
	if found.LeavesWrong > 0 { // of damaged rows the replica tells, once
		s.log.Error("the hashes kept of a slot were not what its cells say, and have been put right",
			"slot", slot, "hashes", found.LeavesWrong, "cells", found.Cells)
	}
	s.mark(slot)
}

func (s *Scrubber) count(found replica.Scrubbed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Slots++
	s.status.LeavesWrong += uint64(found.LeavesWrong)
	s.status.RowsDamaged += uint64(found.RowsDamaged)
	s.status.Last = time.Now()
}
