package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// splitAddr reads host:port as the flag was given; the port may be 0.
func splitAddr(flag, addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("--%s %q: write it as host:port", flag, addr)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("--%s %q: %q is no port number", flag, addr, text)
	}
	return host, port, nil
}

// listener is one address that the node listens on.
type listener struct{ flag, addr string }

func (c Config) listeners() []listener {
	ls := []listener{
		{"addr", c.Addr},
		{"cluster-addr", c.ClusterAddr},
		{"peer-addr", c.PeerAddr},
		{"gossip-addr", c.GossipAddr},
	}
	if c.HTTPAddr != HTTPOff {
		ls = append(ls, listener{"http-addr", c.HTTPAddr})
	}
	return ls
}

func (c Config) validateAddresses() error {
	var errs []error
	taken := map[int]listener{}
	for _, l := range c.listeners() {
		_, port, err := splitAddr(l.flag, l.addr)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if other, ok := taken[port]; ok && port != 0 && mayCollide(other.addr, l.addr) {
			errs = append(errs, fmt.Errorf("--%s %s and --%s %s collide: give them different ports", other.flag, other.addr, l.flag, l.addr))
		}
		taken[port] = l
	}
	for _, seed := range c.Join {
		if _, port, err := splitAddr("join", seed); err != nil {
			errs = append(errs, err)
		} else if port == 0 {
			errs = append(errs, fmt.Errorf("--join %q: name the gossip port of a member (its RESP port + %d)", seed, gossipPortOffset))
		}
	}
	if host, _, _ := net.SplitHostPort(c.Addr); wildcard(c.AdvertiseHost) && !wildcard(host) {
		errs = append(errs, fmt.Errorf("--advertise-host %s is no place where others could find this node: name one of its addresses", c.AdvertiseHost))
	} else if wildcard(c.AdvertiseHost) {
		errs = append(errs, fmt.Errorf("--addr %s listens on every interface, so the other nodes cannot be told where this one is: set --advertise-host", c.Addr))
	}
	if strings.ContainsAny(c.AdvertiseHost, " ,/") {
		errs = append(errs, fmt.Errorf("--advertise-host %q: name one host, without a port", c.AdvertiseHost))
	}
	return errors.Join(errs...)
}

// mayCollide reports whether two addresses of one port may be one socket.
func mayCollide(a, b string) bool {
	hostA, _, _ := net.SplitHostPort(a)
	hostB, _, _ := net.SplitHostPort(b)
	return hostA == hostB || wildcard(hostA) || wildcard(hostB)
}

func wildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// loopback reports whether only this machine can reach the address. A host
// name other than localhost counts as reachable from outside.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c Config) validateSecurity() error {
	var errs []error
	if c.ClusterSecret == "" {
		for _, l := range []listener{{"peer-addr", c.PeerAddr}, {"gossip-addr", c.GossipAddr}} {
			if !loopback(l.addr) {
				errs = append(errs, fmt.Errorf("--%s %s can be reached from other machines, where anybody could join the cluster: set the same --cluster-secret on every node", l.flag, l.addr))
			}
		}
	}
	_, err := c.PeerTLS()
	return errors.Join(append(errs, err)...)
}

// PeerTLS returns the TLS settings of the peer protocol, for listening and for
// dialling: both sides show a certificate of the same authority. It is nil
// where no TLS is asked for.
func (c Config) PeerTLS() (*tls.Config, error) {
	if c.TLSCert == "" && c.TLSKey == "" && c.TLSCA == "" {
		return nil, nil
	}
	if c.TLSCert == "" || c.TLSKey == "" || c.TLSCA == "" {
		return nil, errors.New("--tls-cert, --tls-key and --tls-ca belong together: set all three or none")
	}
	cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert %s with --tls-key %s: %w", c.TLSCert, c.TLSKey, err)
	}
	pem, err := os.ReadFile(c.TLSCA)
	if err != nil {
		return nil, fmt.Errorf("--tls-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--tls-ca %s holds no PEM certificate", c.TLSCA)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		RootCAs:      pool,
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS13,
	}, nil
}
