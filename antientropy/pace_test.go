package antientropy

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// What is granted over any time is what the rate allows, one piece and the
// burst aside, and never nothing.
func TestBudgetGrantsItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := budget{rate: startRate}
		most, least := 0.0, 0.0
		var now time.Duration
		granted, largest := 0, 0
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			piece := rapid.IntRange(0, 4<<20).Draw(t, "bytes")
			largest = max(largest, piece)
			for d := b.take(now, piece); d > 0; d = b.take(now, piece) {
				if d > decideEvery {
					t.Fatalf("asked to wait %v", d)
				}
				now += d
				most += ceilingRate * d.Seconds()
				least += floorRate * d.Seconds()
			}
			granted += piece
			if rapid.Bool().Draw(t, "decide") {
				b.decide(now, rapid.Bool().Draw(t, "busy"))
			}
			if b.rate < floorRate || b.rate > ceilingRate {
				t.Fatalf("rate %v", b.rate)
			}
		}
		if g := float64(granted); g > most+ceilingRate*burst.Seconds()+float64(largest) || g < least-ceilingRate*0.001*200-float64(largest) {
			t.Fatalf("granted %d bytes in %v", granted, now)
		}
	})
}

// Slow reads halve what background work gets until it is at its least; quick
// ones give it back step by step.
func TestPacerFollowsReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p99, probe atomic.Int64
		p := NewPacer(PacerOptions{
			P99:   func() time.Duration { return time.Duration(p99.Load()) },
			Probe: func(ctx context.Context) error { return sleep(ctx, time.Duration(probe.Load())) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()

		time.Sleep(time.Minute + decideEvery/2) // between two looks
		if p.Granted() != 1 {
			t.Errorf("an idle node grants %v", p.Granted())
		}
		p99.Store(int64(11 * time.Millisecond))
		time.Sleep(decideEvery)
		if g := p.Granted(); g != 0.5 {
			t.Errorf("one slow look grants %v", g)
		}
		time.Sleep(time.Minute)
		if g := p.Granted(); g != float64(floorRate)/ceilingRate {
			t.Errorf("a busy node grants %v", g)
		}
		p99.Store(int64(time.Millisecond))
		probe.Store(int64(time.Second)) // not asked where there are reads
		time.Sleep(2 * decideEvery)
		if g := p.Granted(); g != float64(floorRate+2*stepRate)/ceilingRate {
			t.Errorf("two quick looks grant %v", g)
		}
		p99.Store(0)
		time.Sleep(time.Minute)
		if g := p.Granted(); g != 1 {
			t.Errorf("a node without any work grants %v", g)
		}
		for range 200 { // work in the background alone
			if err := p.Wait(ctx, 1); err != nil {
				t.Fatal(err)
			}
			time.Sleep(decideEvery / 2)
		}
		if g := p.Granted(); g != float64(floorRate)/ceilingRate {
			t.Errorf("a node whose own reads are slow grants %v", g)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestPacerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPacer(PacerOptions{})
		began := time.Now()
		for range 8 {
			if err := p.Wait(t.Context(), startRate); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(began); d < 6900*time.Millisecond || d > 7500*time.Millisecond {
			t.Errorf("8 seconds' worth was granted within %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := p.Wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an overdrawn budget answers %v", err)
		}
		free := NewPacer(PacerOptions{Unlimited: true})
		began = time.Now()
		for range 100 {
			if err := free.Wait(t.Context(), 1<<30); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(began) != 0 || free.Granted() != 1 {
			t.Error("a pacer without limits waits")
		}
	})
}
