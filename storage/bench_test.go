package storage

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// benchRows is how many rows the read benchmarks choose from.
const benchRows = 100_000

// benchRow appends the row of number i, spread over the slots as a hash does.
func benchRow(dst []byte, i uint64) []byte {
	var key [16]byte
	copy(key[:], "key:")
	binary.BigEndian.PutUint64(key[8:], i)
	return AppendRow(dst, uint16(i*0x9e3779b97f4a7c15>>50), key[:], nil)
}

// filled returns a store of benchRows rows of 100 bytes, in tables if flushed.
func filled(b *testing.B, fs vfs.FS, flushed bool) *Store {
	s := opened(b, Options{Dir: b.TempDir(), FS: fs})
	value := bytes.Repeat([]byte("v"), 100)
	for i := uint64(0); i < benchRows; {
		batch := s.NewBatch()
		for range 1000 {
			batch.Set(benchRow(nil, i), value)
			i++
		}
		c, err := s.Apply(batch, false)
		if err != nil || c.Wait() != nil {
			b.Fatal(err)
		}
	}
	if flushed {
		if err := s.db.Flush(); err != nil {
			b.Fatal(err)
		}
		if err := s.db.Compact(b.Context(), []byte{0}, []byte{0xff}, false); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkGet(b *testing.B) {
	for _, c := range []struct {
		name    string
		flushed bool
		from    uint64
	}{{"memtable", false, 0}, {"table", true, 0}, {"absent", true, benchRows}} {
		b.Run(c.name, func(b *testing.B) {
			s := filled(b, vfs.NewMem(), c.flushed)
			b.ReportAllocs()
			var i uint64
			var buf []byte
			for b.Loop() {
				buf = benchRow(buf[:0], c.from+i*7919%benchRows)
				if v, err := s.Get(buf); err != nil || (v == nil) != (c.from > 0) {
					b.Fatal(v, err)
				}
				i++
			}
		})
	}
}

// BenchmarkApply: batches of n rows on a real disk, acknowledged from memory or
// synced; one batch at a time.
func BenchmarkApply(b *testing.B) {
	for _, sync := range []bool{false, true} {
		for _, n := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("sync=%v/rows=%d", sync, n), func(b *testing.B) {
				s := opened(b, Options{Dir: b.TempDir()})
				value := bytes.Repeat([]byte("v"), 100)
				b.ReportAllocs()
				var i uint64
				var buf []byte
				for b.Loop() {
					batch := s.NewBatch()
					for range n {
						buf = benchRow(buf[:0], i%benchRows)
						batch.Set(buf, value)
						i++
					}
					c, err := s.Apply(batch, sync)
					if err == nil {
						err = c.Wait()
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

// BenchmarkApplySyncParallel: many synced batches under way share their syncs.
func BenchmarkApplySyncParallel(b *testing.B) {
	s := opened(b, Options{Dir: b.TempDir()})
	value := bytes.Repeat([]byte("v"), 100)
	var number atomic.Uint64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var buf []byte
		for pb.Next() {
			batch := s.NewBatch()
			for range 16 {
				buf = benchRow(buf[:0], number.Add(1)%benchRows)
				batch.Set(buf, value)
			}
			c, err := s.Apply(batch, true)
			if err == nil {
				err = c.Wait()
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	m := s.Metrics()
	b.ReportMetric(float64(b.N)/float64(m.Syncs), "batches/sync")
	b.ReportMetric(float64(m.SyncTime.Microseconds())/float64(m.Syncs), "µs/sync")
}

func BenchmarkScan(b *testing.B) {
	s := filled(b, vfs.NewMem(), true)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		err := s.Scan(context.Background(), RowSlotStart(nil, 0), RowSlotStart(nil, Slots), 1000, func(_, _ []byte, _ error) (bool, error) {
			n++
			return true, nil
		})
		if err != nil || n != 1000 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkRow(b *testing.B) {
	key := []byte("user:1234567:session")
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf = AppendRow(buf[:0], 77, key, nil)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		r := AppendRow(nil, 77, key, nil)
		for b.Loop() {
			if _, _, _, err := ParseRow(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
