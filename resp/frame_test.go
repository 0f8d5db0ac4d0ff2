package resp

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/redcon"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/storage/version"
)

// testMaxValue makes refusals cheap to come by.
const testMaxValue = 100

// reference reads all of a client's bytes at once, in the plainest way: what
// the framer must come to, however the bytes arrive. clean tells whether they
// end with a command.
func reference(b []byte, unauth bool) (reqs []Request, err error, clean bool) {
	for len(b) > 0 {
		var req Request
		var n int
		if b[0] == '*' {
			req, n, err = referenceArray(b, unauth)
		} else {
			req, n, err = referenceInline(b)
		}
		if err != nil || n == 0 {
			return reqs, err, false
		}
		if len(req.Args) > 0 || req.Refused != "" {
			reqs = append(reqs, req)
		}
		b = b[n:]
	}
	return reqs, nil, true
}

// referenceLine returns a header without its end, and its length with it.
func referenceLine(b []byte, text string) (line []byte, n int, err error) {
	at := bytes.IndexByte(b, '\r')
	if at > maxInline || at < 0 && len(b) > maxInline {
		return nil, 0, protocolError(text)
	}
	if at < 0 || at+2 > len(b) {
		return nil, 0, nil
	}
	return b[:at], at + 2, nil
}

func referenceInline(b []byte) (req Request, n int, err error) {
	at := bytes.IndexByte(b, '\n')
	switch {
	case at > maxInline || at < 0 && len(b) > maxInline:
		return req, 0, protocolError("too big inline request")
	case at < 0:
		return req, 0, nil
	}
	args, ok := splitInline(bytes.TrimSuffix(b[:at], []byte("\r")))
	if !ok {
		return req, 0, protocolError("unbalanced quotes in request")
	}
	return Request{Args: args}, at + 1, nil
}

func referenceArray(b []byte, unauth bool) (req Request, n int, err error) {
	line, n, err := referenceLine(b, "too big mbulk count string")
	if err != nil || n == 0 {
		return req, 0, err
	}
	count, ok := version.ParseInteger(line[1:])
	switch {
	case !ok || count > maxArgs:
		return req, 0, protocolError("invalid multibulk length")
	case unauth && count > 10:
		return req, 0, protocolError("unauthenticated multibulk length")
	}
	for range count {
		line, m, err := referenceLine(b[n:], "too big bulk count string")
		if err != nil || m == 0 {
			return req, 0, err
		}
		if len(line) == 0 || line[0] != '$' {
			got := " "
			if len(line) > 0 && line[0] != '\n' {
				got = string(line[:1])
			}
			return req, 0, protocolError("expected '$', got '" + got + "'")
		}
		size, ok := version.ParseInteger(line[1:])
		switch {
		case !ok || size < 0 || size > 512<<20:
			return req, 0, protocolError("invalid bulk length")
		case unauth && size > 16384:
			return req, 0, protocolError("unauthenticated bulk length")
		}
		if size > testMaxValue && req.Refused == "" {
			req.Refused = fmt.Sprintf("ERR argument of %d bytes is larger than the limit of %d bytes (--max-value)", size, testMaxValue)
		}
		n += m
		if n+int(size)+2 > len(b) {
			return req, 0, nil
		}
		req.Args = append(req.Args, b[n:n+int(size)])
		n += int(size) + 2
	}
	if req.Refused != "" {
		req.Args = nil
	}
	return req, n, nil
}

// chunked is a connection that delivers bytes in pieces, and then ends.
type chunked struct {
	net.Conn
	data []byte
	next func(left int) int
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(c.data), max(1, c.next(len(c.data))))
	copy(p, c.data[:n])
	c.data = c.data[n:]
	return n, nil
}

func (c *chunked) Write(p []byte) (int, error)     { return len(p), nil }
func (c *chunked) SetReadDeadline(time.Time) error { return nil }
func (c *chunked) Close() error                    { return nil }

// configured returns a server that has nothing but its settings.
var configured = sync.OnceValue(func() *Server {
	c, err := newConfig(nil)
	if err != nil {
		panic(err)
	}
	return &Server{config: c}
})

// throughRedcon has redcon's own reader read a guard to its end, and returns
// what the guard had for the handler.
func throughRedcon(t interface{ Fatalf(string, ...any) }, data []byte, next func(int) int, unauth bool) (reqs []Request, err error) {
	g := &guard{
		Conn: &chunked{data: data, next: next}, s: configured(), framer: newFramer(testMaxValue),
		session: &Session{client: &client{}, authed: !unauth},
	}
	rd := redcon.NewReader(g)
	for {
		cmd, e := rd.ReadCommand()
		if e == io.EOF {
			return reqs, err
		}
		if e != nil || len(cmd.Args) != 1 || string(cmd.Args[0]) != "batch!" {
			t.Fatalf("redcon read %q, %v", cmd.Args, e)
		}
		if unauth && len(g.batch) > 1 {
			t.Fatalf("%d commands at once before AUTH", len(g.batch))
		}
		reqs = append(reqs, g.batch...)
		err = g.broken
	}
}

func sameRequests(a, b []Request) bool {
	return slices.EqualFunc(a, b, func(x, y Request) bool {
		return x.Refused == y.Refused && slices.EqualFunc(x.Args, y.Args, bytes.Equal)
	})
}

// checkFraming compares the guard with the reference.
func checkFraming(t interface{ Fatalf(string, ...any) }, data []byte, next func(int) int, unauth bool) {
	want, wantErr, _ := reference(data, unauth)
	got, err := throughRedcon(t, data, next, unauth)
	if !sameRequests(want, got) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("%q\nwant %q %v\ngot  %q %v", data, want, wantErr, got, err)
	}
}

