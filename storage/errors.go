package storage

import (
	"errors"
	"fmt"
)

// Errors of a store. They are wrapped with what happened and what to do.
var (
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("the store is closed")
	// ErrInUse: another process (or store) holds the data directory.
	ErrInUse = errors.New("the data directory is in use")
	// ErrForeign: the directory holds something else than dynaring's data.
	ErrForeign = errors.New("not a dynaring data directory")
	// ErrFormat: the data is of a format that this program does not read.
	ErrFormat = errors.New("data format not supported")
	// ErrDiskFull: free space is short, writes are refused until it is back.
	ErrDiskFull = errors.New("disk full")
	// ErrFailed: the disk failed; nothing is read, written or acknowledged
	// any more until the process is started again.
	ErrFailed = errors.New("the data directory failed")
	// ErrBatchTooLarge: a batch beyond MaxBatchBytes.
	ErrBatchTooLarge = errors.New("batch too large")
)

// DiskFullError refuses a write because free space is below the reserve. It is
// ErrDiskFull, and goes away by itself when there is space again.
type DiskFullError struct {
	Dir  string
	Free uint64 // bytes available to this process
	Need uint64 // bytes that have to stay available (Options.MinFreeBytes)
}

// Error says what is short and what to do.
func (e *DiskFullError) Error() string {
	return fmt.Sprintf("disk full: %s has %s free and needs %s; free some space or enlarge the disk, writes resume by themselves",
		e.Dir, formatBytes(e.Free), formatBytes(e.Need))
}

// Is makes errors.Is(err, ErrDiskFull) true.
func (e *DiskFullError) Is(target error) bool { return target == ErrDiskFull }

// formatBytes prints n in the largest binary unit that keeps it at least 1.
func formatBytes(n uint64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/(1<<10), 0
	for f >= 1<<10 && i < len(units)-1 {
		f, i = f/(1<<10), i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}
