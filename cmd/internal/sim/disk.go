package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/storagetest"
)

// Disk is a node's disk. It outlives the node: a clean stop leaves it as it
// is, a crash takes away what was not synced.
//
// Everything may be changed while a node runs on it. No operation waits with
// the mutex held.
type Disk struct {
	name string

	mu struct {
		sync.Mutex
		mem       *vfs.MemFS
		rng       *rand.Rand
		low, high time.Duration // a sync of a log takes this long
		full      bool
		broken    error // what writes and syncs answer
		lies      bool  // syncs of logs do nothing
		backup    *vfs.MemFS
	}
}

// roomy is what a disk that is not full reports.
const roomy = 1 << 40

// NewDisk returns an empty disk.
func NewDisk(name string, seed uint64) *Disk {
	d := &Disk{name: name}
	d.Wipe()
	d.mu.rng = rand.New(rand.NewPCG(seed, uint64(len(name))<<32+uint64(name[len(name)-1])))
	return d
}

// FS returns the disk for the node that starts now. A node that crashed goes
// on with the disk that it had, which nobody looks at any more.
func (d *Disk) FS() vfs.FS {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &diskFS{FS: d.mu.mem, disk: d, mem: d.mu.mem}
}

// Crash takes away what was not synced, except for a random part: each block
// stays with the given probability, in percent. Faults end with it.
func (d *Disk) Crash(stays int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.mem = d.mu.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: stays, RNG: d.mu.rng})
	d.mu.full, d.mu.broken, d.mu.low, d.mu.high = false, nil, 0, 0
}

// Backup keeps a copy of the data directory as it is, for Restore. It is made
// as `dynaring backup` makes one of a node that has crashed here and now.
func (d *Disk) Backup() error {
	mem := d.copy()
	s, err := storage.Open(storage.Options{Dir: dataDir, FS: mem, CacheBytes: 1 << 20})
	if err != nil {
		return err
	}
	err = errors.Join(s.Checkpoint(backupDir), s.Close())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.backup = mem
	return err
}

// copy returns a disk with what a crash would leave of this one now.
func (d *Disk) copy() *vfs.MemFS {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: d.mu.rng})
}

// Restore makes the data directory what it was at the last Backup, or empty if
// there was none.
func (d *Disk) Restore() error {
	d.Wipe()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.backup == nil {
		return nil
	}
	_, err := vfs.Clone(d.mu.backup, d.mu.mem, backupDir, dataDir, vfs.CloneSync)
	return err
}

// Damage changes a bit of what the data directory holds of a key, as a node's own
// or as a hint for another. No node may run on the disk.
func (d *Disk) Damage(key string, hintFor ...string) error {
	slot := ring.Slot([]byte(key))
	row := storage.AppendRow(nil, slot, []byte(key), nil)
	if len(hintFor) > 0 {
		row = storage.AppendHintRow(nil, hintFor[0], slot, []byte(key), nil)
	}
	d.mu.Lock()
	mem, bit := d.mu.mem, d.mu.rng.IntN(1<<16)
	d.mu.Unlock()
	return storagetest.Damage(mem, dataDir, row, bit)
}

// Wipe empties the disk, as replacing it does.
func (d *Disk) Wipe() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.mem = vfs.NewCrashableMem()
	d.mu.full, d.mu.broken, d.mu.low, d.mu.high = false, nil, 0, 0
}

// SetSyncDelay sets how long a sync of a write-ahead log takes.
func (d *Disk) SetSyncDelay(low, high time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.low, d.mu.high = low, high
}

// SetFull makes the disk full, or gives it room again. Logs can still be made
// and ended: see diskFile.
func (d *Disk) SetFull(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.full = full
}

// Break makes every write and sync fail from now on.
func (d *Disk) Break() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.low, d.mu.high = 0, 0 // it will be closed: see diskFS.early
	d.mu.broken = fmt.Errorf("disk of %s: %w", d.name, syscall.EIO)
}

// Lie makes every sync of a log succeed without being one, from now on: what is
// acknowledged as synced is lost in a crash, and no store can know.
func (d *Disk) Lie() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.lies = true
}

func (d *Disk) lies() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.lies
}

