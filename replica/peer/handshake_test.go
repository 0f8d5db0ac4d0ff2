package peer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func drawHello(t *rapid.T) hello {
	h := hello{
		class:  Class(rapid.IntRange(0, classes-1).Draw(t, "class")),
		secret: rapid.Bool().Draw(t, "secret"),
		self: Identity{
			Cluster: rapid.Uint64().Draw(t, "cluster"),
			Name:    rapid.StringN(1, -1, maxName).Draw(t, "name"),
			Actor:   rapid.Uint64().Draw(t, "actor"),
		},
		whom: rapid.StringN(0, -1, maxName).Draw(t, "whom"),
	}
	copy(h.nonce[:], rapid.SliceOfN(rapid.Byte(), nonceLen, nonceLen).Draw(t, "nonce"))
	return h
}

func TestHelloRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawHello(t)
		_, body, err := readMessage(bytes.NewReader(want.encode()), msgHello)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeHello(body); err != nil || got != want {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
		if cut := rapid.IntRange(0, len(body)-1).Draw(t, "cut"); cut < len(body) {
			if _, err := decodeHello(body[:cut]); err == nil {
				t.Fatalf("%d of %d bytes were enough", cut, len(body))
			}
		}
	})
}

// tap is a connection that keeps what is written to it.
type tap struct {
	net.Conn
	mu      sync.Mutex
	written []byte
}

func (c *tap) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.written = append(c.written, b...)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// introduce runs both ends of a handshake over a pipe, and closes each end's
// connection as it is done, as its owner would on an error.
func introduce(dialler, acceptor Options, whom string) (wire []byte, dialErr, acceptErr error) {
	a, b := net.Pipe()
	ta, tb := &tap{Conn: a}, &tap{Conn: b}
	dialler, acceptor = dialler.withDefaults(), acceptor.withDefaults()
	var wg sync.WaitGroup
	wg.Go(func() {
		acceptErr = within(context.Background(), tb, func() error {
			_, _, err := answer(tb, &acceptor)
			return err
		})
		if acceptErr != nil {
			b.Close()
		}
	})
	dialErr = within(context.Background(), ta, func() error {
		who, err := greet(ta, &dialler, whom, Bulk)
		if err == nil && who != acceptor.Self {
			return errors.New("greeted somebody else")
		}
		return err
	})
	if dialErr != nil {
		a.Close()
	}
	wg.Wait()
	a.Close()
	b.Close()
	return append(ta.written, tb.written...), dialErr, acceptErr
}

func TestHandshake(t *testing.T) {
	self := func(cluster uint64, name string) Identity {
		return Identity{Cluster: cluster, Name: name, Actor: uint64(len(name))}
	}
	a := Options{Self: self(1, "a")}
	b := Options{Self: self(1, "b")}
	with := func(o Options, secret string) Options { o.Secret = []byte(secret); return o }
	for _, c := range []struct {
		name         string
		a, b         Options
		whom         string
		dial, accept error
	}{
		{"no secret", a, b, "b", nil, nil},
		{"same secret", with(a, "s3cret-s3cret"), with(b, "s3cret-s3cret"), "b", nil, nil},
		{"wrong cluster", a, Options{Self: self(2, "b")}, "b", ErrWrongCluster, ErrWrongCluster},
		{"wrong name", a, b, "c", ErrWrongName, ErrWrongName},
		{"own name", a, a, "a", ErrWrongName, ErrWrongName},
		{"wrong secret", with(a, "s3cret-s3cret"), with(b, "s3cret-secret"), "b", ErrWrongSecret, ErrWrongSecret},
		{"only the dialler has one", with(a, "s3cret-s3cret"), b, "b", ErrWrongSecret, ErrWrongSecret},
		{"only the acceptor has one", a, with(b, "s3cret-s3cret"), "b", ErrWrongSecret, ErrWrongSecret},
	} {
		t.Run(c.name, func(t *testing.T) {
			wire, dial, accept := introduce(c.a, c.b, c.whom)
			for _, e := range []struct {
				end       string
				got, want error
			}{{"dialler", dial, c.dial}, {"acceptor", accept, c.accept}} {
				if !errors.Is(e.got, e.want) || (e.want == nil) != (e.got == nil) {
					t.Errorf("%s: %v, want %v", e.end, e.got, e.want)
				}
				var typed *HandshakeError
				if e.got != nil && !errors.As(e.got, &typed) {
					t.Errorf("%s: %T", e.end, e.got)
				}
			}
			for _, secret := range [][]byte{c.a.Secret, c.b.Secret} {
				if len(secret) > 0 && bytes.Contains(wire, secret) {
					t.Error("the secret was sent")
				}
			}
		})
	}
}

