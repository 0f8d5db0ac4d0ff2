package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/dynaring/dynaring/cmd/internal/node"
)

// Bounds of what a node may take, in virtual time.
const (
	stopLimit  = 30 * time.Second // from being told to stop until it has
	readyLimit = 2 * time.Minute  // until all nodes serve what they own
	readyPoll  = 50 * time.Millisecond
)

const (
	respPort    = "6379"
	gossipPort  = "7379"
	dataDir     = "data"
	backupDir   = "backup"
	maxLogLines = 20000
)

// Options configure a Cluster.
type Options struct {
	Seed uint64
	// Configure changes a node's settings before each of its starts.
	Configure func(name string, cfg *node.Config)
	// SyncLow and SyncHigh are how long a sync of a log takes.
	SyncLow, SyncHigh time.Duration
	// Lying disks say that they have synced a log, and have not.
	Lying bool
}

// Cluster is a number of nodes, each with a host and a disk of its own. Its
// methods are for one goroutine of its bubble, apart from Names and Node.
type Cluster struct {
	Net *Network
	Log *Log

	opts Options

	mu    sync.Mutex // for clients that look up nodes while others are added
	nodes map[string]*Node
	order []string // names in order of their first start
}

// Node is one member, running or not.
type Node struct {
	Name string
	Disk *Disk

	ip      string
	skew    atomic.Int64 // ns that its wall clock is ahead
	starts  int
	host    *Host // of the last start
	cancel  context.CancelFunc
	stopped chan error // the running node's end; nil if none runs
	zombies []chan error
}

// NewCluster returns a cluster without nodes.
func NewCluster(o Options) *Cluster {
	return &Cluster{Net: NewNetwork(o.Seed), Log: new(Log), opts: o, nodes: make(map[string]*Node)}
}

// Names returns the nodes' names in order of their first start.
func (c *Cluster) Names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.order)
}

// Node returns a node by its name, nil if there is none.
func (c *Cluster) Node(name string) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[name]
}

// Running reports whether the node is running.
func (n *Node) Running() bool { return n.stopped != nil }

// Addr returns the node's RESP address, whether it is running or not.
func (n *Node) Addr() string { return net.JoinHostPort(n.ip, respPort) }

// SetSkew sets how far the node's wall clock is ahead of the others'.
func (n *Node) SetSkew(d time.Duration) { n.skew.Store(int64(d)) }

func (n *Node) now() time.Time { return time.Now().Add(time.Duration(n.skew.Load())) }