// state returns what a change of mem has to expect.
func (d *Disk) state(mem *vfs.MemFS) (full bool, broken error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if mem != d.mu.mem {
		return false, nil
	}
	return d.mu.full, d.mu.broken
}

func (d *Disk) syncDelay(mem *vfs.MemFS) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if mem != d.mu.mem || d.mu.high == 0 {
		return 0
	}
	return between(d.mu.rng, d.mu.low, d.mu.high)
}

// diskFS is the disk as one node sees it.
type diskFS struct {
	vfs.FS
	disk *Disk
	mem  *vfs.MemFS

	logs     atomic.Int32 // that were filled and changed for another
	logBytes atomic.Int64 // in the newest log
}

// change runs op, which needs room if it grows the disk.
func (f *diskFS) change(grows bool, op func() error) error {
	full, broken := f.disk.state(f.mem)
	switch {
	case broken != nil:
		return broken
	case full && grows:
		return syscall.ENOSPC
	}
	return op()
}

func (f *diskFS) open(name string, grows bool, open func() (vfs.File, error)) (file vfs.File, err error) {
	err = f.change(grows, func() (err error) {
		file, err = open()
		return err
	})
	if err != nil {
		return nil, err
	}
	if isLog(name) {
		if f.logBytes.Swap(0) > 0 {
			f.logs.Add(1)
		}
	}
	return &diskFile{File: file, fs: f, log: isLog(name)}, nil
}

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

func (f *diskFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(name, !isLog(name), func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *diskFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.open(name, true, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, opts...) })
}

func (f *diskFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(newname, false, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, c) })
}

func (f *diskFS) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &diskFile{File: file, fs: f}, nil
}

func (f *diskFS) Link(oldname, newname string) error {
	return f.change(true, func() error { return f.FS.Link(oldname, newname) })
}

func (f *diskFS) Rename(oldname, newname string) error {
	return f.change(false, func() error { return f.FS.Rename(oldname, newname) })
}

func (f *diskFS) Remove(name string) error {
	return f.change(false, func() error { return f.FS.Remove(name) })
}

func (f *diskFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	u := vfs.DiskUsage{AvailBytes: roomy, TotalBytes: 2 * roomy, UsedBytes: roomy}
	if full, _ := f.disk.state(f.mem); full {
		u.AvailBytes = 0
	}
	return u, nil
}

func (f *diskFS) Unwrap() vfs.FS { return f.FS }

// diskFile is a file opened for writing, or a directory.
type diskFile struct {
	vfs.File
	fs  *diskFS
	log bool
}

// early reports whether the newest log is surely not about to be changed for
// the next one.
//
// What takes time, here or because the store waits until a full disk has room,
// must not happen while Pebble holds a mutex that others wait for: to synctest
// the bubble would stand still for ever. Pebble does so when it changes logs,
// which is when its memory table is full; the first one holds initialTable
// bytes, each later one twice as many as the one before. So a log is slow, and
// lacks room, only as long as it has a third of that.
func (f *diskFS) early() bool {
	const initialTable = 256 << 10
	return f.logBytes.Load() < initialTable/3<<min(f.logs.Load(), 4)
}

// grows reports whether writing more needs room.
func (f *diskFile) grows() bool { return !f.log || f.fs.early() }

func (f *diskFile) Write(p []byte) (n int, err error) {
	err = f.fs.change(f.grows(), func() (err error) {
		n, err = f.File.Write(p)
		if f.log {
			f.fs.logBytes.Add(int64(n))
		}
		return err
	})
	return n, err
}

func (f *diskFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.change(f.grows(), func() (err error) {
		n, err = f.File.WriteAt(p, off)
		return err
	})
	return n, err
}

func (f *diskFile) Sync() error { return f.sync(f.File.Sync) }

func (f *diskFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *diskFile) SyncTo(length int64) (full bool, err error) {
	err = f.sync(func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

func (f *diskFile) sync(op func() error) error {
	if f.log && f.fs.early() {
		if d := f.fs.disk.syncDelay(f.fs.mem); d > 0 {
			time.Sleep(d)
		}
	}
	if f.log && f.fs.disk.lies() {
		op = func() error { return nil }
	}
	return f.fs.change(false, op)
}
