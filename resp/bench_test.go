package resp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

// nothing is a backend that answers at once: what is measured is this package.
type nothing struct {
	*fakeNode
	cell *version.Cell
}

func (n *nothing) Route(uint16, coordinator.Class) (string, error) { return "", nil }

func (n *nothing) Read(_ context.Context, ops []coordinator.Read) {
	for i := range ops {
		ops[i].Cell = n.cell
	}
}

func (n *nothing) Write(_ context.Context, ops []coordinator.Write) {
	for i := range ops {
		if u := &ops[i].Update; u.Change.Kind == replica.Incr {
			u.Number++
		}
	}
}

func newNothing(b *testing.B) *Server {
	fake := newFake(b, 1, Options{}).nodes[0]
	cell, _, _, err := (*version.Cell)(nil).Put(
		version.Mint{Actor: version.Actor{ID: 1}, Time: 1}, version.Write{Value: []byte("0123456789abcdef")})
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Options{Backend: &nothing{fake, cell}, Cluster: fake})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// pipeline is 16 commands as a client sends them.
func pipeline(format string) []byte {
	var in []byte
	for i := range 16 {
		args := words(fmt.Sprintf(format, i))
		in = fmt.Appendf(in, "*%d\r\n", len(args))
		for _, a := range args {
			in = fmt.Appendf(in, "$%d\r\n%s\r\n", len(a), a)
		}
	}
	return in
}

var benchmarks = []struct{ name, format, reply string }{
	{"GET", "GET key:%012d", "$16\r\n0123456789abcdef\r\n"},
	{"SET", "SET key:%012d 0123456789abcdef", "+OK\r\n"},
	{"INCR", "INCR key:%012d", ":1\r\n"},
}

// BenchmarkBatch is from a client's bytes to the replies' bytes, without the
// socket; an op is 16 commands.
func BenchmarkBatch(b *testing.B) {
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			s, in := newNothing(b), pipeline(bench.format)
			f, ss := newFramer(DefaultMaxValue), s.newSession("", "")
			b.ReportAllocs()
			for b.Loop() {
				f.wrote(copy(f.space(), in))
				reqs, err := f.take(maxBatch, false)
				if len(reqs) != 16 || err != nil {
					b.Fatal(len(reqs), err)
				}
				batch := s.take(context.Background(), ss)
				batch.run(reqs)
				if len(batch.buf) != 16*len(bench.reply) {
					b.Fatalf("%q", batch.buf)
				}
				s.give(batch)
			}
		})
	}
}

// BenchmarkServer is from socket to socket, one client; an op is 16 commands.
func BenchmarkServer(b *testing.B) {
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			ln, err := net.Listen("unix", filepath.Join(b.TempDir(), "s"))
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			s := newNothing(b)
			go func() { ended <- s.Serve(ctx, ln, PlainView) }()
			c, err := net.Dial("unix", ln.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			in, out := pipeline(bench.format), make([]byte, 16*len(bench.reply))
			r := bufio.NewReader(c)
			b.ReportAllocs()
			for b.Loop() {
				c.Write(in)
				if _, err := io.ReadFull(r, out); err != nil {
					b.Fatal(err)
				}
			}
			c.Close()
			stop()
			<-ended
		})
	}
}
