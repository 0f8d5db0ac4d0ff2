package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// MaxBatchBytes bounds one batch. Beyond it Apply answers ErrBatchTooLarge and
// stores nothing.
const MaxBatchBytes = 1 << 30

// Batch collects changes that are applied together or not at all. It is not
// for concurrent use, and ends with exactly one of: Apply, Close.
type Batch struct {
	s      *Store
	p      *pebble.Batch
	floors []slotFloor
	large  bool // beyond MaxBatchBytes, nothing more is taken
}

// slotFloor is a floor to be raised in memory when its batch is applied.
type slotFloor struct {
	slot    uint16
	counter uint64
}

// NewBatch returns an empty batch.
func (s *Store) NewBatch() *Batch {
	b := s.batches.Get().(*Batch)
	b.s = s
	b.p = s.db.NewBatch()
	return b
}

// Set makes value the value of row. Both are copied, and cells' rows and hints'
// get a checksum.
func (b *Batch) Set(row, value []byte) {
	if !b.fits(len(row) + len(value) + checksumBytes) {
		return
	}
	if !sealed(row) {
		_ = b.p.Set(row, value, nil) // fails on indexed batches only
		return
	}
	op := b.p.SetDeferred(len(row), len(value)+checksumBytes)
	copy(op.Key, row)
	copy(op.Value, value)
	binary.LittleEndian.PutUint64(op.Value[len(value):], checksum(row, value))
	_ = op.Finish() // likewise
}

// Delete removes row.
func (b *Batch) Delete(row []byte) {
	if b.fits(len(row)) {
		_ = b.p.Delete(row, nil)
	}
}

// SetMeta stores value under a name as [Store.PutMeta] does, with the batch.
func (b *Batch) SetMeta(key string, value []byte) { b.Set(metaRow(key), value) }

// DeleteRange removes all rows in [from, to).
func (b *Batch) DeleteRange(from, to []byte) {
	if b.fits(len(from) + len(to)) {
		_ = b.p.DeleteRange(from, to, nil)
	}
}

// SetFloor raises the floor of slot to counter; a floor never sinks. Batches
// that raise the floor of the same slot have to be applied one after another.
func (b *Batch) SetFloor(slot uint16, counter uint64) {
	if counter <= b.s.Floor(slot) {
		return
	}
	for _, f := range b.floors {
		if f.slot == slot && f.counter >= counter {
			return
		}
	}
	row := floorRow(slot)
	b.Set(row[:], floorValue(counter))
	b.floors = append(b.floors, slotFloor{slot, counter})
}

// Len counts the changes in the batch.
func (b *Batch) Len() int { return int(b.p.Count()) }

// Size returns the bytes that the batch takes in the log.
func (b *Batch) Size() int { return b.p.Len() }

// Close drops a batch that will not be applied.
func (b *Batch) Close() { b.release() }

// fits reports whether n more bytes may be added.
func (b *Batch) fits(n int) bool {
	if b.p.Len()+n > MaxBatchBytes {
		b.large = true
	}
	return !b.large
}

// release gives the batch back to its store's pool.
func (b *Batch) release() {
	s := b.s
	_ = b.p.Close() // fails if closed twice only
	*b = Batch{floors: b.floors[:0]}
	s.batches.Put(b)
}

// Commit is a batch that has been applied; it is visible, and may still have to
// be synced. Wait has to be called exactly once, from any goroutine.
type Commit struct {
	b    *Batch
	sync bool
}

// Apply applies b atomically and takes it over, whatever it answers. On return
// the batch is visible to reads. If sync, the batch and all those applied
// before it are on disk once [Commit.Wait] has returned nil; else they are
// within about a second while Run runs, and a crash before that takes a suffix
// of the applied batches, each whole.
//
// It blocks only for back-pressure: flushes that fall behind, or too many
// commits under way. Errors: DiskFullError, ErrFailed, ErrClosed,
// ErrBatchTooLarge; then nothing was stored and there is nothing to wait for.
func (s *Store) Apply(b *Batch, sync bool) (Commit, error) {
	if err := s.admit(b); err != nil {
		b.release()
		return Commit{}, err
	}
	defer s.gate.leave()
	for _, f := range b.floors {
		s.raiseFloor(f) // first: nobody may see the batch and the old floor
	}
	var err error
	if sync {
		if b.p.Empty() {
			_ = b.p.LogData(nil, nil) // so that there is something to sync
		}
		err = s.db.ApplyNoSyncWait(b.p, pebble.Sync)
	} else {
		err = s.db.Apply(b.p, pebble.NoSync)
		if !s.unsynced.Load() {
			s.unsynced.Store(true)
		}
	}
	if err != nil { // an invalid batch: nothing has been written
		b.release()
		return Commit{}, s.fault.set("apply", err)
	}
	return Commit{b: b, sync: sync}, nil
}

// admit enters the gate if b may be applied.
func (s *Store) admit(b *Batch) error {
	switch {
	case b.large:
		return fmt.Errorf("%w: more than %s", ErrBatchTooLarge, formatBytes(MaxBatchBytes))
	case s.fault.err() != nil:
		return s.fault.err()
	case s.space.err() != nil:
		return s.space.err()
	case !s.gate.enter():
		return ErrClosed
	}
	return nil
}

// Wait waits for the sync, if one was asked for, and closes the batch. Only a
// nil error means that the batch is as safe as Apply was asked to make it: with
// an error (ErrFailed) it may be stored or not.
func (c Commit) Wait() error {
	if c.b == nil {
		return nil // of an Apply that failed
	}
	var err error
	if c.sync {
		err = c.b.p.SyncWait()
	}
	s := c.b.s
	c.b.release()
	// The fault is asked after the sync: it is set before a sync that did not
	// happen is reported to Pebble as done (see guardFS).
	if fault := s.fault.err(); fault != nil {
		return fault
	}
	if err != nil {
		return s.fault.set("sync", err)
	}
	return nil
}
