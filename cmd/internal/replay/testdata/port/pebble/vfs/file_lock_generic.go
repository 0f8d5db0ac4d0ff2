//go:build wasip1

package vfs

import (
	"io"
	"syscall"
)

func (defaultFS) Lock(string) (io.Closer, error) { return nil, syscall.ENOSYS }
