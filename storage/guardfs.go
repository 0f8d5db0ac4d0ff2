package storage

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/storage/seal"
)

// guardFS stands between Pebble and the file system of the data directory.
//
// Pebble's commit pipeline panics with its locks held when it cannot write or
// rotate its log, and calls Fatalf when it cannot write its MANIFEST; neither
// can be survived from above. So the guard sees every error first:
//
//   - A full disk (ENOSPC from a write or a create) is waited out: the write is
//     tried again every spaceRetry while the store refuses new batches. The
//     sync behind it just takes long.
//   - Any other error of a write or a sync sets the fault *before* it returns,
//     and from then on the disk is frozen: nothing is written, created, renamed
//     or removed. Pebble is told otherwise, so that it can be closed in good
//     order and nobody hangs in it: its log and its MANIFEST seem to go on
//     working, new tables live in memory. Nobody above is told so, since every
//     acknowledgement asks the fault first (see Commit.Wait).
//
// A retried fsync may report success for pages that an earlier failed one has
// dropped, which is why a failed sync is never tried again.
//
// Reads pass through, and so does all that lies outside the data directory
// (checkpoints).
type guardFS struct {
	vfs.FS
	dir   string
	fault *fault
	space *space
	syncs syncMeter

	shadow      *vfs.MemFS   // holds the files made on a frozen disk
	shadowFiles atomic.Int32 // how many, at most maxShadowFiles

	impatient atomic.Bool // a full disk is an error: the store opens or closes
}

const (
	// spaceRetry is how long a write waits before it tries a full disk again.
	spaceRetry = time.Second
	// maxShadowFiles bounds what Pebble can make on a frozen disk: enough to
	// flush what is in memory (no new batch comes in), so that no call waits
	// for ever.
	maxShadowFiles = 512
	// frozenPause slows Pebble's retries of background work beyond that,
	// which it would repeat without one.
	frozenPause = 10 * time.Millisecond
)

// owns reports whether path lies in the data directory.
func (g *guardFS) owns(path string) bool {
	rest, ok := strings.CutPrefix(path, g.dir)
	return ok && (rest == "" || rest[0] == '/' || rest[0] == '\\')
}

// vital reports whether Pebble cannot go on without the file: logs, MANIFESTs
// and the markers that point to them, and the directory itself.
func (g *guardFS) vital(path string) bool {
	return path == g.dir || seal.Covers(g.FS.PathBase(path))
}

// do runs op, which changes path, and answers what Pebble is to be told. A full
// disk is waited for if retry. It reports done=false if op did not happen.
func (g *guardFS) do(what, path string, retry bool, op func() error) (done bool, err error) {
	if g.fault.err() != nil {
		return false, g.frozen(path)
	}
	err = op()
	if retry && vfs.IsNoSpaceError(err) {
		err = g.outwait(err, op)
	}
	if err != nil {
		g.fault.set(what+" "+g.FS.PathBase(path), err)
		return false, g.frozen(path)
	}
	return true, nil
}

// outwait tries op again until the disk that was too full for it (err) has
// space, or the store closes or fails.
func (g *guardFS) outwait(err error, op func() error) error {
	g.space.waiters.Add(1)
	g.space.check()
	for vfs.IsNoSpaceError(err) && !g.impatient.Load() && g.fault.err() == nil {
		time.Sleep(spaceRetry)
		err = op()
	}
	g.space.waiters.Add(-1)
	g.space.check()
	return err
}

// frozen answers a change that does not happen because the store has failed.
func (g *guardFS) frozen(path string) error {
	if g.vital(path) {
		return nil
	}
	return g.fault.err()
}

// create opens a file for writing through open.
func (g *guardFS) create(what, name string, open func() (vfs.File, error)) (vfs.File, error) {
	if !g.owns(name) {
		return open()
	}
	var f vfs.File
	done, err := g.do(what, name, true, func() (err error) {
		if strings.HasPrefix(g.FS.PathBase(name), seal.MarkerPrefix) {
			// What the marker will point to has to be there whenever the
			// marker is; Pebble syncs the directory only behind it.
			if err := syncDir(g.FS, g.dir); err != nil {
				return err
			}
		}
		f, err = open()
		return err
	})
	switch {
	case done:
		return g.guard(f, name), nil
	case err == nil: // frozen and vital: its writes will be swallowed
		return g.guard(vfs.NewMemFile(nil), name), nil
	case g.shadowFiles.Add(1) > maxShadowFiles:
		time.Sleep(frozenPause)
		return nil, err
	}
	return g.shadow.Create(g.FS.PathBase(name), vfs.WriteCategoryUnspecified)
}

