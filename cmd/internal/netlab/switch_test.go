package netlab

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakePort is a port whose host is the test.
type fakePort struct {
	sends chan []byte
	told  chan struct{} // closed when the read deadline is set
	stop  sync.Once

	mu  sync.Mutex
	got []string
}

func newFakePort() *fakePort {
	return &fakePort{sends: make(chan []byte), told: make(chan struct{})}
}

func (p *fakePort) Read(b []byte) (int, error) {
	select {
	case bytes := <-p.sends:
		return copy(b, bytes), nil
	case <-p.told:
		return 0, os.ErrDeadlineExceeded
	}
}

func (p *fakePort) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, string(b[headerSize:]))
	return len(b), nil
}

func (p *fakePort) SetReadDeadline(time.Time) error {
	p.stop.Do(func() { close(p.told) })
	return nil
}

func (p *fakePort) received() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// send hands the switch a packet for a host.
func (p *fakePort) send(to int, text string) {
	b := make([]byte, headerSize, headerSize+len(text))
	b[0] = 4<<4 | 5
	a := address(to).As4()
	copy(b[destinationAt:], a[:])
	p.sends <- append(b, text...)
}

func TestSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := newFakePort(), newFakePort(), newFakePort()
		l := &Lab{fabric: newFabric([]port{a, b, c}, 1)}
		for i := range 3 {
			l.Hosts = append(l.Hosts, &Host{number: i})
		}
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- l.Run(ctx) }()
		host := func(i int) []*Host { return l.Hosts[i : i+1] }
		want := func(p *fakePort, texts ...string) {
			t.Helper()
			synctest.Wait()
			if got := p.received(); !slices.Equal(got, texts) {
				t.Fatalf("received %q, want %q", got, texts)
			}
		}

		a.send(1, "at once")
		want(b, "at once")
		want(c)

		l.Set(host(0), host(1), Condition{Delay: time.Second})
		a.send(1, "later")
		b.send(0, "back")
		want(a, "back")
		time.Sleep(time.Second - time.Nanosecond)
		want(b, "at once")
		time.Sleep(time.Nanosecond)
		want(b, "at once", "later")

		// What is under way is not overtaken, and a cut takes it.
		a.send(1, "slow")
		time.Sleep(time.Second / 2)
		l.Heal()
		a.send(1, "behind it")
		want(b, "at once", "later")
		time.Sleep(time.Second / 2)
		want(b, "at once", "later", "slow", "behind it")
		l.Set(host(0), host(1), Condition{Delay: time.Second})
		a.send(1, "lost")
		l.Between(host(0), l.Hosts, Condition{Cut: true})
		a.send(1, "lost")
		b.send(0, "lost")
		b.send(2, "around")
		time.Sleep(time.Hour)
		want(b, "at once", "later", "slow", "behind it")
		want(a, "back")
		want(c, "around")

		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}

// TestTransitIsBounded: a host that is far away does not fill the memory.
func TestTransitIsBounded(t *testing.T) {
	tr := newTransit()
	for i := range maxTransit + 10 {
		if ok := tr.add(packet{at: time.Hour}); ok != (i < maxTransit) {
			t.Fatalf("packet %d of %d: %v", i+1, maxTransit, ok)
		}
	}
}
