package netlab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const tunPath = "/dev/net/tun"

// Missing says what this machine lacks for a lab, "" if nothing.
func Missing() string {
	if os.Geteuid() != 0 {
		return "root, who alone can make network namespaces"
	}
	if _, err := os.Stat(tunPath); err != nil {
		return tunPath
	}
	return ""
}

// namespace is a network and a mount namespace, held by files.
type namespace struct {
	net, mnt *os.File
}

func (n namespace) close() error { return errors.Join(n.net.Close(), n.mnt.Close()) }

// onThread calls f on a thread of its own, which then ends: what f has done to
// it touches no other goroutine.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocks
		done <- f()
	}()
	return <-done
}

// newNamespace makes the namespaces, and in them a TUN device with that
// address, whose other end it returns.
func newNamespace(addr netip.Addr, bits int) (ns namespace, tun *os.File, err error) {
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		// No mount made here may be seen outside.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("keeping mounts to itself: %w", err)
		}
		if err := up("lo"); err != nil {
			return err
		}
		if tun, err = openTUN(addr, bits); err != nil {
			return err
		}
		if ns.net, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		ns.mnt, err = os.Open("/proc/thread-self/ns/mnt")
		return err
	})
	if err != nil {
		return ns, nil, errors.Join(err, closeAll(tun, ns.net, ns.mnt))
	}
	return ns, tun, nil
}

func closeAll(files ...*os.File) error {
	var errs []error
	for _, f := range files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// do calls f inside.
func (n namespace) do(f func() error) error {
	return onThread(func() error {
		// A thread that shares its root and working directory with others
		// cannot change its mounts.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("netlab: entering a namespace: %w", err)
		}
		for _, file := range []*os.File{n.net, n.mnt} {
			if err := enter(file); err != nil {
				return fmt.Errorf("netlab: entering a namespace: %w", err)
			}
		}
		return f()
	})
}

func enter(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var entered error
	if err := raw.Control(func(fd uintptr) { entered = unix.Setns(int(fd), 0) }); err != nil {
		return err
	}
	return entered
}

// openTUN makes a TUN device, gives it an address and sets it up. The file
// works from every namespace.
func openTUN(addr netip.Addr, bits int) (*os.File, error) {
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tunPath, err)
	}
	ifr, err := unix.NewIfreq(tunName)
	if err == nil {
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a TUN device: %w", err), unix.Close(fd))
	}
	tun := os.NewFile(uintptr(fd), tunPath)
	if err := errors.Join(configure(addr, bits), up(tunName)); err != nil {
		return nil, errors.Join(err, tun.Close())
	}
	return tun, nil
}

// onInterface makes one request about a network interface of this thread's
// namespace.
func onInterface(name string, request uint, fill func(*unix.Ifreq) error) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := fill(ifr); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, request, ifr); err != nil {
		return fmt.Errorf("setting up %s: %w", name, err)
	}
	return nil
}

func up(name string) error {
	return onInterface(name, unix.SIOCSIFFLAGS, func(ifr *unix.Ifreq) error {
		ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		return nil
	})
}

// configure gives the device its address and mask.
func configure(addr netip.Addr, bits int) error {
	mask := ^uint32(0) << (32 - bits)
	for _, set := range []struct {
		request uint
		bytes   []byte
	}{
		{unix.SIOCSIFADDR, addr.AsSlice()},
		{unix.SIOCSIFNETMASK, []byte{byte(mask >> 24), byte(mask >> 16), byte(mask >> 8), byte(mask)}},
	} {
		err := onInterface(tunName, set.request, func(ifr *unix.Ifreq) error { return ifr.SetInet4Addr(set.bytes) })
		if err != nil {
			return err
		}
	}
	return nil
}

// dieWithParent ends the command when the thread that started it does.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

func mountTmpfs(folder string, bytes int64) error {
	return unix.Mount("tmpfs", folder, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", bytes))
}
