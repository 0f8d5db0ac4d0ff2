package vfs

import (
	"io/fs"
	"os"
	"syscall"

	"github.com/cockroachdb/errors"
)

var errNotEmpty = syscall.ENOTEMPTY

// IsNoSpaceError says whether err means that the disk is full.
func IsNoSpaceError(err error) bool { return errors.Is(err, syscall.ENOSPC) }

// The simulator's disks are in memory: that of the system is not used.

func (defaultFS) OpenDir(string) (File, error)           { return nil, syscall.ENOSYS }
func (defaultFS) GetDiskUsage(string) (DiskUsage, error) { return DiskUsage{}, syscall.ENOSYS }

func deviceIDFromFileInfo(fs.FileInfo) DeviceID { return DeviceID{} }

type osFile struct{ *os.File }

func wrapOSFileImpl(f *os.File) File { return osFile{f} }

func (f osFile) Stat() (FileInfo, error)      { return maybeWrapFileInfo(f.File.Stat()) }
func (f osFile) SyncData() error              { return f.Sync() }
func (f osFile) SyncTo(int64) (bool, error)   { return true, f.Sync() }
func (osFile) Prefetch(int64, int64) error    { return nil }
func (osFile) Preallocate(int64, int64) error { return nil }
