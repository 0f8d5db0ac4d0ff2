package storage

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Checkpoint writes a copy of the store, as it is now, into the new directory
// dir, which must not exist nor lie in the data directory. Tables are linked
// where the file system allows, else copied. A copy that was not finished is
// refused by Open; one that is opened gets an actor id of its own, since its
// original may be alive (law 3).
func (s *Store) Checkpoint(dir string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.gate.leave()
	dir = s.fs.PathJoin(dir)
	if s.guard.owns(dir) {
		return fmt.Errorf("checkpoint into %s: it lies in the data directory", dir)
	}
	if err := s.checkpoint(dir); err != nil {
		return fmt.Errorf("checkpoint into %s: %w", dir, err)
	}
	return s.fault.err()
}

func (s *Store) checkpoint(dir string) error {
	if err := s.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return err
	}
	if err := writeMarker(s.fs, dir, copiedFile, s.Actor().String()); err != nil {
		return err
	}
	return writeMarker(s.fs, dir, formatFile, formatLine()) // last: see Open
}
