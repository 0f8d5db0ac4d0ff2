package replica

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// The window of ReadP99 is readSlices slices of readSlice each; the oldest is
// used anew.
const (
	readSlice  = 400 * time.Millisecond
	readSlices = 5

	readUnit    = 128 // nanoseconds; less is not told apart
	readBuckets = 4 * 28
)

// readTimes is a histogram of the recent reads' times: four buckets to a
// doubling, so a percentile is at most a quarter too high.
type readTimes struct {
	slices [readSlices]struct {
		number atomic.Int64 // of the slice since New, from 1 on
		counts [readBuckets]atomic.Uint32
	}
}

func readBucket(d time.Duration) int {
	n := uint64(max(d, 0))/readUnit + 4
	octave := bits.Len64(n) - 3
	return min(4*octave+int(n>>octave)-4, readBuckets-1)
}

// readBound is the time that a bucket's are less than.
func readBound(bucket int) time.Duration {
	return time.Duration(((4+uint64(bucket)%4+1)<<(bucket/4) - 4) * readUnit)
}

// add counts a read that ended at the uptime now. Reads that meet the change of
// a slice may go uncounted.
func (t *readTimes) add(now, d time.Duration) {
	number := int64(now/readSlice) + 1
	s := &t.slices[number%readSlices]
	if old := s.number.Load(); old != number && s.number.CompareAndSwap(old, number) {
		for i := range s.counts {
			s.counts[i].Store(0)
		}
	}
	s.counts[readBucket(d)].Add(1)
}

// p99 returns the time that 99 of 100 reads were not longer than, 0 if there
// was none in the window that ends at the uptime now.
func (t *readTimes) p99(now time.Duration) time.Duration {
	var counts [readBuckets]uint64
	var total uint64
	oldest := int64(now/readSlice) + 1 - readSlices
	for i := range t.slices {
		s := &t.slices[i]
		if s.number.Load() <= oldest {
			continue
		}
		for b := range counts {
			n := uint64(s.counts[b].Load())
			counts[b] += n
			total += n
		}
	}
	var longer uint64 // reads in this bucket and above
	for b := readBuckets - 1; b >= 0; b-- {
		if longer += counts[b]; longer*100 > total {
			return readBound(b)
		}
	}
	return 0
}

// ReadP99 returns the 99th percentile of the times that reading a cell from the
// store has taken in the last two seconds or so, 0 if none was read: a measure
// of what is left of the disk for work in the background. It forgets that soon
// for the work to be given more again when it may be. Scans do not count.
func (r *Replica) ReadP99() time.Duration { return r.reads.p99(r.Uptime()) }
