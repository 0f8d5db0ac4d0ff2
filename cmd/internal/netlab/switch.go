package netlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// port is the switch's end of a host's TUN device: a packet a call.
type port interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
}

// fabric is the switch between the hosts, and the state of its wires.
type fabric struct {
	begin      time.Time
	ports      []port
	transit    []*transit // by the host that they are for
	conditions atomic.Pointer[table]
	seed       uint64
}

func newFabric(ports []port, seed uint64) *fabric {
	f := &fabric{begin: time.Now(), ports: ports, seed: seed}
	for range ports {
		f.transit = append(f.transit, newTransit())
	}
	f.conditions.Store(newTable(len(ports)))
	return f
}

func (f *fabric) since() time.Duration { return time.Since(f.begin) }

// run carries packets until ctx ends or a device fails.
func (f *fabric) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	wakeReaders := context.AfterFunc(ctx, func() {
		for _, p := range f.ports {
			_ = p.SetReadDeadline(time.Now()) // a device that cannot fails its reader
		}
	})
	defer wakeReaders()
	errs := make([]error, len(f.ports))
	var all sync.WaitGroup
	for i := range f.ports {
		all.Go(func() {
			defer stop()
			errs[i] = f.read(i)
		})
		all.Go(func() { f.transit[i].deliver(ctx, f.since, func(p packet) { f.arrive(i, p) }) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// maxPacket is what a TUN device may hand over at once.
const maxPacket = 1 << 16

// read takes what a host sends, until its port is told to stop.
func (f *fabric) read(from int) error {
	rng := rand.New(rand.NewPCG(f.seed, uint64(from)))
	wires := make([]wire, len(f.ports))
	buf := make([]byte, maxPacket)
	for {
		n, err := f.ports[from].Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading what host %d sends: %w", from+1, err)
		}
		to, ok := destination(buf[:n], len(f.ports))
		if !ok {
			continue
		}
		now := f.since()
		at, ok := wires[to].send(f.conditions.Load().get(from, to), now, n, rng)
		switch {
		case !ok:
		case at <= now:
			f.write(to, buf[:n])
		default:
			f.transit[to].add(packet{at: at, from: from, bytes: append([]byte(nil), buf[:n]...)})
		}
	}
}

// arrive ends a packet's way: a cut takes what is on the wire too.
func (f *fabric) arrive(to int, p packet) {
	if !f.conditions.Load().get(p.from, to).Cut {
		f.write(to, p.bytes)
	}
}

// write hands a packet to a host. A device that refuses one has lost it, as
// networks do.
func (f *fabric) write(to int, bytes []byte) { _, _ = f.ports[to].Write(bytes) }

// network is where the hosts' addresses are from: 10.77.0.1 and up.
var network = netip.MustParsePrefix("10.77.0.0/24")

// maxHosts is how many the network has addresses for.
const maxHosts = 254

// address returns the address of a host, counted from 0.
func address(i int) netip.Addr {
	a := network.Addr().As4()
	a[3] = byte(i + 1)
	return netip.AddrFrom4(a)
}

// Of an IPv4 header.
const (
	headerSize    = 20
	destinationAt = 16
)

// destination returns which of the hosts a packet is for. Others than IPv4
// packets to one of them go nowhere.
func destination(p []byte, hosts int) (int, bool) {
	if len(p) < headerSize || p[0]>>4 != 4 {
		return 0, false
	}
	to := netip.AddrFrom4([4]byte(p[destinationAt : destinationAt+4]))
	i := int(p[destinationAt+3]) - 1
	return i, network.Contains(to) && i >= 0 && i < hosts
}
