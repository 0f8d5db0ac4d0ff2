package storage

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
)

// ErrDamaged: what is stored is not what was written. A *DamagedRowError is about
// one row; else it is the data directory's files, none of which can be trusted.
var ErrDamaged = errors.New("its files are damaged")

// What to do about a store that cannot go on.
const (
	adviceDamaged = "move the directory away and start the node with an empty one, under its name and with --join: the other nodes give it back what they hold"
	adviceFailed  = "nothing is acknowledged any more, the node has to be restarted on a sound disk"
)

// damagedError names the file that is damaged. Pebble's own error, which the
// text begins with, would print the stack of everybody who has passed it on.
type damagedError struct {
	file  string // "": unknown
	cause error
}

func (e *damagedError) Error() string {
	text, _, _ := strings.Cut(e.cause.Error(), "\n")
	if e.file != "" {
		text = e.file + ": " + text
	}
	return fmt.Sprintf("%v (%s)", ErrDamaged, text)
}

func (e *damagedError) Is(target error) bool { return target == ErrDamaged }
func (e *damagedError) Unwrap() error        { return e.cause }

// asDamage returns err, as a damagedError if it is Pebble's word for one.
func asDamage(err error) error {
	if errors.Is(err, ErrDamaged) || !pebble.IsCorruptionError(err) && !errors.Is(err, record.ErrInvalidChunk) {
		return err
	}
	return &damagedError{cause: err}
}

// advice says what to do about a fatal error.
func advice(cause error) string {
	if errors.Is(cause, ErrDamaged) {
		return adviceDamaged
	}
	return adviceFailed
}
