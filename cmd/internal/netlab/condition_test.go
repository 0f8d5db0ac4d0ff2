package netlab

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestWire: what arrives does so in order, never before its delay, and no
// faster than the rate.
func TestWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var w wire
		var now, last, busy time.Duration
		rate := rapid.SampledFrom([]int{0, 1000, 1_000_000}).Draw(t, "rate")
		for range rapid.IntRange(1, 100).Draw(t, "packets") {
			now += time.Duration(rapid.IntRange(0, 1e9).Draw(t, "pause"))
			c := Condition{
				Cut:    rapid.IntRange(0, 9).Draw(t, "cut") == 0,
				Delay:  time.Duration(rapid.IntRange(0, 1e8).Draw(t, "delay")),
				Jitter: time.Duration(rapid.IntRange(0, 1e8).Draw(t, "jitter")),
				Loss:   rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(t, "loss"),
				Rate:   rate,
			}
			size := rapid.IntRange(20, 1500).Draw(t, "size")
			at, ok := w.send(c, now, size, rng)
			if ok && (c.Cut || c.Loss == 1) || !ok && !c.Cut && c.Loss == 0 {
				t.Fatalf("%+v: arrives %v", c, ok)
			}
			if !ok {
				continue
			}
			if at < last || at < now+c.Delay {
				t.Fatalf("%+v: sent at %v, arrives at %v, after one that arrives at %v", c, now, at, last)
			}
			last = at
			if rate > 0 {
				busy = max(busy, now) + time.Duration(size)*time.Second/time.Duration(rate)
				if at < busy {
					t.Fatalf("%d bytes arrive at %v, the rate allows %v", size, at, busy)
				}
			}
		}
	})
}

func TestLoss(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var w wire
	lost := 0
	for range 10_000 {
		if _, ok := w.send(Condition{Loss: 0.2}, 0, 100, rng); !ok {
			lost++
		}
	}
	if lost < 1800 || lost > 2200 {
		t.Errorf("%d of 10000 packets are lost, want about 2000", lost)
	}
}

func TestDestination(t *testing.T) {
	packet := func(version byte, to ...byte) []byte {
		p := make([]byte, headerSize)
		p[0] = version<<4 | 5
		copy(p[destinationAt:], to)
		return p
	}
	for _, c := range []struct {
		name   string
		packet []byte
		want   int
	}{
		{"the first", packet(4, 10, 77, 0, 1), 0},
		{"the last", packet(4, 10, 77, 0, 3), 2},
		{"nobody", packet(4, 10, 77, 0, 4), -1},
		{"the network", packet(4, 10, 77, 0, 0), -1},
		{"everybody", packet(4, 10, 77, 0, 255), -1},
		{"another network", packet(4, 10, 78, 0, 1), -1},
		{"IPv6", packet(6, 10, 77, 0, 1), -1},
		{"half a header", packet(4, 10, 77, 0, 1)[:headerSize-1], -1},
		{"nothing", nil, -1},
	} {
		got, ok := destination(c.packet, 3)
		if !ok {
			got = -1
		}
		if got != c.want {
			t.Errorf("%s: host %d, want %d", c.name, got, c.want)
		}
	}
}
