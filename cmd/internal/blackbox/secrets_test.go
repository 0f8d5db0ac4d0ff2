package blackbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPassword: without it nothing is answered, with it the command line works.
func TestPassword(t *testing.T) {
	s := newServer(t, "n1", freePorts(t, 1), "--requirepass", "open sesame")
	s.start()
	eventually(t, "AUTH is demanded", func() error {
		_, err := s.try("GET", "k")
		if err == nil || !strings.HasPrefix(err.Error(), "NOAUTH ") {
			return fmt.Errorf("GET answers %v, want NOAUTH", err)
		}
		return nil
	})
	_, err := s.try("AUTH", "guess")
	wantError(t, err, "WRONGPASS")
	for _, command := range []string{"status", "history"} {
		o := dynaring(t, "cluster", command, "-a", s.addr(), "--pass", "open sesame")
		if o.code != 0 || !strings.Contains(o.stdout, "n1") {
			t.Errorf("cluster %s with the password: %v", command, o)
		}
	}
	if o := dynaring(t, "cluster", "status", "-a", s.addr()); o.code != 1 || !strings.Contains(o.stderr, "NOAUTH") {
		t.Errorf("without the password: %v", o)
	}
}

// TestClusterSecretAndTLS: nodes with a secret and certificates form a
// cluster; who knows no secret is not let in.
func TestClusterSecretAndTLS(t *testing.T) {
	cert, key := certificate(t)
	c := startCluster(t, 3, "--tls-cert", cert, "--tls-key", key, "--tls-ca", cert, "--cluster-secret", "s3cret")
	c.n(1).do("SET", "k", "v")
	if got := c.n(3).do("GET", "k"); got != "v" {
		t.Errorf("GET = %v", got)
	}
	stranger := newServer(t, "n4", freePorts(t, 1), "--join", c.n(1).gossipAddr(), "--cluster-secret", "guess")
	stranger.start()
	for range 20 {
		if _, err := stranger.try("GET", "k"); err == nil {
			t.Fatal("a node with a wrong secret serves")
		}
		time.Sleep(pollEvery) // nothing tells that a stranger has given up
	}
	for _, s := range c.nodes {
		if err := s.sees(3); err != nil {
			t.Errorf("a node with a wrong secret left a mark on %s: %v", s.name, err)
		}
	}
}

// certificate writes one that is its own authority, for this machine.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "dynaring"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("node.pem", "CERTIFICATE", cert), write("node.key", "PRIVATE KEY", pkcs8)
}