func TestHandshakeWithAnotherVersion(t *testing.T) {
	o := Options{Self: Identity{Name: "a"}}.withDefaults()
	a, b := net.Pipe()
	defer a.Close()
	go func() {
		h := hello{self: Identity{Name: "b"}, whom: "a"}
		m := h.encode()
		m[4] = protocolVersion + 1
		b.Write(m)
		io.Copy(io.Discard, b)
	}()
	_, _, err := answer(a, &o)
	if !errors.Is(err, ErrWrongVersion) {
		t.Errorf("acceptor: %v", err)
	}
	// What the acceptor answers says its own version in its head.
	_, _, err = readMessage(bytes.NewReader([]byte("DYNp\x02\x03\x00\x00")), msgHello)
	if !errors.Is(err, ErrWrongVersion) {
		t.Errorf("dialler: %v", err)
	}
}

// Neither end's proof passes for the other's, nor one handshake's in another.
func TestProofsAreBound(t *testing.T) {
	secret := []byte("secret")
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawHello(t), drawHello(t)
		a, b := x.encode(), y.encode()
		proof := prove(secret, labelDialler, a, b)
		if bytes.Equal(proof, prove(secret, labelAcceptor, a, b)) {
			t.Fatal("one proof for both ends")
		}
		for _, m := range []*[]byte{&a, &b} {
			bit := rapid.IntRange(0, 8*len(*m)-1).Draw(t, "bit")
			(*m)[bit/8] ^= 1 << (bit % 8)
			if bytes.Equal(proof, prove(secret, labelDialler, a, b)) {
				t.Fatal("the proof does not cover the transcript")
			}
			(*m)[bit/8] ^= 1 << (bit % 8)
		}
	})
}

// Reflecting a dialler's messages back to it gets nobody in.
func TestReflectionIsRefused(t *testing.T) {
	o := Options{Self: Identity{Name: "a"}, Secret: []byte("secret")}.withDefaults()
	a, b := net.Pipe()
	go func() {
		io.Copy(b, b)
		b.Close()
	}()
	defer a.Close()
	if _, err := greet(&buffered{Conn: a}, &o, "a", Foreground); err == nil {
		t.Fatal("the reflection was greeted")
	}
}

// buffered lets writes through without waiting for a reader.
type buffered struct{ net.Conn }

func (c *buffered) Write(b []byte) (int, error) {
	go c.Conn.Write(bytes.Clone(b))
	return len(b), nil
}

// Who says nothing, or never ends, is cut off.
func TestHandshakeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Self: Identity{Name: "a"}}.withDefaults()
		a, b := net.Pipe()
		defer b.Close()
		began := time.Now()
		err := within(t.Context(), a, func() error {
			_, _, err := answer(a, &o)
			return err
		})
		a.Close()
		if took := time.Since(began); err == nil || took != connectTimeout {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestRefusalTextIsHarmless(t *testing.T) {
	e := decodeRefusal(append([]byte{2}, "evil\x1b[2J\r\nline"...))
	if !errors.Is(e, ErrWrongCluster) || !e.Remote || strings.ContainsAny(e.Error(), "\x1b\r\n") {
		t.Errorf("%q", e.Error())
	}
}

// stream is a connection whose other end says what it says, and listens.
type stream struct {
	net.Conn
	io.Reader
}

func (s stream) Read(b []byte) (int, error)  { return s.Reader.Read(b) }
func (s stream) Write(b []byte) (int, error) { return len(b), nil }

// FuzzHandshake feeds bytes to both ends: neither panics, and without the
// secret nobody gets in.
func FuzzHandshake(f *testing.F) {
	good := hello{secret: true, self: Identity{Cluster: 1, Name: "b"}, whom: "a"}
	plain := hello{self: Identity{Cluster: 1, Name: "b"}, whom: "a"}
	f.Add(good.encode())
	f.Add(append(good.encode(), message(msgProof, make([]byte, proofLen))...))
	f.Add(append(plain.encode(), message(msgProof, nil)...))
	f.Add(refusal(&HandshakeError{Reason: ErrWrongName, Detail: "no"}))
	f.Add([]byte("DYNp\x02\x01\xff\xff"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	o := Options{Self: Identity{Cluster: 1, Name: "a"}, Secret: []byte("secret")}.withDefaults()
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := answer(stream{Reader: bytes.NewReader(b)}, &o); err == nil {
			t.Error("the acceptor let somebody in")
		}
		if _, err := greet(stream{Reader: bytes.NewReader(b)}, &o, "b", Foreground); err == nil {
			t.Error("the dialler let somebody in")
		}
		if h, err := decodeHello(b); err == nil && !bytes.Equal(h.encode()[headLen:], b) {
			t.Errorf("decoded %x as %+v", b, h)
		}
	})
}
