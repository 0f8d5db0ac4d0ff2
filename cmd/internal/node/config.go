package node

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/dynaring/dynaring/antientropy"
	"github.com/dynaring/dynaring/resp"
)

// Offsets of the derived ports from the port of Config.Addr.
const (
	gossipPortOffset  = 1000
	httpPortOffset    = 2000
	clusterPortOffset = 3000
	peerPortOffset    = 10000
)

// HTTPOff as Config.HTTPAddr means that no HTTP is served.
const HTTPOff = "off"

// PlacementEqual is strategy 3 of the paper's section 6.2: partitions of equal
// size, shared out evenly.
const PlacementEqual = "equal"

// Config is everything that `dynaring serve` can be told, one field a flag.
// Start from [DefaultConfig]; [Config.Complete] fills in what is derived.
type Config struct {
	Name string // unique in the cluster; default: the host name

	Addr          string // RESP, plain view: host:port
	ClusterAddr   string // RESP, cluster view; default: Addr's port + 3000
	PeerAddr      string // internal protocol; default: Addr's port + 10000
	GossipAddr    string // memberlist, TCP and UDP; default: Addr's port + 1000
	HTTPAddr      string // metrics and health, or "off"; default: Addr's port + 2000
	AdvertiseHost string // what others are told; default: Addr's host

	Join    []string // gossip addresses of any members; none founds a cluster
	DataDir string   // default: ./dynaring-data/NAME

	N, R, W    int    // owners a key; replicas a read and a write wait for
	Placement  string // how slots are shared out: PlacementEqual
	Partitions int    // equal arcs that the ring is cut into: a power of two
	Tokens     int    // tokens a node; for placements that draw them at random
	Weight     int    // share of the ring, relative to the other nodes
	Zone       string // failure domain: owners are spread over zones

	Durability  string // "always", "one" or "interval"
	ClockMax    int    // pairs kept in a vector clock
	CacheBytes  int64  // memory for caches, in bytes
	MinFreeDisk int64  // bytes to be left free: writes are refused below it
	HintLimit   int64  // bytes kept for one other node that cannot be reached
	// BackgroundP99 is the 99th percentile of local storage reads from which on
	// background work gives way; 0: it never does.
	BackgroundP99 time.Duration

	RequirePass   string // password of clients; "" for none
	ProtectedMode bool   // without a password, serve loopback clients only

	ClusterSecret string // shared by the members; demanded beyond loopback
	TLSCert       string // PEM files for the peer protocol, all three or none
	TLSKey        string
	TLSCA         string

	Timeout     time.Duration // the bound of one request
	MaxClients  int           // client connections
	MaxValue    int64         // bytes of a value
	MaxKey      int64         // bytes of a key
	MaxSiblings int           // versions that a client write may leave in a cell

	// RedisConfig is set when the node starts, as by CONFIG SET.
	RedisConfig []resp.Parameter

	// Version is what INFO and STATUS report as dynaring_version.
	Version string
	// Explicit holds the names of the flags that the operator set, wherever:
	// a joiner that says another n, placement, partitions or tokens than the
	// cluster's is refused, one that says nothing takes them over.
	Explicit map[string]bool
}

// Bounds of settings: beyond them a value is a mistake.
const (
	maxNameLen    = 64
	maxReplicas   = 16
	maxPartitions = 16384 // one slot each
	maxTokens     = 4096
	maxWeight     = 1000
	maxClockMax   = 1 << 16
	maxSiblings   = 1 << 16
	maxKeySize    = 1 << 20
	maxValueSize  = 512 << 20 // Redis's own limit
	minCache      = 8 << 20
	minTimeout    = 10 * time.Millisecond
	minThreshold  = 100 * time.Microsecond
	maxTimeout    = time.Minute
	maxMaxClients = 1 << 20
)

// DefaultConfig returns the settings of a node that is told nothing.
func DefaultConfig() Config {
	return Config{
		Addr:          "127.0.0.1:6379",
		N:             3,
		R:             2,
		W:             2,
		Placement:     PlacementEqual,
		Partitions:    256,
		Tokens:        128,
		Weight:        1,
		Durability:    "always",
		ClockMax:      10,
		CacheBytes:    128 << 20,
		MinFreeDisk:   64 << 20,
		HintLimit:     256 << 20,
		BackgroundP99: antientropy.DefaultThreshold,
		ProtectedMode: true,
		Timeout:       500 * time.Millisecond,
		MaxClients:    10000,
		MaxValue:      64 << 20,
		MaxKey:        64 << 10,
		MaxSiblings:   128,
		Version:       "devel",
	}
}

