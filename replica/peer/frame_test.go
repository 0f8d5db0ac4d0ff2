package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage/version"
)

func drawFrame(t *rapid.T) frame {
	return frame{
		typ:   rapid.Uint8Range(1, frameTypes-1).Draw(t, "type"),
		kind:  rapid.Uint8().Draw(t, "kind"),
		clock: version.Timestamp(rapid.Uint64Range(0, uint64(maxClock)-1).Draw(t, "clock")),
		id:    rapid.Uint64().Draw(t, "id"),
		body:  rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body"),
	}
}

func (f frame) equal(g frame) bool {
	return f.typ == g.typ && f.kind == g.kind && f.clock == g.clock && f.id == g.id && bytes.Equal(f.body, g.body)
}

// chunked is a connection that yields bytes in pieces of the given sizes, and
// then ends.
type chunked struct {
	net.Conn
	bytes []byte
	sizes []int
}

func (c *chunked) Read(b []byte) (int, error) {
	if len(c.bytes) == 0 {
		return 0, io.EOF
	}
	n := len(c.bytes)
	if len(c.sizes) > 0 {
		n, c.sizes = min(n, c.sizes[0]), c.sizes[1:]
	}
	n = copy(b, c.bytes[:n])
	c.bytes = c.bytes[n:]
	return n, nil
}

// readAll returns the frames that a link reads from a connection.
func readAll(conn net.Conn, maxFrame int) (got []frame, err error) {
	opt := Options{MaxFrame: maxFrame}.withDefaults()
	l := newLink(conn, Identity{}, Foreground, &opt, func() int64 { return 1 })
	l.receive = func(f frame, _ int64) error {
		f.body = bytes.Clone(f.body)
		got = append(got, f)
		return nil
	}
	return got, l.read()
}

// What is appended is read again, in order, however the network cuts it up and
// whether or not it fits into the reader's buffer.
func TestFramesSurviveAnyChunking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(drawFrame), 0, 20).Draw(t, "frames")
		for i := range want {
			if rapid.IntRange(0, 29).Draw(t, "large") == 0 {
				want[i].body = bytes.Repeat([]byte{byte(i)}, rapid.SampledFrom([]int{readBuffer - 30, readBuffer, 3 * readBuffer}).Draw(t, "size"))
			}
		}
		var stream []byte
		for _, f := range want {
			stream = appendFrame(stream, f)
		}
		seal(stream)
		sizes := rapid.SliceOfN(rapid.IntRange(1, 5000), 0, 100).Draw(t, "chunks")
		got, err := readAll(&chunked{bytes: stream, sizes: sizes}, 1<<20)
		if err != io.EOF {
			t.Fatalf("ended with %v", err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d frames of %d", len(got), len(want))
		}
		for i := range want {
			if !got[i].equal(want[i]) {
				t.Fatalf("frame %d: got %+v, want %+v", i, got[i], want[i])
			}
		}
	})
}

// Any bit that is changed behind the length is noticed.
func TestDamageIsNoticed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := appendFrame(nil, drawFrame(t))
		seal(b)
		bit := rapid.IntRange(8*4, 8*len(b)-1).Draw(t, "bit")
		b[bit/8] ^= 1 << (bit % 8)
		_, err := decodeFrame(b)
		var bad *ProtocolError
		if !errors.As(err, &bad) {
			t.Fatalf("bit %d flipped: %v", bit, err)
		}
	})
}

func TestFrameLimits(t *testing.T) {
	b := appendFrame(nil, frame{typ: frameRequest, id: 1, body: make([]byte, 100)})
	if n, err := frameSize(b, 200); n != len(b) || err != nil {
		t.Errorf("size %d, %v", n, err)
	}
	if n, err := frameSize(b[:7], 200); n != 0 || err != nil {
		t.Errorf("half a head: size %d, %v", n, err)
	}
	if _, err := frameSize(b, 100); err == nil {
		t.Error("a frame over the limit was accepted")
	}
	binary.LittleEndian.PutUint32(b, minPayload-1)
	if _, err := frameSize(b, 200); err == nil {
		t.Error("a frame without an id was accepted")
	}
}

