package resp

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Bounds of the count of keys that INFO shows without having been asked for it.
const (
	keyspaceFresh = time.Second            // that a count is good for
	keyspaceShare = 20                     // or so many times as long as it took
	keyspaceTime  = 500 * time.Millisecond // that one may take
)

// keyspaceCount is the last count of the keys of a view.
type keyspaceCount struct {
	mu struct {
		sync.Mutex
		keys     Keys
		until    time.Time // that it is good for
		counting bool
	}
}

// begin returns the last count, and whether the caller has to count anew.
func (c *keyspaceCount) begin(now time.Time) (k Keys, count bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count = !c.mu.counting && !now.Before(c.mu.until)
	c.mu.counting = c.mu.counting || count
	return c.mu.keys, count
}

// end takes a new count, or that there is none, and how long that took.
func (c *keyspaceCount) end(k Keys, err error, now time.Time, took time.Duration) Keys {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.mu.keys = k
	}
	c.mu.counting, c.mu.until = false, now.Add(max(keyspaceFresh, keyspaceShare*took))
	return c.mu.keys
}

// infoKeyspace counts the keys, no more often than is cheap.
func (b *batch) infoKeyspace() []Field { return keyspaceLine(b.lastCount()) }

// infoKeyspaceNow counts them anew.
func (b *batch) infoKeyspaceNow() []Field {
	k, err := b.countKeys(b.ctx)
	if err != nil {
		return nil
	}
	return keyspaceLine(k)
}

// countKeys counts the keys that commands without a key mean.
func (b *batch) countKeys(ctx context.Context) (Keys, error) {
	mine := b.mine()
	if mine != nil && len(mine) == 0 {
		return Keys{}, nil
	}
	return b.s.opts.Cluster.Count(ctx, mine...)
}

func (b *batch) lastCount() Keys {
	c := &b.s.keyspace[b.ss.view]
	k, count := c.begin(b.s.opts.Now())
	if !count {
		return k
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(b.ctx, keyspaceTime)
	defer cancel()
	k, err := b.countKeys(ctx)
	return c.end(k, err, b.s.opts.Now(), time.Since(began))
}

func keyspaceLine(k Keys) []Field {
	if k.Live == 0 {
		return nil
	}
	return []Field{line("db0", fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", k.Live, k.Expiring, k.MeanTTL))}
}
