package blackbox

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestNodeWiped: a node dies, and its disk is lost. Under its name, with an
// empty disk, it is refilled by the others, under load.
func TestNodeWiped(t *testing.T) {
	c := startLab(t, 3, "--durability", "one")
	l := startLoad(t, c)
	l.during("before", 2*calm)
	begun := l.h.since()
	c.n(3).kill()
	c.wipe(c.n(3))
	p := l.during("n3 is dead", calm)
	c.n(3).start()
	p.end = l.during("n3 is refilled", 2*calm).end
	p.start = begun
	l.end()
	l.smooth(p, c.others(c.n(3)))
	c.settle()
	c.audit(l.h.sorted())
}

// TestTwoWiped: once the cluster has settled, one of three disks is enough.
func TestTwoWiped(t *testing.T) {
	t.Parallel()
	c := startLab(t, 3, "--durability", "interval")
	l := startLoad(t, c)
	l.during("before", 2*calm)
	l.end()
	c.settle()
	for _, s := range c.nodes[:2] {
		s.kill()
		c.wipe(s)
		s.start()
		c.settle()
	}
	c.audit(l.h.sorted())
}

// Of the small disk.
const (
	diskSize = 160 << 20
	diskNeed = 48 << 20 // --min-free-disk
)

// startSmallDisk runs three nodes, the third with a disk of diskSize.
func startSmallDisk(t *testing.T, args ...string) *labCluster {
	t.Helper()
	c := newLab(t, 3, args...)
	s := c.n(3)
	if err := os.Mkdir(s.dataDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.on.MountTmpfs(s.dataDir(), diskSize); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.nodes {
		s.start()
	}
	c.waitReady()
	return c
}

// fill leaves so many bytes free on the node's disk, and returns what takes
// the rest.
func (s *server) fill(leave uint64) (filler string) {
	s.t.Helper()
	filler = filepath.Join(s.dataDir(), "filler")
	err := s.on.Do(func() error {
		var st syscall.Statfs_t
		if err := syscall.Statfs(s.dataDir(), &st); err != nil {
			return err
		}
		f, err := os.OpenFile(filler, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		free := st.Bavail*uint64(st.Bsize) - min(leave, st.Bavail*uint64(st.Bsize))
		return errors.Join(syscall.Fallocate(int(f.Fd()), 0, 0, int64(free)), f.Close())
	})
	if err != nil {
		s.t.Fatalf("filling the disk of %s: %v", s.name, err)
	}
	return filler
}

// TestFullDisk: a disk that has less free than is asked for refuses writes,
// and takes them again when there is room. The others carry the cluster.
func TestFullDisk(t *testing.T) {
	c := startSmallDisk(t, "--min-free-disk", "48MiB")
	l := startLoad(t, c)
	l.during("before", calm)
	begun := l.h.since()
	filler := c.n(3).fill(diskNeed / 2)
	p := l.during("the disk of n3 is full", short)
	p.start = begun
	if err := c.n(3).on.Do(func() error { return os.Remove(filler) }); err != nil {
		t.Fatal(err)
	}
	l.during("there is room again", 2*calm)
	l.end()
	l.smooth(p, c.others(c.n(3)))
	if !c.n(3).alive() {
		t.Error("n3 has ended, though it was only short of room")
	}
	c.settle()
	c.audit(l.h.sorted())
}

// TestNoRoomAtAll: nothing warns of a disk that fills to the last byte. The
// node keeps no promise that it cannot keep, whether it goes on or ends, and
// comes back with all that it has acknowledged.
func TestNoRoomAtAll(t *testing.T) {
	c := startSmallDisk(t, "--min-free-disk", "0")
	l := startLoad(t, c)
	l.during("before", calm)
	begun := l.h.since()
	filler := c.n(3).fill(0)
	p := l.during("the disk of n3 has no room at all", short)
	p.start = begun
	if err := c.n(3).on.Do(func() error { return os.Remove(filler) }); err != nil {
		t.Fatal(err)
	}
	if !c.n(3).alive() {
		if code := c.n(3).wait(); code == 0 {
			t.Error("n3 ended with exit code 0 although its disk failed it")
		}
	} else {
		c.n(3).kill()
	}
	c.n(3).start()
	l.during("there is room again", 2*calm)
	l.end()
	l.smooth(p, c.others(c.n(3)))
	c.settle()
	c.audit(l.h.sorted())
}

// TestRollingRestart: all of five nodes are stopped and started again, one
// after the other, under load.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	c := startLab(t, 5, "--durability", "interval")
	l := startLoad(t, c)
	for _, s := range c.nodes {
		p := period{name: s.name + " is restarted", start: l.h.since()}
		s.terminate()
		s.start()
		c.waitReady()
		p.end = l.h.since()
		l.smooth(p, c.others(s))
	}
	l.end()
	c.settle()
	c.audit(l.h.sorted())
}