// A length that promises much does not make the reader allocate it.
func TestLengthIsNotTrusted(t *testing.T) {
	b := appendFrame(nil, frame{typ: frameRequest, id: 1})
	binary.LittleEndian.PutUint32(b, 1<<30)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := readAll(&chunked{bytes: b}, 1<<30)
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 2*largeStart {
		t.Errorf("allocated %d bytes", spent)
	}
	if len(got) != 0 || err != io.ErrUnexpectedEOF {
		t.Fatalf("%d frames, %v", len(got), err)
	}
}

// The bytes on the wire, so that they do not change unnoticed.
func TestWireForm(t *testing.T) {
	datadriven.RunTest(t, "testdata/wire", func(t *testing.T, d *datadriven.TestData) string {
		num := func(key string) uint64 {
			var s string
			if !d.HasArg(key) {
				return 0
			}
			d.ScanArgs(t, key, &s)
			n, err := strconv.ParseUint(s, 0, 64)
			if err != nil {
				d.Fatalf(t, "%s: %v", key, err)
			}
			return n
		}
		switch d.Cmd {
		case "frame":
			b := appendFrame(nil, frame{
				typ: uint8(num("type")), kind: uint8(num("kind")), id: num("id"),
				clock: version.Timestamp(num("clock")), body: []byte(d.Input),
			})
			seal(b)
			return fmt.Sprintf("%x\n", b)
		case "hello":
			h := hello{class: Class(num("class")), secret: d.HasArg("secret"), self: Identity{Cluster: num("cluster"), Actor: num("actor")}}
			d.ScanArgs(t, "name", &h.self.Name)
			d.ScanArgs(t, "whom", &h.whom)
			for i := range h.nonce {
				h.nonce[i] = byte(i)
			}
			return fmt.Sprintf("%x\n", h.encode())
		case "proof":
			return fmt.Sprintf("%x\n", message(msgProof, prove([]byte("secret"), labelDialler, []byte("dialler"), []byte("acceptor"))))
		case "refusal":
			return fmt.Sprintf("%x\n", refusal(&HandshakeError{Reason: ErrWrongCluster, Detail: d.Input}))
		}
		d.Fatalf(t, "unknown command %q", d.Cmd)
		return ""
	})
}

// FuzzFrames feeds bytes to a reader: it never panics, and what it takes for a
// frame is what a sender would have written for it.
func FuzzFrames(f *testing.F) {
	var run []byte
	for i, body := range []string{"", "body", "\x00\xff"} {
		b := appendFrame(nil, frame{typ: uint8(1 + i), kind: 7, id: 1 << (20 * i), clock: 1 << 40, body: []byte(body)})
		seal(b)
		f.Add(b)
		run = append(run, b...)
	}
	f.Add(run)
	f.Add(run[:len(run)-1])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Add([]byte{11, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		// Make the checksums right, or nothing would get past them.
		b = bytes.Clone(b)
		for rest := b; ; {
			n, err := frameSize(rest, 1<<12)
			if err != nil || n == 0 || n > len(rest) {
				break
			}
			seal(rest[:n])
			rest = rest[n:]
		}
		got, err := readAll(&chunked{bytes: b}, 1<<12)
		if err == nil {
			t.Fatal("the stream ended without an error")
		}
		var again []byte
		for _, f := range got {
			again = appendFrame(again, f)
		}
		seal(again)
		if !bytes.HasPrefix(b, again) {
			t.Fatalf("read %x as %x", b, again)
		}
	})
}

func TestAverage(t *testing.T) {
	var l latency
	if l.overall().late() != 0 {
		t.Error("late before the first sample")
	}
	for range 100 {
		l.observe(3, int64(time.Millisecond))
		l.observe(4, int64(3*time.Millisecond))
	}
	if m := time.Duration(l.of(3).mean); m != time.Millisecond {
		t.Errorf("kind 3: %v", m)
	}
	if m := time.Duration(l.overall().mean); m < 1500*time.Microsecond || m > 2500*time.Microsecond {
		t.Errorf("overall: %v", m)
	}
	if late := l.overall().late(); late < 3*time.Millisecond || late > 6*time.Millisecond {
		t.Errorf("late after %v", late)
	}
}
