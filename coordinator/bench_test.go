package coordinator

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage"
)

// agreeable are peers that hold what this node holds and answer at once: what
// is measured is the coordinator and the local replica.
type agreeable struct{ same []byte }

func (agreeable) Up(string) bool { return true }
func (a agreeable) Call(_ string, _ peer.Class, kind uint8, _ []byte, _ time.Time, done func(peer.Reply)) {
	if kind == replica.KindRead {
		done(peer.Reply{Body: a.same})
		return
	}
	done(peer.Reply{})
}

// benchBatch is what one pipeline brings.
const benchBatch = 16

func benchNode(b *testing.B, members ...string) *Coordinator {
	store, err := storage.Open(storage.Options{Dir: "data", FS: vfs.NewMem(), Durability: storage.Interval})
	if err != nil {
		b.Fatal(err)
	}
	rep := replica.New(replica.Options{Store: store})
	same := replica.AppendAnswers(nil, make([]replica.Answer, benchBatch))
	n := &node{view: View{Ring: settledRing(b, 3, members...)}}
	n.Coordinator = New(Options{Self: "n1"}, rep, agreeable{same}, n)
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = rep.Run(ctx) })
	done.Go(func() { _ = n.Run(ctx) })
	b.Cleanup(func() {
		stop()
		done.Wait()
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	return n.Coordinator
}

func BenchmarkRead(b *testing.B) {
	c := benchNode(b, "n1", "n2", "n3")
	writes := make([]Write, benchBatch)
	for i := range writes {
		writes[i] = put(fmt.Sprint("key", i), "value")
	}
	c.Write(context.Background(), writes)
	for _, r := range []int{1, 2} {
		b.Run(fmt.Sprint("R=", r), func(b *testing.B) {
			reads := make([]Read, benchBatch)
			for i := range reads {
				reads[i] = Read{Key: key(fmt.Sprint("key", i)), R: r}
			}
			b.ReportAllocs()
			for b.Loop() {
				c.Read(context.Background(), reads)
			}
			for i := range reads {
				if reads[i].Err != nil || reads[i].Cell == nil {
					b.Fatal(reads[i].Err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchBatch, "ns/key")
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, members := range [][]string{{"n1", "n2", "n3"}, {"n1", "n2", "n3", "n4", "n5"}} {
		b.Run(fmt.Sprint("nodes=", len(members)), func(b *testing.B) { benchWrite(b, benchNode(b, members...)) })
	}
}

func benchWrite(b *testing.B, c *Coordinator) {
	var names []string // of keys that the node owns
	for i := 0; len(names) < benchBatch; i++ {
		name := fmt.Sprint("key", i)
		if slices.Contains(c.views.View().Ring.Lookup(key(name).Slot).Owners, c.opts.Self) {
			names = append(names, name)
		}
	}
	writes := make([]Write, benchBatch)
	b.ReportAllocs()
	for b.Loop() {
		for i := range writes {
			writes[i] = put(names[i], "value")
		}
		c.Write(context.Background(), writes)
	}
	for i := range writes {
		if writes[i].Err != nil {
			b.Fatal(writes[i].Err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchBatch, "ns/key")
}
