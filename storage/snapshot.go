package storage

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// Snapshot is the store as it was at one moment. Close has to be called: the
// store's own Close waits for it, and what it shows cannot be compacted away.
type Snapshot struct {
	s *Store
	p *pebble.Snapshot
}

// Snapshot returns the store as it is now.
func (s *Store) Snapshot() (*Snapshot, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	return &Snapshot{s: s, p: s.db.NewSnapshot()}, nil
}

// Scan is [Store.Scan] over what the store was.
func (n *Snapshot) Scan(ctx context.Context, from, to []byte, limit int, fn Visit) error {
	if err := n.s.fault.err(); err != nil {
		return err
	}
	it, err := n.p.NewIter(bounds(from, to))
	if err != nil {
		return err
	}
	return errors.Join(n.s.scan(ctx, it, limit, fn), it.Close())
}

// Close lets go of the snapshot.
func (n *Snapshot) Close() error {
	defer n.s.gate.leave()
	return n.p.Close()
}