// Open opens a file for reading, one that was made on a frozen disk included.
func (g *guardFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if g.shadowFiles.Load() > 0 && g.owns(name) {
		if f, err := g.shadow.Open(g.FS.PathBase(name), opts...); err == nil {
			return f, nil
		}
	}
	return g.FS.Open(name, opts...)
}

func (g *guardFS) guard(f vfs.File, name string) vfs.File {
	return &guardFile{File: f, g: g, name: name, meter: strings.HasSuffix(name, ".log")}
}

func (g *guardFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.create("create", name, func() (vfs.File, error) { return g.FS.Create(name, c) })
}

func (g *guardFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return g.create("open", name, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, c, opts...) })
}

func (g *guardFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.create("reuse", newname, func() (vfs.File, error) { return g.FS.ReuseForWrite(oldname, newname, c) })
}

func (g *guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil || !g.owns(name) {
		return f, err
	}
	return g.guard(f, name), nil
}

func (g *guardFS) change(what, name string, op func() error) error {
	if !g.owns(name) {
		return op()
	}
	_, err := g.do(what, name, true, op)
	return err
}

func (g *guardFS) Link(oldname, newname string) error {
	return g.change("link", newname, func() error { return g.FS.Link(oldname, newname) })
}

func (g *guardFS) Rename(oldname, newname string) error {
	return g.change("rename", newname, func() error { return g.FS.Rename(oldname, newname) })
}

// Remove never sets the fault: a file that stays is only space, and Pebble
// tries again at its next open.
func (g *guardFS) Remove(name string) error {
	if g.owns(name) && g.fault.err() != nil {
		return nil
	}
	return g.FS.Remove(name)
}

// GetDiskUsage never fails towards Pebble, which takes that for an error of its
// background work; it only wants to pace itself.
func (g *guardFS) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	u, err := g.FS.GetDiskUsage(path)
	if err != nil {
		return u, vfs.ErrUnsupported
	}
	return u, nil
}

// Unwrap lets vfs.Root find the file system below.
func (g *guardFS) Unwrap() vfs.FS { return g.FS }

// guardFile is a file (or directory) of the data directory opened for writing.
type guardFile struct {
	vfs.File
	g     *guardFS
	name  string
	meter bool // measure its syncs
}

func (f *guardFile) Write(p []byte) (int, error) {
	written := 0
	_, err := f.g.do("write", f.name, true, func() error {
		n, err := f.File.Write(p[written:])
		written += n // a short write is continued behind what it has written
		return err
	})
	if err != nil {
		return written, err
	}
	return len(p), nil
}

func (f *guardFile) WriteAt(p []byte, off int64) (int, error) {
	if _, err := f.g.do("write", f.name, true, func() error {
		_, err := f.File.WriteAt(p, off)
		return err
	}); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *guardFile) Sync() error { return f.sync(f.File.Sync) }

func (f *guardFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *guardFile) SyncTo(length int64) (full bool, err error) {
	err = f.sync(func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

// sync runs one sync and never a second for the same data: see guardFS.
func (f *guardFile) sync(op func() error) error {
	begin := time.Now()
	_, err := f.g.do("sync", f.name, false, op)
	if f.meter && err == nil {
		f.g.syncs.add(time.Since(begin))
	}
	return err
}

// Close reports a failed close of a file that was written like a failed sync:
// some file systems only tell then.
func (f *guardFile) Close() error {
	err := f.File.Close()
	if err == nil {
		return nil
	}
	f.g.fault.set("close "+f.g.FS.PathBase(f.name), err)
	return f.g.frozen(f.name)
}

// syncMeter measures the log's syncs.
type syncMeter struct {
	count atomic.Uint64
	total atomic.Int64 // nanoseconds
	last  atomic.Int64 // nanoseconds
}

func (m *syncMeter) add(d time.Duration) {
	m.count.Add(1)
	m.total.Add(int64(d))
	m.last.Store(int64(d))
}
