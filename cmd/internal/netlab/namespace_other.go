//go:build !linux

package netlab

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
)

var errNotLinux = errors.New("netlab: " + Missing())

// Missing says what this machine lacks for a lab, "" if nothing.
func Missing() string { return "Linux, whose network namespaces the hosts are" }

type namespace struct{}

func newNamespace(netip.Addr, int) (namespace, *os.File, error) { return namespace{}, nil, errNotLinux }

func (namespace) close() error          { return nil }
func (namespace) do(func() error) error { return errNotLinux }
func dieWithParent(*exec.Cmd)           {}
func mountTmpfs(string, int64) error    { return errNotLinux }
