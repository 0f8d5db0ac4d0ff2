package storage

import (
	"context"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/storage/version"
)

// Durability says when a replica's disk has to hold a write.
type Durability int

const (
	Always Durability = iota
	One
	Interval
)

// ParseDurability parses "always", "one" or "interval".
func ParseDurability(s string) (Durability, error) { return Always, nil }

// Options of a store.
type Options struct {
	Dir           string
	FS            vfs.FS
	CacheBytes    int64
	MemTableBytes int64
	Durability    Durability
	MinFreeBytes  uint64
	Logger        *slog.Logger
	OnFatal       func(error)
}

// Store is an open data directory.
type Store struct{}

// Open opens or creates a data directory.
func Open(o Options) (*Store, error) { return nil, nil }

// Close stops cleanly.
func (s *Store) Close() error { return nil }

// Run syncs and watches.
func (s *Store) Run(ctx context.Context) error { return nil }

// Actor returns the actor.
func (s *Store) Actor() version.Actor { return version.Actor{} }

// Fresh reports whether this Open created the directory.
func (s *Store) Fresh() bool { return false }

// Durability returns the mode.
func (s *Store) Durability() Durability { return Always }

// Get returns a copy of a row's value; nil, nil if absent.
func (s *Store) Get(row []byte) ([]byte, error) { return nil, nil }

// Floor returns the slot's floor.
func (s *Store) Floor(slot uint16) uint64 { return 0 }

// Scan walks rows in [from, to).
func (s *Store) Scan(ctx context.Context, from, to []byte, limit int, fn func(row, value []byte) (bool, error)) error {
	return nil
}

// PutMeta stores a named setting, synced.
func (s *Store) PutMeta(key string, value []byte) error { return nil }

// GetMeta returns a named setting; nil, nil if absent.
func (s *Store) GetMeta(key string) ([]byte, error) { return nil, nil }

// Checkpoint writes a copy of the store into dir.
func (s *Store) Checkpoint(dir string) error { return nil }

// Metrics returns numbers.
func (s *Store) Metrics() Metrics { return Metrics{} }

// Metrics are a store's numbers.
type Metrics struct{}
