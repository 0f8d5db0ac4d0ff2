package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
)

// Meta is what a node says about itself. Addresses are host:port, or empty.
type Meta struct {
	Name        string
	Actor       uint64
	Cluster     uint64 // 0 while it is joining; set by this package
	Addr        string // RESP, plain view
	ClusterAddr string // RESP, cluster view
	PeerAddr    string // internal protocol
	GossipAddr  string // memberlist; set by this package if empty or port 0
	HTTPAddr    string // metrics and console
	Version     string // of the program
}

// MaxMeta is the longest encoding that memberlist carries.
const MaxMeta = 512

// ErrBadMeta: bytes that are not a Meta's encoding.
var ErrBadMeta = errors.New("bad node metadata")

// A Meta's encoding. s is a uvarint length and that many bytes.
//
//	[format 1][actor 8B LE][cluster 8B LE][s name][s version]
//	[u hosts][s host]…  [address]×5
//	address  [0]                       none
//	         [1][s text]               not host:port
//	         [2+i][port 2B BE]         the i-th host
//
// Bytes after these fields are a later format's and are skipped.
const metaFormat = 1

const (
	addrNone = iota
	addrText
	addrHost
)

func (m *Meta) addrs() [5]*string {
	return [5]*string{&m.Addr, &m.ClusterAddr, &m.PeerAddr, &m.GossipAddr, &m.HTTPAddr}
}

// Encode returns the metadata's encoding; an error says that it is too long.
func (m Meta) Encode() ([]byte, error) {
	dst := []byte{metaFormat}
	dst = binary.LittleEndian.AppendUint64(dst, m.Actor)
	dst = binary.LittleEndian.AppendUint64(dst, m.Cluster)
	dst = appendString(dst, m.Name)
	dst = appendString(dst, m.Version)
	var hosts []string
	var tail []byte
	for _, a := range m.addrs() {
		host, port, ok := splitAddr(*a)
		switch {
		case *a == "":
			tail = append(tail, addrNone)
		case !ok:
			tail = appendString(append(tail, addrText), *a)
		default:
			i := slices.Index(hosts, host)
			if i < 0 {
				i, hosts = len(hosts), append(hosts, host)
			}
			tail = binary.BigEndian.AppendUint16(append(tail, addrHost+byte(i)), port)
		}
	}
	dst = append(dst, byte(len(hosts)))
	for _, h := range hosts {
		dst = appendString(dst, h)
	}
	dst = append(dst, tail...)
	if len(dst) > MaxMeta {
		return nil, fmt.Errorf("%w: name and addresses take %d bytes, at most %d can be sent: use shorter host names", ErrBadMeta, len(dst), MaxMeta)
	}
	return dst, nil
}

// splitAddr takes host:port apart; ok is false unless joining them again gives
// the same text.
func splitAddr(a string) (host string, port uint16, ok bool) {
	host, p, err := net.SplitHostPort(a)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil || joinAddr(host, uint16(n)) != a {
		return "", 0, false
	}
	return host, uint16(n), true
}

func joinAddr(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// DecodeMeta reads what Encode gave. Its errors wrap [ErrBadMeta].
func DecodeMeta(b []byte) (Meta, error) {
	var m Meta
	if len(b) > MaxMeta {
		return m, fmt.Errorf("%w: %d bytes", ErrBadMeta, len(b))
	}
	d := decoder{b: b}
	if format := d.byte(); format != metaFormat {
		return m, fmt.Errorf("%w: format %d is not known, this program reads %d", ErrBadMeta, format, metaFormat)
	}
	m.Actor, m.Cluster = d.uint64(), d.uint64()
	m.Name, m.Version = d.string(), d.string()
	hosts := make([]string, min(int(d.byte()), len(m.addrs())))
	for i := range hosts {
		hosts[i] = d.string()
	}
	for _, a := range m.addrs() {
		switch kind := d.byte(); kind {
		case addrNone:
		case addrText:
			*a = d.string()
		default:
			port := d.bytes(2)
			if i := int(kind - addrHost); i < len(hosts) && port != nil {
				*a = joinAddr(hosts[i], binary.BigEndian.Uint16(port))
			} else {
				d.bad = true
			}
		}
	}
	if d.bad {
		return Meta{}, fmt.Errorf("%w: damaged", ErrBadMeta)
	}
	return m, nil
}

// decoder reads from b; bad is set, and stays set, once it cannot.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) bytes(n int) []byte {
	if d.bad || n < 0 || n > len(d.b) {
		d.bad = true
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) uvarint() int {
	v, n := binary.Uvarint(d.b)
	if d.bad || n <= 0 || v > uint64(len(d.b)) {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return int(v)
}

func (d *decoder) string() string { return string(d.bytes(d.uvarint())) }