// FuzzGuard feeds a client's bytes in pieces.
func FuzzGuard(f *testing.F) {
	for _, in := range []string{
		"PING\r\n", "*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "*1\r\n$9223372036854775807\r\n",
		"*1000000000\r\n", "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$101\r\n" + strings.Repeat("x", 103) + "PING\r\n",
		"$4\r\nPING\r\n", "*2\r\n$200\r\n", "set \"a\\x00b\" 'c\\'d'\r\n\"\r\n", "*0\r\n*-1\r\n\r\n \n*1\r\nx\r\n",
		strings.Repeat("*1\r\n$4\r\nPING\r\n", 400), strings.Repeat("a", 66000), "*1\r\n$" + strings.Repeat("1", 70000),
		"*11\r\n", "*1\r\n$16385\r\n", "\x00*1\n\r\n",
	} {
		f.Add([]byte(in), uint16(7), false)
		f.Add([]byte(in), uint16(0), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, chunk uint16, unauth bool) {
		sizes := uint32(chunk)
		checkFraming(t, data, func(int) int {
			if chunk == 0 {
				return len(data)
			}
			sizes = sizes*1664525 + 1013904223
			return int(sizes >> 16 % 64)
		}, unauth)
	})
}

// drawStream draws what a client may send, sound or nearly so.
func drawStream(t *rapid.T) []byte {
	arg := rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 0, 20),
		rapid.SliceOfN(rapid.SampledFrom([]byte("ab \r\n\"'\\$*")), 0, 2*testMaxValue),
	)
	command := rapid.Custom(func(t *rapid.T) []byte {
		args := rapid.SliceOfN(arg, 0, 12).Draw(t, "args")
		b := fmt.Appendf(nil, "*%d\r\n", len(args))
		for _, a := range args {
			b = append(fmt.Appendf(b, "$%d\r\n", len(a)), a...)
			b = append(b, "\r\n"...)
		}
		return b
	})
	inline := rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]byte("ab \t\"'\\x4")), 0, 30), func(b []byte) []byte {
		return append(b, "\r\n"...)
	})
	odd := rapid.Map(rapid.SampledFrom([]string{"*x\r\n", "*1\r\n$-1\r\n", "*1\r\n!\r\n", "*2\r\n$1\r\n"}), func(s string) []byte { return []byte(s) })
	parts := rapid.SliceOfN(rapid.OneOf(command, command, command, inline, odd), 0, 30).Draw(t, "stream")
	return bytes.Join(parts, nil)
}

// However a client's bytes are cut into pieces, the commands are the same, and
// they are those that the reference reads.
func TestChunkingDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := drawStream(t)
		unauth := rapid.Bool().Draw(t, "unauth")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 200), 1, 50).Draw(t, "pieces")
		i := 0
		checkFraming(t, data, func(int) int { i++; return sizes[i%len(sizes)] }, unauth)
		checkFraming(t, data, func(left int) int { return left }, unauth)
		checkFraming(t, data, func(int) int { return 1 }, unauth)
	})
}

// A batch's memory is its own: what is read later does not change it.
func TestBatchesAreKept(t *testing.T) {
	var in []byte
	for i := range 5000 {
		in = fmt.Appendf(in, "*2\r\n$4\r\nECHO\r\n$6\r\n%06d\r\n", i)
	}
	sizes := []int{1, 100, 5000, 70000, 3}
	i := 0
	reqs, err := throughRedcon(t, in, func(int) int { i++; return sizes[i%len(sizes)] }, false)
	if err != nil || len(reqs) != 5000 {
		t.Fatalf("%d commands, %v", len(reqs), err)
	}
	for i, r := range reqs {
		if want := fmt.Sprintf("%06d", i); string(r.Args[1]) != want {
			t.Fatalf("command %d has %q", i, r.Args[1])
		}
	}
}

// What a client announces takes no memory, only what it sends; and what is
// beyond the limits is thrown away as it comes.
func TestMemoryIsBounded(t *testing.T) {
	feed := func(f *framer, s string) error {
		for len(s) > 0 {
			n := copy(f.space(), s)
			f.wrote(n)
			s = s[n:]
			if _, err := f.take(maxBatch, false); err != nil {
				return err
			}
		}
		return nil
	}
	for _, c := range []struct {
		name, in string
		most     int
	}{
		{"announced", "*1048576\r\n$64000000\r\n", readBufferMin},
		{"one big", "*1\r\n$1000000\r\n" + strings.Repeat("x", 900_000), 1 << 20},
		{"refused", "*2\r\n$64000001\r\n" + strings.Repeat("x", 10<<20), readBufferMax},
		{"line", strings.Repeat("x", 65_000), 2 * readBufferMax},
		{"small ones", strings.Repeat("*1\r\n$4\r\nPING\r\n", 100_000), readBufferMax},
		{"big, then nothing", "*1\r\n$1000000\r\n" + strings.Repeat("x", 1_000_000) + "\r\n*1", readBufferMax},
	} {
		f := newFramer(64_000_000)
		if err := feed(&f, c.in); err != nil || len(f.buf) > c.most {
			t.Errorf("%s: a buffer of %d bytes, want at most %d (%v)", c.name, len(f.buf), c.most, err)
		}
	}
}

// A command that is too large as a whole is refused, though no argument is.
func TestWholeCommandLimit(t *testing.T) {
	f := newFramer(maxBulk)
	f.start, f.pos, f.left = 0, maxCommand, 2 // as if that much had been read
	f.admit(maxBulk)
	if f.refused == "" || f.skip != maxBulk+2 || f.bulk >= 0 {
		t.Fatalf("not refused: %+v", f.refused)
	}
}
