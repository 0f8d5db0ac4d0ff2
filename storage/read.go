package storage

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// Get returns row's value, a copy that is the caller's; nil, nil if there is no
// such row (an empty value is not nil). A row that is not what was written is a
// *DamagedRowError.
func (s *Store) Get(row []byte) ([]byte, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	return s.read(row)
}

// begin enters the gate for a read.
func (s *Store) begin() error {
	if err := s.fault.err(); err != nil {
		return err
	}
	if !s.gate.enter() {
		return ErrClosed
	}
	return nil
}

// read is Get for those inside the gate.
func (s *Store) read(row []byte) ([]byte, error) {
	v, closer, err := s.db.Get(row)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			return nil, nil
		}
		return nil, s.unreadable(err)
	}
	if v, err = unseal(row, v); err != nil {
		return nil, errors.Join(err, closer.Close())
	}
	value := make([]byte, len(v))
	copy(value, v)
	return value, closer.Close()
}

// Visit is what a scan calls with each row. Row and value are its own only until
// it returns. Where damaged is set, a *DamagedRowError, there is no value.
type Visit func(row, value []byte, damaged error) (more bool, err error)

// Scan calls fn with the rows in [from, to) in order, at most limit of them (0:
// all), as they were when it began, until fn says that it wants no more. An
// empty to has no end. It ends early with ctx's error, fn's, or ErrClosed. A scan
// holds on to old data, so long ones are better cut into pages.
func (s *Store) Scan(ctx context.Context, from, to []byte, limit int, fn Visit) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.gate.leave()
	it, err := s.db.NewIter(bounds(from, to))
	if err != nil {
		return err
	}
	return errors.Join(s.scan(ctx, it, limit, fn), it.Close())
}

// bounds are an iterator's over [from, to).
func bounds(from, to []byte) *pebble.IterOptions {
	if len(to) == 0 {
		to = nil
	}
	return &pebble.IterOptions{LowerBound: from, UpperBound: to}
}

func (s *Store) scan(ctx context.Context, it *pebble.Iterator, limit int, fn Visit) error {
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.gate.isShut() {
			return ErrClosed
		}
		stored, err := it.ValueAndErr()
		if err != nil {
			return s.unreadable(err)
		}
		value, damaged := unseal(it.Key(), stored)
		more, err := fn(it.Key(), value, damaged)
		if n++; err != nil || !more || n == limit {
			return err
		}
	}
	return s.unreadable(it.Error())
}

// unreadable returns the error of a read, which is the store's end if it says
// that the files are damaged.
func (s *Store) unreadable(err error) error {
	if err = asDamage(err); errors.Is(err, ErrDamaged) {
		return s.fault.set("read", err)
	}
	return err
}

// PutMeta stores value under a name of the node's own (ring history, members);
// it is on disk on return. It may be used when the disk is full for other writes.
func (s *Store) PutMeta(key string, value []byte) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.gate.leave()
	if err := s.db.Set(metaRow(key), value, pebble.Sync); err != nil {
		return s.fault.set("store "+key, err)
	}
	return s.fault.err()
}

// GetMeta returns what PutMeta stored; nil, nil if nothing was.
func (s *Store) GetMeta(key string) ([]byte, error) { return s.Get(metaRow(key)) }

func metaRow(key string) []byte { return append([]byte{kindMeta}, key...) }