// Start starts a node: a new one under a new name, else on its disk. The first
// of all founds the cluster; the others know all that were there before them.
func (c *Cluster) Start(name string) error {
	n := c.nodes[name]
	if n == nil {
		n = &Node{Name: name, Disk: NewDisk(name, c.opts.Seed), ip: fmt.Sprintf("127.0.0.%d", len(c.order)+1)}
		if c.opts.Lying {
			n.Disk.Lie()
		}
		c.mu.Lock()
		c.nodes[name] = n
		c.order = append(c.order, name)
		c.mu.Unlock()
	}
	if n.Running() {
		return fmt.Errorf("%s is running", name)
	}
	n.starts++
	n.host = c.Net.Host(name, n.ip)
	log := slog.New(slog.NewTextHandler(c.Log, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", fmt.Sprintf("%s#%d", name, n.starts))
	host := n.host
	made, err := node.NewWith(c.config(n), node.Deps{
		Now: n.now, FS: n.Disk.FS(), Listen: host.Listen, Dial: host.Dial,
		Gossip: func(addr string) (memberlist.Transport, error) { return host.Gossip(addr) },
	}, log)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	n.Disk.SetSyncDelay(c.opts.SyncLow, c.opts.SyncHigh)
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel, n.stopped = cancel, make(chan error, 1)
	go func(stopped chan error) { stopped <- made.Run(ctx) }(n.stopped)
	return nil
}

func (c *Cluster) config(n *Node) node.Config {
	cfg := node.DefaultConfig()
	cfg.Name, cfg.Addr, cfg.HTTPAddr, cfg.DataDir = n.Name, n.Addr(), node.HTTPOff, dataDir
	cfg.CacheBytes = 8 << 20
	founding := n.starts == 1 && c.order[0] == n.Name
	for _, name := range c.order {
		if name != n.Name && !founding {
			cfg.Join = append(cfg.Join, net.JoinHostPort(c.nodes[name].ip, gossipPort))
		}
	}
	if c.opts.Configure != nil {
		c.opts.Configure(n.Name, &cfg)
	}
	return cfg
}

// Stop stops a node cleanly, and then cuts its power: a clean stop has nothing
// left to lose.
func (c *Cluster) Stop(name string) error {
	n := c.nodes[name]
	if !n.Running() {
		return fmt.Errorf("%s is not running", name)
	}
	c.Net.ReleaseTo(name)     // it waits for its connections' readers
	n.Disk.SetSyncDelay(0, 0) // its last syncs happen with locks held
	n.cancel()
	err := await(n.stopped)
	n.stopped = nil
	if open := c.Net.connsOf(n.host); err == nil && len(open) > 0 {
		err = fmt.Errorf("left connections open: %s", strings.Join(open, ", "))
	}
	n.Disk.Crash(0)
	if err != nil {
		return fmt.Errorf("%s: clean stop: %w", name, err)
	}
	return nil
}

// await waits for a node that was told to stop.
func await(stopped chan error) error {
	select {
	case err := <-stopped:
		return err
	case <-time.After(stopLimit):
		return errors.New("it does not stop")
	}
}

// Crash ends a node as it stands: from one instant on nothing leaves it any
// more, and of its disk only what was synced is left, and of the rest each
// block with a probability of stays percent. If silent, its connections are
// not even reset. The process is swept up by Close.
func (c *Cluster) Crash(name string, silent bool, stays int) error {
	n := c.nodes[name]
	if !n.Running() {
		return fmt.Errorf("%s is not running", name)
	}
	n.host.Kill(silent)
	n.Disk.Crash(stays)
	n.cancel()
	n.zombies = append(n.zombies, n.stopped)
	n.stopped = nil
	return nil
}

// Ended returns the error of a node that has stopped by itself.
func (c *Cluster) Ended(name string) error {
	n := c.nodes[name]
	select {
	case err := <-n.stopped:
		n.stopped = nil
		n.host.Kill(false)
		return cmpErr(err, errors.New("it stopped without being told to"))
	default:
		return nil
	}
}

func cmpErr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// Wipe empties the disk of a node that is not running.
func (c *Cluster) Wipe(name string) error {
	if c.nodes[name].Running() {
		return fmt.Errorf("%s is running", name)
	}
	c.nodes[name].Disk.Wipe()
	return nil
}

// Restore gives a node that is not running the data directory of its last
// backup.
func (c *Cluster) Restore(name string) error {
	if c.nodes[name].Running() {
		return fmt.Errorf("%s is running", name)
	}
	return c.nodes[name].Disk.Restore()
}

// Close stops all nodes cleanly, and waits for what is left of crashed ones.
func (c *Cluster) Close() error {
	c.Net.Heal()
	var errs []error
	for _, name := range c.order {
		n := c.nodes[name]
		c.Net.Thaw(name)
		if n.Running() {
			errs = append(errs, c.Stop(name))
		}
		for _, z := range n.zombies {
			if err := await(z); err != nil && strings.Contains(err.Error(), "does not stop") {
				errs = append(errs, fmt.Errorf("%s, crashed: %w", name, err))
			}
		}
		n.zombies = nil
	}
	time.Sleep(time.Second) // what is on its way arrives nowhere
	return errors.Join(errs...)
}

// AwaitReady waits until every running node serves: it is a member, sees all
// running ones up, and is not still coming to own anything.
func (c *Cluster) AwaitReady() error {
	host := c.Net.Host("ready", "127.0.2.1")
	var err error
	for begin := time.Now(); time.Since(begin) < readyLimit; time.Sleep(readyPoll) {
		if err = c.ready(host); err == nil {
			return nil
		}
	}
	return fmt.Errorf("not ready: %w", err)
}

func (c *Cluster) ready(host *Host) error {
	running := 0
	for _, name := range c.order {
		if c.nodes[name].Running() {
			running++
		}
	}
	for _, name := range c.order {
		n := c.nodes[name]
		if !n.Running() {
			continue
		}
		if err := c.Ended(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		members, err := Members(host, n.Addr())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		up := 0
		for _, m := range members {
			if m.Up && c.nodes[m.Name].Running() {
				up++
			}
			if m.Coming > 0 {
				return fmt.Errorf("%s sees %s coming to own %d slots", name, m.Name, m.Coming)
			}
		}
		if up < running {
			return fmt.Errorf("%s sees %d of %d running nodes up", name, up, running)
		}
	}
	return nil
}

// Member is a line of DCLUSTER STATUS.
type Member struct {
	Name          string
	Up            bool
	Slots, Coming int64
}

// Members asks a node how it sees the cluster.
func Members(from *Host, addr string) ([]Member, error) {
	client := NewClient(from, addr, time.Second)
	defer client.Close()
	reply, err := client.Do("DCLUSTER", "STATUS")
	if err != nil {
		return nil, err
	}
	var members []Member
	list, _ := fields(reply)["members"].([]any)
	for _, m := range list {
		f := fields(m)
		name, _ := f["name"].(string)
		slots, _ := f["slots"].(int64)
		coming, _ := f["coming"].(int64)
		members = append(members, Member{name, f["state"] == "up", slots, coming})
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("DCLUSTER STATUS without members: %s", FormatReply(reply, nil))
	}
	return members, nil
}

// fields reads a map as RESP2 sends it: a flat array.
func fields(reply any) map[string]any {
	flat, _ := reply.([]any)
	m := make(map[string]any)
	for i := 0; i+1 < len(flat); i += 2 {
		if name, ok := flat[i].(string); ok {
			m[name] = flat[i+1]
		}
	}
	return m
}
