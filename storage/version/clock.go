package version

import (
	"sync/atomic"
	"time"
)

// Timestamp is a hybrid logical clock reading (Kulkarni et al., 2014): 48 bits
// of Unix milliseconds above 16 bits of logic.
type Timestamp uint64

// logicBits is the width of a Timestamp's logical part.
const logicBits = 16

// TimestampAt returns the first timestamp of the millisecond ms.
func TimestampAt(ms int64) Timestamp { return Timestamp(uint64(ms) << logicBits) }

// Millis returns the timestamp's Unix milliseconds.
func (t Timestamp) Millis() int64 { return int64(t >> logicBits) }

// Clock is a hybrid logical clock: never earlier than the wall clock it is
// given, nor than any timestamp it has seen. It may be used concurrently.
type Clock struct {
	now  func() time.Time
	last atomic.Uint64
}

// NewClock returns a clock over now; nil means time.Now.
func NewClock(now func() time.Time) *Clock {
	if now == nil {
		now = time.Now
	}
	return &Clock{now: now}
}

// Now returns a timestamp later than every one returned or observed before.
func (c *Clock) Now() Timestamp {
	wall := uint64(TimestampAt(c.now().UnixMilli()))
	for {
		last := c.last.Load()
		next := max(wall, last+1)
		if c.last.CompareAndSwap(last, next) {
			return Timestamp(next)
		}
	}
}

// Last returns the latest timestamp given out or observed, without advancing.
func (c *Clock) Last() Timestamp { return Timestamp(c.last.Load()) }

// Observe makes every later Now later than t.
func (c *Clock) Observe(t Timestamp) {
	for {
		last := c.last.Load()
		if uint64(t) <= last || c.last.CompareAndSwap(last, uint64(t)) {
			return
		}
	}
}

// WallMillis returns the wall clock's Unix milliseconds: what expiries are
// compared with.
func (c *Clock) WallMillis() int64 { return c.now().UnixMilli() }
