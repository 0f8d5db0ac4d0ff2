package storage

import "errors"

// Errors of a store, wrapped with their details.
var (
	ErrClosed   = errors.New("the store is closed")
	ErrInUse    = errors.New("the data directory is in use")
	ErrForeign  = errors.New("not a dynaring data directory of this format")
	ErrDiskFull = errors.New("disk full")
	ErrFailed   = errors.New("the disk has failed")
)

// DiskFullError says that free space is below the reserve. errors.Is ErrDiskFull.
type DiskFullError struct {
	Dir        string
	Free, Need uint64
}

func (e *DiskFullError) Error() string { return "" }

// Is reports whether target is ErrDiskFull.
func (e *DiskFullError) Is(target error) bool { return target == ErrDiskFull }
