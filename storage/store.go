package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/storage/version"
)

// Slots is the number of slots that have a floor: Redis Cluster's.
const Slots = 16384

// syncEvery is how often Run syncs what was applied without a sync, and looks
// at the free space.
const syncEvery = time.Second

// Store is an open data directory. It may be used concurrently.
type Store struct {
	dir        string
	fs         vfs.FS
	logger     *slog.Logger
	durability Durability

	db    *pebble.DB
	lock  *pebble.Lock
	guard *guardFS
	fault fault
	space space
	gate  gate

	actorID     uint64
	incarnation atomic.Uint32 // as on disk
	raising     chan struct{} // holds a token while an incarnation is on its way to the disk
	fresh       bool
	copied      bool

	unsynced atomic.Bool // something was applied without a sync since the last one
	stalls   stallCounter
	batches  sync.Pool            // of *Batch
	floors   [Slots]atomic.Uint64 // as stored, or about to be
}

// newStore returns a store that is not open yet.
func newStore(o Options) *Store {
	s := &Store{dir: o.Dir, fs: o.FS, logger: o.Logger, durability: o.Durability}
	s.fault.dir, s.fault.logger, s.fault.onFatal = o.Dir, o.Logger, o.OnFatal
	s.space.fs, s.space.dir, s.space.need, s.space.logger = o.FS, o.Dir, o.MinFreeBytes, o.Logger
	s.gate.empty = make(chan struct{})
	s.raising = make(chan struct{}, 1)
	s.guard = &guardFS{FS: o.FS, dir: o.Dir, fault: &s.fault, space: &s.space, shadow: vfs.NewMem()}
	s.guard.impatient.Store(true) // until it is open
	s.batches.New = func() any { return new(Batch) }
	return s
}

// Close syncs everything, closes the directory and then, if nothing has failed,
// leaves the marker of a clean stop. Calls that are under way are waited for;
// commits may still be waited on afterwards. A second Close does nothing.
func (s *Store) Close() error {
	s.guard.impatient.Store(true)
	if !s.gate.shut() {
		return nil
	}
	err := s.db.Close()
	if fault := s.fault.err(); fault != nil {
		err = fault
	}
	if err == nil {
		err = leaveSeal(s.fs, s.dir, s.Actor().String())
	}
	if err := errors.Join(err, s.lock.Close()); err != nil {
		return fmt.Errorf("closing data directory %s: %w", s.dir, err)
	}
	return nil
}

// Run syncs batches that were applied without a sync and watches the free
// space, once a second, until ctx is done or the store closed (nil), or the
// store has failed (ErrFailed).
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		s.space.check()
		switch err := s.Sync(); {
		case errors.Is(err, ErrClosed):
			return nil
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sync puts everything that has been applied on disk. It costs nothing if all
// of it was applied with a sync.
func (s *Store) Sync() error {
	if err := s.fault.err(); err != nil {
		return err
	}
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	if !s.unsynced.Swap(false) {
		return nil
	}
	return s.syncLog()
}

// syncLog puts everything that has been applied on disk.
func (s *Store) syncLog() error {
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		return s.fault.set("sync", err)
	}
	return s.fault.err()
}

// Probe answers when the disk has synced something written for it alone: how
// long that takes tells a disk that is slow or hangs.
func (s *Store) Probe() error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.gate.leave()
	return s.syncLog()
}

// Actor is the actor under which dots are minted now: the directory's random id
// and its incarnation, which counts unclean stops and calls of NextIncarnation.
func (s *Store) Actor() version.Actor {
	return version.Actor{ID: s.actorID, Inc: s.incarnation.Load()}
}

// NextIncarnation raises the incarnation of the directory's actor, durably, and
// returns the actor that Actor answers from then on: for when this replica can
// no longer tell how far the counters of the present one have come (law 3).
func (s *Store) NextIncarnation() (version.Actor, error) {
	if err := s.begin(); err != nil {
		return version.Actor{}, err
	}
	defer s.gate.leave()
	s.raising <- struct{}{} // two at once could reach the disk in the wrong order
	defer func() { <-s.raising }()
	next := s.Actor()
	next.Inc++
	if err := s.writeIdentity(next); err != nil {
		return version.Actor{}, s.fault.set("store the incarnation", err)
	}
	s.incarnation.Store(next.Inc)
	return next, nil
}

// Fresh reports whether the directory was made by this Open.
func (s *Store) Fresh() bool { return s.fresh }

// Copied reports whether this Open found a checkpoint's copy: what it holds is
// of the moment of the checkpoint.
func (s *Store) Copied() bool { return s.copied }

// Durability returns the mode that the store was opened with.
func (s *Store) Durability() Durability { return s.durability }

// Err returns the error that stopped the store (ErrFailed), nil while it works.
func (s *Store) Err() error { return s.fault.err() }

// Floor returns the counter at or below which this actor may not mint in slot:
// what Batch.SetFloor has raised it to, 0 if never.
func (s *Store) Floor(slot uint16) uint64 { return s.floors[slot%Slots].Load() }

// raiseFloor raises a floor in memory.
func (s *Store) raiseFloor(f slotFloor) {
	floor := &s.floors[f.slot%Slots]
	for old := floor.Load(); old < f.counter; old = floor.Load() {
		if floor.CompareAndSwap(old, f.counter) {
			return
		}
	}
}

// loadFloors reads all floors.
func (s *Store) loadFloors() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindFloor}, UpperBound: []byte{kindFloor + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		row, value := it.Key(), it.Value()
		if len(row) != rowHeader || len(value) != 8 {
			return errors.Join(fmt.Errorf("%w: bad floor row %x", ErrForeign, row), it.Close())
		}
		s.raiseFloor(slotFloor{binary.BigEndian.Uint16(row[1:]), binary.BigEndian.Uint64(value)})
	}
	return errors.Join(it.Error(), it.Close())
}

func floorValue(counter uint64) []byte { return binary.BigEndian.AppendUint64(nil, counter) }
