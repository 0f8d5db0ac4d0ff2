package netlab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
)

// tunName is the only device of a host, but for its loopback.
const tunName = "lab0"

// Lab is some hosts and the switch between them.
type Lab struct {
	Hosts  []*Host
	fabric *fabric

	mu sync.Mutex // orders the changes of conditions
}

// Open makes a lab of n hosts, with addresses from 10.77.0.1 on. Nothing
// passes between them before Run. Missing says whether a machine can.
func Open(n int) (*Lab, error) {
	if n > maxHosts {
		return nil, fmt.Errorf("netlab: %d hosts, at most %d", n, maxHosts)
	}
	l := &Lab{}
	var ports []port
	for i := range n {
		ns, tun, err := newNamespace(address(i), network.Bits())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("netlab: host %d: %w", i+1, err), l.Close())
		}
		l.Hosts = append(l.Hosts, &Host{number: i, ns: ns, tun: tun})
		ports = append(ports, tun)
	}
	l.fabric = newFabric(ports, rand.Uint64())
	return l, nil
}

// Run carries what the hosts send each other, until ctx ends.
func (l *Lab) Run(ctx context.Context) error { return l.fabric.run(ctx) }

// Close gives the hosts up, after Run has returned. Commands that still run on
// one keep its namespace, without a way out.
func (l *Lab) Close() error {
	var errs []error
	for _, h := range l.Hosts {
		errs = append(errs, h.tun.Close(), h.ns.close())
	}
	return errors.Join(errs...)
}

// Set changes what happens on the way from each of some hosts to each of
// others.
func (l *Lab) Set(from, to []*Host, c Condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.fabric.conditions.Load()
	for _, a := range from {
		for _, b := range to {
			if a != b {
				t = t.with(a.number, b.number, c)
			}
		}
	}
	l.fabric.conditions.Store(t)
}

// Between changes both directions.
func (l *Lab) Between(as, bs []*Host, c Condition) {
	l.Set(as, bs, c)
	l.Set(bs, as, c)
}

// Heal takes all conditions away.
func (l *Lab) Heal() { l.Between(l.Hosts, l.Hosts, Condition{}) }

// Host is one network namespace, with mounts of its own.
type Host struct {
	number int
	ns     namespace
	tun    *os.File
}

// Addr is the host's address.
func (h *Host) Addr() string { return address(h.number).String() }

// Do calls f in the host: what it opens, starts and mounts is there. f must
// return, and must not leave what it does to another goroutine.
func (h *Host) Do(f func() error) error { return h.ns.do(f) }

// DialContext connects from the host, to an IP address.
func (h *Host) DialContext(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = h.Do(func() (err error) {
		// An address in digits is dialed by the goroutine that asks.
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// Run runs a command on the host to its end, which comes at the latest with
// this process's. started is called once, with what became of its start.
func (h *Host) Run(cmd *exec.Cmd, started func(error)) error {
	dieWithParent(cmd)
	return h.Do(func() error {
		err := cmd.Start()
		started(err)
		if err != nil {
			return err
		}
		// The thread that started it has to live as long: a command's parent,
		// to the kernel, is a thread.
		return cmd.Wait()
	})
}

// MountTmpfs mounts a file system of that many bytes on a folder, which only
// the host sees.
func (h *Host) MountTmpfs(folder string, bytes int64) error {
	return h.Do(func() error { return mountTmpfs(folder, bytes) })
}
