package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// overTCP runs an echoing node b, and a node a that knows it, on loopback.
func overTCP(t testing.TB, with func(a, b *Options)) (a *Peers) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ao, bo := Options{Self: Identity{Name: "a"}}, Options{Self: Identity{Name: "b"}, Listener: ln}
	if with != nil {
		with(&ao, &bo)
	}
	startPeers(t, bo, func(r *Request) { r.Reply(r.Body) })
	a = startPeers(t, ao, nil)
	a.SetPeers(map[string]string{"b": ln.Addr().String()})
	return a
}

// patience is how long a test in real time waits for what must happen: long
// enough for a machine that is busy with other things.
const patience = time.Minute

// eventually waits until cond holds and reports whether it did.
func eventually(cond func() bool) bool {
	for end := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func waitUp(t testing.TB, p *Peers, name string) {
	t.Helper()
	if !eventually(func() bool { return p.Up(name) }) {
		t.Fatalf("not connected: %+v", p.Stats())
	}
}

// certificate makes a key pair that is its own authority.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	mutual := &tls.Config{
		Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert,
	}
	t.Run("mutual", func(t *testing.T) {
		a := overTCP(t, func(a, b *Options) {
			a.TLS, b.TLS = mutual, mutual
			a.Secret, b.Secret = []byte("secret"), []byte("secret")
		})
		waitUp(t, a, "b")
		body := strings.Repeat("x", 2*writeChunk+1)
		for range 3 {
			if o := <-start(t, a, "b", body, int(patience/time.Millisecond)); o.err != nil || o.body != body {
				t.Fatalf("%d bytes, %v", len(o.body), o.err)
			}
		}
	})
	refused := func(name string, with func(a, b *Options)) {
		t.Run(name, func(t *testing.T) {
			a := overTCP(t, with)
			if !eventually(func() bool { return dialledStats(t, a, "b", Foreground).LastError != "" }) {
				t.Fatal("no error")
			}
			if a.Up("b") {
				t.Error("connected")
			}
		})
	}
	other, _ := certificate(t)
	refused("another authority", func(a, b *Options) {
		a.TLS, b.TLS = mutual.Clone(), mutual
		a.TLS.Certificates = []tls.Certificate{other}
	})
	refused("no certificate", func(a, b *Options) { a.TLS, b.TLS = &tls.Config{RootCAs: pool}, mutual })
	refused("plain to TLS", func(a, b *Options) { b.TLS = mutual })
}

// A small call allocates nothing but, now and then, room for requests.
func TestCallsHardlyAllocate(t *testing.T) {
	a := overTCP(t, nil)
	waitUp(t, a, "b")
	got := make(chan error, 1)
	done := func(r Reply) { got <- r.Err }
	body := make([]byte, 100)
	allocs := testing.AllocsPerRun(2000, func() {
		a.Call("b", Foreground, 1, body, time.Now().Add(patience), done)
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
	if allocs > 0 { // of both ends, rounded down
		t.Errorf("%v allocations a call", allocs)
	}
	if !eventually(func() bool { return !a.sweeping.Load() }) {
		t.Fatal("the sweeper ticks although nothing is in flight")
	}
}
