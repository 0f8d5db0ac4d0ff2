package coordinator

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// disk is a node's disk in memory: it can be slow, and full.
type disk struct {
	vfs.FS

	mu    sync.Mutex
	delay time.Duration // of a sync
	full  bool
}

// minFree is what a node wants to be free.
const minFree = 1 << 20

func newDisk() *disk {
	d := &disk{}
	d.FS = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			d.mu.Lock()
			delay := d.delay
			d.mu.Unlock()
			time.Sleep(delay)
		}
		return nil
	}))
	return d
}

func (d *disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := vfs.DiskUsage{TotalBytes: 1 << 40, AvailBytes: 1 << 39, UsedBytes: 1 << 39}
	if d.full {
		u.AvailBytes = minFree / 2
	}
	return u, nil
}

// setSync says how long a node's syncs take from now on.
func (r *rig) setSync(name string, delay time.Duration) {
	d := r.nodes[name].disk
	d.mu.Lock()
	defer d.mu.Unlock()
	d.delay = delay
}

// setFull fills a node's disk, or gives it room again, and waits until the node
// has noticed.
func (r *rig) setFull(name string, full bool) {
	d := r.nodes[name].disk
	d.mu.Lock()
	d.full = full
	d.mu.Unlock()
	time.Sleep(5 * time.Second)
}
