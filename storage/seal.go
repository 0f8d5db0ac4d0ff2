package storage

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/storage/seal"
)

// errSealBroken is why a sealed file is a damaged one.
var errSealBroken = errors.New("it is not as the last clean stop has left it")

// leaveSeal leaves the marker of a clean stop of actor. Pebble has been closed,
// and what it wrote is synced.
func leaveSeal(fsys vfs.FS, dir, actor string) error {
	// What Pebble has removed must not be back, after a power cut, beside a
	// seal that does not know it.
	if err := syncDir(fsys, dir); err != nil {
		return err
	}
	text, err := seal.Text(fsys, dir, actor)
	if err != nil {
		return err
	}
	return writeMarker(fsys, dir, cleanFile, text)
}

// takeSeal removes the marker of a clean stop, durably, and returns the actor
// that stopped, "" if there was none. Where the files are not what the marker
// says, it stays, and the error is ErrDamaged.
func takeSeal(fsys vfs.FS, dir string) (actor string, err error) {
	content, err := readMarker(fsys, dir, cleanFile)
	if err != nil || content == nil {
		return "", err
	}
	actor, whole := seal.Actor(string(content))
	if whole {
		now, err := seal.Text(fsys, dir, actor)
		if err != nil {
			return "", err
		}
		if file := seal.Difference(string(content), now); file != "" {
			return "", &damagedError{file: file, cause: errSealBroken}
		}
	}
	_, err = takeMarker(fsys, dir, cleanFile)
	return actor, err
}
