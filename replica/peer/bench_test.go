package peer

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// BenchmarkCall measures echoed calls over loopback, by callers that each wait
// for their reply before they call again: 64 bytes there and back.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 50, 500} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			benchmarkCalls(b, callers, make([]byte, 64))
		})
	}
}

// BenchmarkCallLarge measures the same with a megabyte each way.
func BenchmarkCallLarge(b *testing.B) {
	benchmarkCalls(b, 4, make([]byte, 1<<20))
}

func benchmarkCalls(b *testing.B, callers int, body []byte) {
	client := overTCP(b, nil)
	waitUp(b, client, "b")

	// One round of b.Loop is perCaller calls by each caller, one after another.
	const perCaller = 100
	b.SetBytes(int64(2 * len(body) * callers * perCaller))
	b.ReportAllocs()
	rounds := 0
	for b.Loop() {
		rounds++
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				got := make(chan error, 1)
				done := func(r Reply) { got <- r.Err }
				for range perCaller {
					client.Call("b", Foreground, 1, body, time.Now().Add(10*time.Second), done)
					if err := <-got; err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(rounds*callers*perCaller)/b.Elapsed().Seconds(), "calls/s")
	for _, s := range client.Stats() {
		if s.Class == Foreground {
			b.ReportMetric(float64(s.FramesOut)/float64(s.Writes), "frames/write")
		}
	}
}
