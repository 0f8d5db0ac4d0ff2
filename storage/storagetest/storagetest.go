package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/storage/seal"
)

// Damage changes one bit of the value stored with row in dir, which no store may
// have open. The bit counts from the value's first and goes round.
func Damage(fs vfs.FS, dir string, row []byte, bit int) error {
	return change(fs, dir, func(db *pebble.DB) error {
		value, err := get(db, row)
		if err != nil {
			return err
		}
		bit %= 8 * len(value)
		value[bit/8] ^= 1 << (bit % 8)
		return db.Set(row, value, pebble.Sync)
	})
}

// Misplace stores what is stored with row with another one too.
func Misplace(fs vfs.FS, dir string, row, at []byte) error {
	return change(fs, dir, func(db *pebble.DB) error {
		value, err := get(db, row)
		if err != nil {
			return err
		}
		return db.Set(at, value, pebble.Sync)
	})
}

func get(db *pebble.DB, row []byte) ([]byte, error) {
	value, closer, err := db.Get(row)
	if err != nil {
		return nil, fmt.Errorf("row %q: %w", row, err)
	}
	return bytes.Clone(value), closer.Close()
}

// change opens the database as it is. After a clean stop it is sealed again:
// nothing of this happened as far as the store can tell.
func change(fs vfs.FS, dir string, do func(*pebble.DB) error) error {
	if err := changeOnly(fs, dir, do); err != nil {
		return fmt.Errorf("damaging %s: %w", dir, err)
	}
	path := fs.PathJoin(dir, "CLEAN")
	f, err := fs.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	sealed, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	actor, whole := seal.Actor(string(sealed))
	if !whole {
		return fmt.Errorf("%s is not whole: %q", path, sealed)
	}
	text, err := seal.Text(fs, dir, actor)
	if err != nil {
		return err
	}
	if f, err = fs.Create(path, vfs.WriteCategoryUnspecified); err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Sync(), f.Close())
}

func changeOnly(fs vfs.FS, dir string, do func(*pebble.DB) error) error {
	db, err := pebble.Open(dir, &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatValueSeparation, Logger: quiet{}})
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close())
}

// quiet is a logger of Pebble's that says nothing.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...)) // of a test
}
