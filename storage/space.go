package storage

import (
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// space watches the free space of a data directory. While it is below the
// reserve, or while a write of Pebble's waits for space, new batches are
// refused; what Pebble still has to write then has the reserve to itself.
type space struct {
	fs      vfs.FS
	dir     string
	need    uint64 // bytes to be kept free
	logger  *slog.Logger
	waiters atomic.Int32 // writes that a full disk holds up
	free    atomic.Uint64
	full    atomic.Pointer[DiskFullError] // nil while there is space
}

// minReserve is the reserve in force while a write waits for space.
const minReserve = 1 << 20

// check looks at the disk and refuses or admits batches from now on. A file
// system that cannot tell its free space (in memory) has enough of it.
func (w *space) check() {
	usage, err := w.fs.GetDiskUsage(w.dir)
	if err != nil {
		if !errors.Is(err, vfs.ErrUnsupported) {
			w.logger.Warn("free space is not known", "dir", w.dir, "error", err)
		}
		usage.AvailBytes = 0
	} else {
		w.free.Store(usage.AvailBytes)
	}
	waiting := w.waiters.Load() > 0
	if !waiting && (err != nil || usage.AvailBytes >= w.need) {
		if w.full.Swap(nil) != nil {
			w.logger.Info("there is disk space again, writes go on", "dir", w.dir, "free", usage.AvailBytes)
		}
		return
	}
	full := &DiskFullError{Dir: w.dir, Free: usage.AvailBytes, Need: max(w.need, minReserve)}
	if w.full.Swap(full) == nil {
		w.logger.Error("writes are refused", "error", full)
	}
}

// err returns the reason for which batches are refused, or nil.
func (w *space) err() error {
	if full := w.full.Load(); full != nil {
		return full
	}
	return nil
}
