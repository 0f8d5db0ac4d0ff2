package netlab

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// maxTransit bounds the packets on their way to one host: beyond it the newest
// are lost, as in any switch.
const maxTransit = 8192

// packet is on its way.
type packet struct {
	at    time.Duration // when it arrives
	seq   uint64        // of two that arrive together the first comes first
	from  int
	bytes []byte
}

// transit holds the packets on their way to one host.
type transit struct {
	mu      sync.Mutex
	packets packetHeap
	seq     uint64

	wake chan struct{} // holds one when the first packet has changed
}

func newTransit() *transit { return &transit{wake: make(chan struct{}, 1)} }

// add puts a packet on its way. It reports false if there are too many.
func (t *transit) add(p packet) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.packets) >= maxTransit {
		return false
	}
	t.seq++
	p.seq = t.seq
	heap.Push(&t.packets, p)
	if t.packets[0].seq == p.seq {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// next returns a packet that has arrived, or how long to wait for the first.
func (t *transit) next(now time.Duration) (p packet, wait time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.packets) == 0 {
		return p, time.Hour, false
	}
	if wait = t.packets[0].at - now; wait > 0 {
		return p, wait, false
	}
	return heap.Pop(&t.packets).(packet), 0, true
}

// deliver hands over each packet when it arrives, until ctx ends.
func (t *transit) deliver(ctx context.Context, since func() time.Duration, arrive func(packet)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		p, wait, ok := t.next(since())
		if ok {
			arrive(p)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-timer.C:
		}
	}
}

// packetHeap is a heap of packets, the first to arrive on top.
type packetHeap []packet

func (h packetHeap) Len() int      { return len(h) }
func (h packetHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h packetHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h *packetHeap) Push(x any) { *h = append(*h, x.(packet)) }
func (h *packetHeap) Pop() any {
	old := *h
	last := len(old) - 1
	p := old[last]
	old[last] = packet{}
	*h = old[:last]
	return p
}
