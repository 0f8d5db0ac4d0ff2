package node

import (
	"path/filepath"
	"strings"
	"testing"
)

// with returns a valid config, changed.
func with(change func(*Config)) Config {
	c := DefaultConfig()
	c.Name = "n1"
	change(&c)
	return c
}

func TestDefaultsAreValid(t *testing.T) {
	if err := with(func(*Config) {}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestCompleteDerivesWhatIsNotSet(t *testing.T) {
	got, err := with(func(c *Config) {
		c.Addr = "10.1.2.3:7001"
		c.GossipAddr = "10.9.9.9:5"
	}).Complete()
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]string{
		{got.ClusterAddr, "10.1.2.3:10001"},
		{got.PeerAddr, "10.1.2.3:17001"},
		{got.GossipAddr, "10.9.9.9:5"},
		{got.HTTPAddr, "10.1.2.3:9001"},
		{got.AdvertiseHost, "10.1.2.3"},
		{got.DataDir, filepath.Join("dynaring-data", "n1")},
	} {
		if pair[0] != pair[1] {
			t.Errorf("got %s, want %s", pair[0], pair[1])
		}
	}
	if again, err := got.Complete(); err != nil || again.PeerAddr != got.PeerAddr || again.DataDir != got.DataDir {
		t.Errorf("completing twice changes %+v to %+v, %v", got, again, err)
	}
	any, err := with(func(c *Config) { c.Addr = "127.0.0.1:0" }).Complete()
	if err != nil || any.PeerAddr != "127.0.0.1:0" {
		t.Errorf("from port 0 the peer address becomes %s, %v", any.PeerAddr, err)
	}
}

func TestValidateNamesWhatToChange(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"--addr":                  func(c *Config) { c.Addr = "6379" },
		"is no port number":       func(c *Config) { c.Addr = "127.0.0.1:port" },
		"set --peer-addr":         func(c *Config) { c.Addr = "127.0.0.1:56000" },
		"collide":                 func(c *Config) { c.HTTPAddr = c.Addr },
		"--name":                  func(c *Config) { c.Name = "a,b" },
		"at most 64":              func(c *Config) { c.Name = strings.Repeat("n", 65) },
		"--zone":                  func(c *Config) { c.Zone = "ö" },
		"--n 0":                   func(c *Config) { c.N = 0 },
		"--n 17":                  func(c *Config) { c.N = 17 },
		"--r 0":                   func(c *Config) { c.R = 0 },
		"--w 4":                   func(c *Config) { c.W = 4 },
		"--placement \"random\"":  func(c *Config) { c.Placement = "random" },
		"--partitions 48":         func(c *Config) { c.Partitions = 48 },
		"--partitions 32768":      func(c *Config) { c.Partitions = 32768 },
		"--weight 0":              func(c *Config) { c.Weight = 0 },
		"--durability \"\"":       func(c *Config) { c.Durability = "" },
		"--clock-max 0":           func(c *Config) { c.ClockMax = 0 },
		"--timeout 0s":            func(c *Config) { c.Timeout = 0 },
		"--max-clients 0":         func(c *Config) { c.MaxClients = 0 },
		"--max-value 0":           func(c *Config) { c.MaxValue = 0 },
		"--max-key 0":             func(c *Config) { c.MaxKey = 0 },
		"--max-siblings 0":        func(c *Config) { c.MaxSiblings = 0 },
		"--cache 1":               func(c *Config) { c.CacheBytes = 1 },
		"--join":                  func(c *Config) { c.Join = []string{"127.0.0.1"} },
		"set --advertise-host":    func(c *Config) { c.Addr, c.ClusterSecret = "0.0.0.0:7001", "s" },
		"the same --cluster":      func(c *Config) { c.GossipAddr = "192.0.2.1:8001" },
		"belong together":         func(c *Config) { c.TLSKey = "key.pem" },
		"name one host":           func(c *Config) { c.AdvertiseHost = "a, b" },
		"--min-free-disk cannot ": func(c *Config) { c.MinFreeDisk = -1 },
		"--hint-limit 0":          func(c *Config) { c.HintLimit = 0 },
		"--background-p99 1ns":    func(c *Config) { c.BackgroundP99 = 1 },
	} {
		if err := with(change).Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestProtectedAddresses(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true,
		"0.0.0.0:1": false, "[::]:1": false, ":1": false, "192.0.2.1:1": false, "host:1": false,
	} {
		if got := loopback(addr); got != want {
			t.Errorf("loopback(%q) = %v", addr, got)
		}
	}
}