// Complete returns the config with everything that is derived filled in: the
// name, the addresses that follow from Addr, the advertised host and the data
// directory.
func (c Config) Complete() (Config, error) {
	host, port, err := splitAddr("addr", c.Addr)
	if err != nil {
		return c, err
	}
	if c.Name == "" {
		if c.Name, err = os.Hostname(); err != nil {
			return c, fmt.Errorf("--name is not set and the host name cannot be read (%v): set --name", err)
		}
	}
	for _, d := range []struct {
		flag   string
		field  *string
		offset int
	}{
		{"cluster-addr", &c.ClusterAddr, clusterPortOffset},
		{"peer-addr", &c.PeerAddr, peerPortOffset},
		{"gossip-addr", &c.GossipAddr, gossipPortOffset},
		{"http-addr", &c.HTTPAddr, httpPortOffset},
	} {
		if *d.field != "" {
			continue
		}
		derived := port + d.offset
		if port == 0 {
			derived = 0
		}
		if derived > 65535 {
			return c, fmt.Errorf("--%s would be --addr's port %d + %d, which is no port: set --%s", d.flag, port, d.offset, d.flag)
		}
		*d.field = net.JoinHostPort(host, strconv.Itoa(derived))
	}
	c.AdvertiseHost = cmp.Or(c.AdvertiseHost, host)
	c.DataDir = cmp.Or(c.DataDir, filepath.Join("dynaring-data", c.Name))
	return c, nil
}

// Validate reports every setting that is wrong, each in a sentence that says
// what to change.
func (c Config) Validate() error {
	c, err := c.Complete()
	if err != nil {
		return err
	}
	return errors.Join(
		c.validateName(),
		c.validateAddresses(),
		c.validateRing(),
		c.validateLimits(),
		c.validateSecurity(),
	)
}

func (c Config) validateName() error {
	if len(c.Name) > maxNameLen {
		return fmt.Errorf("--name has %d characters, at most %d are allowed", len(c.Name), maxNameLen)
	}
	if !plainWord(c.Name) {
		return fmt.Errorf("--name %q: use letters, digits, '.', '-' and '_'", c.Name)
	}
	if c.Zone != "" && (len(c.Zone) > maxNameLen || !plainWord(c.Zone)) {
		return fmt.Errorf("--zone %q: use at most %d letters, digits, '.', '-' and '_'", c.Zone, maxNameLen)
	}
	return nil
}

// plainWord reports whether s can stand unquoted in clocks, logs and paths.
func plainWord(s string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
		default:
			return false
		}
	}
	return s != "" && s != "." && s != ".."
}

func (c Config) validateRing() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.N < 1 || c.N > maxReplicas {
		bad("--n %d: a key has 1 to %d owners", c.N, maxReplicas)
	}
	if c.R < 1 || c.R > c.N {
		bad("--r %d: a read waits for 1 to --n (%d) replicas", c.R, c.N)
	}
	if c.W < 1 || c.W > c.N {
		bad("--w %d: a write waits for 1 to --n (%d) replicas", c.W, c.N)
	}
	if c.Placement != PlacementEqual {
		bad("--placement %q: this version has %q", c.Placement, PlacementEqual)
	}
	if c.Partitions < 1 || c.Partitions > maxPartitions || c.Partitions&(c.Partitions-1) != 0 {
		bad("--partitions %d: use a power of two up to %d", c.Partitions, maxPartitions)
	}
	if c.Tokens < 1 || c.Tokens > maxTokens {
		bad("--tokens %d: use 1 to %d", c.Tokens, maxTokens)
	}
	if c.Weight < 1 || c.Weight > maxWeight {
		bad("--weight %d: use 1 to %d", c.Weight, maxWeight)
	}
	return errors.Join(errs...)
}

func (c Config) validateLimits() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch c.Durability {
	case "always", "one", "interval":
	default:
		bad("--durability %q: use always, one or interval", c.Durability)
	}
	if c.ClockMax < 1 || c.ClockMax > maxClockMax {
		bad("--clock-max %d: use 1 to %d", c.ClockMax, maxClockMax)
	}
	if c.CacheBytes < minCache {
		bad("--cache %d bytes: use at least %d MiB", c.CacheBytes, minCache>>20)
	}
	if c.MinFreeDisk < 0 {
		bad("--min-free-disk cannot be negative")
	}
	if c.HintLimit < 1 {
		bad("--hint-limit %d bytes: use at least 1 byte", c.HintLimit)
	}
	if c.BackgroundP99 != 0 && (c.BackgroundP99 < minThreshold || c.BackgroundP99 > maxTimeout) {
		bad("--background-p99 %v: use %v to %v, or off", c.BackgroundP99, minThreshold, maxTimeout)
	}
	if c.Timeout < minTimeout || c.Timeout > maxTimeout {
		bad("--timeout %v: use %v to %v", c.Timeout, minTimeout, maxTimeout)
	}
	if c.MaxClients < 1 || c.MaxClients > maxMaxClients {
		bad("--max-clients %d: use 1 to %d", c.MaxClients, maxMaxClients)
	}
	if c.MaxValue < 1 || c.MaxValue > maxValueSize {
		bad("--max-value %d bytes: use 1 byte to %d MiB", c.MaxValue, maxValueSize>>20)
	}
	if c.MaxKey < 1 || c.MaxKey > maxKeySize {
		bad("--max-key %d bytes: use 1 byte to %d MiB", c.MaxKey, maxKeySize>>20)
	}
	if c.MaxSiblings < 1 || c.MaxSiblings > maxSiblings {
		bad("--max-siblings %d: use 1 to %d", c.MaxSiblings, maxSiblings)
	}
	return errors.Join(errs...)
}
