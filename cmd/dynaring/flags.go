package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"

	"github.com/BurntSushi/toml"
	"github.com/peterbourgon/ff/v3"

	"github.com/dynaring/dynaring/cmd/internal/node"
)

// envPrefix stands before a flag's name in the environment: --data-dir is
// DYNARING_DATA_DIR.
const envPrefix = "DYNARING"

// settings is what `serve` can be told.
type settings struct {
	node     node.Config
	logLevel slog.Level
	file     string
}

// serveGroups arranges the help; every flag of serve is in one group.
var serveGroups = []flagGroup{
	{"Who and where", []string{"name", "addr", "cluster-addr", "peer-addr", "gossip-addr", "http-addr", "advertise-host", "data-dir"}},
	{"The cluster (n, placement, partitions and tokens are fixed when it is founded)", []string{"join", "n", "r", "w", "placement", "partitions", "tokens", "weight", "zone"}},
	{"Data", []string{"durability", "clock-max", "cache", "min-free-disk", "hint-limit", "background-p99"}},
	{"Safety", []string{"requirepass", "protected-mode", "cluster-secret", "tls-cert", "tls-key", "tls-ca"}},
	{"Limits (beyond them: a clear error)", []string{"timeout", "max-clients", "max-value", "max-key", "max-siblings"}},
	{"The process", []string{"config", "log-level", "redis-config"}},
}

// register defines the flags of serve on fs, with the defaults of a node that
// is told nothing.
func (s *settings) register(fs *flag.FlagSet) {
	s.node = node.DefaultConfig()
	c := &s.node
	fs.StringVar(&c.Name, "name", c.Name, "`NAME` unique in the cluster (default: the host name)")
	fs.StringVar(&c.Addr, "addr", c.Addr, "`HOST:PORT` for Redis clients: any command for any key")
	fs.StringVar(&c.ClusterAddr, "cluster-addr", "", "`HOST:PORT` for cluster-aware clients: the node is one member\nof a Redis Cluster (default: --addr's port + 3000)")
	fs.StringVar(&c.PeerAddr, "peer-addr", "", "`HOST:PORT` for the other nodes (default: --addr's port + 10000)")
	fs.StringVar(&c.GossipAddr, "gossip-addr", "", "`HOST:PORT` for membership, TCP and UDP\n(default: --addr's port + 1000)")
	fs.StringVar(&c.HTTPAddr, "http-addr", "", "`HOST:PORT` for metrics and health, or off\n(default: --addr's port + 2000)")
	fs.StringVar(&c.AdvertiseHost, "advertise-host", "", "`HOST` what others are told (default: --addr's host)")
	fs.StringVar(&c.DataDir, "data-dir", "", "`DIR` where the data is (default: ./dynaring-data/NAME)")

	fs.Var((*list)(&c.Join), "join", "`HOST:PORT,…` gossip addresses of any members;\nwithout them a new node founds a cluster")
	fs.Var((*number)(&c.N), "n", "`NUMBER` owners of a key")
	fs.Var((*number)(&c.R), "r", "`NUMBER` replicas that a read waits for")
	fs.Var((*number)(&c.W), "w", "`NUMBER` replicas that a write waits for")
	fs.StringVar(&c.Placement, "placement", c.Placement, "`RULE` how the ring is shared out")
	fs.Var((*number)(&c.Partitions), "partitions", "`NUMBER` equal arcs of the ring, a power of two up to 16384")
	fs.Var((*number)(&c.Tokens), "tokens", "`NUMBER` tokens a node, for placements with random tokens;\nrecorded when the cluster is founded")
	fs.Var((*number)(&c.Weight), "weight", "`NUMBER` share of the ring, relative to the others")
	fs.StringVar(&c.Zone, "zone", c.Zone, "`NAME` failure domain: a key's owners are spread over zones")

	fs.StringVar(&c.Durability, "durability", c.Durability, "`MODE` when a write is on disk: always, one or interval")
	fs.Var((*number)(&c.ClockMax), "clock-max", "`NUMBER` pairs kept in a vector clock, the oldest is cut beyond it")
	fs.Var((*size)(&c.CacheBytes), "cache", "`SIZE` caches in memory")
	fs.Var((*size)(&c.MinFreeDisk), "min-free-disk", "`SIZE` disk space to be left: writes are refused below it")
	fs.Var((*size)(&c.HintLimit), "hint-limit", "`SIZE` kept for one other node while it cannot be reached;\nbeyond it the node fetches the rest from the others")
	fs.Var((*periodOrOff)(&c.BackgroundP99), "background-p99", "`TIME` that local reads may take, 99 in 100, before repairs and\ntransfers give way; off: they never do")

	fs.StringVar(&c.RequirePass, "requirepass", "", "`PASSWORD` the password that clients must give")
	fs.Var((*yesNo)(&c.ProtectedMode), "protected-mode", "`yes|no` without a password, serve this machine's clients only")
	fs.StringVar(&c.ClusterSecret, "cluster-secret", "", "`SECRET` shared by the nodes, demanded beyond loopback")
	fs.StringVar(&c.TLSCert, "tls-cert", "", "`FILE` PEM: the node's certificate, for traffic between nodes")
	fs.StringVar(&c.TLSKey, "tls-key", "", "`FILE` PEM: its key")
	fs.StringVar(&c.TLSCA, "tls-ca", "", "`FILE` PEM: the authority of all nodes' certificates")

	fs.Var((*period)(&c.Timeout), "timeout", "`TIME` bound of one request, as in 500ms or 2s")
	fs.Var((*number)(&c.MaxClients), "max-clients", "`NUMBER` client connections")
	fs.Var((*size)(&c.MaxValue), "max-value", "`SIZE` a value")
	fs.Var((*size)(&c.MaxKey), "max-key", "`SIZE` a key")
	fs.Var((*number)(&c.MaxSiblings), "max-siblings", "`NUMBER` versions that a write may leave in a key")

	fs.StringVar(&s.file, "config", "", "`FILE` TOML: every flag may be a line of it, without the --")
	fs.Var((*parameters)(&c.RedisConfig), redisConfig, "`LINE` of redis.conf: a parameter of CONFIG SET that has no flag\n(may be repeated)")
	fs.TextVar(&s.logLevel, "log-level", slog.LevelInfo, "`LEVEL` of the log: debug, info, warn or error")
}

// remember notes which flags were set, on the command line, in the environment
// or in the config file.
func (s *settings) remember(fs *flag.FlagSet) {
	s.node.Explicit = map[string]bool{}
	fs.Visit(func(f *flag.Flag) { s.node.Explicit[f.Name] = true })
}

// sources are the places besides the command line that flags are read from, in
// the order of their precedence.
func sources() []ff.Option {
	return []ff.Option{
		ff.WithEnvVarPrefix(envPrefix),
		ff.WithConfigFileFlag("config"),
		ff.WithConfigFileParser(parseTOML),
	}
}

// parseTOML reads a flat TOML file: each key a flag, each value a string, a
// number, a boolean or a list of strings.
func parseTOML(r io.Reader, set func(name, value string) error) error {
	var lines map[string]any
	if _, err := toml.NewDecoder(r).Decode(&lines); err != nil {
		return fmt.Errorf("the config file is no TOML: %w", err)
	}
	for name, value := range lines {
		values, ok := value.([]any)
		if !ok {
			values = []any{value}
		}
		for _, v := range values {
			switch v.(type) {
			case string, int64, float64, bool:
			default:
				return fmt.Errorf("config file: %s: write a string, a number, true or false, or a list of strings", name)
			}
			if err := set(name, fmt.Sprint(v)); err != nil {
				return fmt.Errorf("config file: %w", err)
			}
		}
	}
	return nil
}
