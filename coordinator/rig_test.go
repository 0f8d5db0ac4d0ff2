package coordinator

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// rig is a cluster in one process: replicas over stores in memory, and a
// network that does what its test says. It lives in a synctest bubble.
type rig struct {
	t     rapid.TB
	nodes map[string]*node
	names []string
	stop  context.CancelFunc
	done  sync.WaitGroup
	clock *version.Clock // of all nodes, as if frames carried it

	hintLimit  int64              // of all nodes
	durability storage.Durability // likewise
	noCache    bool               // likewise: every read is one of the store

	mu    sync.Mutex
	down  map[string]bool    // from the other nodes' view
	cuts  map[[2]string]bool // from one node's view: another
	fate  func(from, to string, kind uint8) fate
	calls map[uint8]int // by kind
}

// fate is what happens to one call.
type fate struct {
	delay       time.Duration // each way; 0: a millisecond
	refuse      error         // certainly not sent
	loseRequest bool
	loseReply   bool      // the caller hears nothing
	cut         bool      // the reply is lost, and the caller hears of it
	twice       bool      // the request arrives twice
	code        peer.Code // what the node answers, having done nothing
}

type node struct {
	*Coordinator
	rig     *rig
	name    string
	disk    *disk
	replica *replica.Replica
	store   *storage.Store
	stop    context.CancelFunc // of the coordinator alone
	stopped chan struct{}

	mu   sync.Mutex
	view View
}

func (n *node) View() View {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.view
}

func (n *node) setView(v View) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.view = v
}

// bubble runs a test of a cluster in virtual time.
func bubble(t *testing.T, n int, opts Options, test func(r *rig)) {
	bubbleLimited(t, n, opts, 0, test)
}

// bubbleLimited is bubble with a bound of the hints for one owner.
func bubbleLimited(t *testing.T, n int, opts Options, hintLimit int64, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) { withRig(t, n, opts, &rig{hintLimit: hintLimit}, test) })
}

// bubbleOne is bubble where of a write's replicas the coordinator's alone syncs.
func bubbleOne(t *testing.T, n int, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) { withRig(t, n, Options{}, &rig{durability: storage.One}, test) })
}

// withRig runs r, of which its caller has said what is not as usual.
func withRig(t rapid.TB, n int, opts Options, r *rig, test func(r *rig)) {
	r.t, r.nodes, r.clock = t, map[string]*node{}, version.NewClock(nil)
	r.down, r.cuts, r.calls = map[string]bool{}, map[[2]string]bool{}, map[uint8]int{}
	for i := range n {
		r.names = append(r.names, fmt.Sprintf("n%d", i+1))
	}
	table := settledRing(t, min(n, 3), r.names...)
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	for _, name := range r.names {
		r.nodes[name] = r.start(ctx, name, opts, table)
	}
	defer r.close()
	test(r)
}

func (r *rig) start(ctx context.Context, name string, opts Options, table *ring.Ring) *node {
	r.t.Helper()
	disk := newDisk()
	store, err := storage.Open(storage.Options{Dir: "data", FS: disk, MemTableBytes: 256 << 10, CacheBytes: 1 << 20, MinFreeBytes: minFree, Durability: r.durability})
	if err != nil {
		r.t.Fatal(err)
	}
	cache := int64(1 << 20)
	if r.noCache {
		cache = -1
	}
	n := &node{rig: r, name: name, disk: disk, store: store, view: View{Ring: table}, stopped: make(chan struct{})}
	n.replica = replica.New(replica.Options{Store: store, Clock: r.clock, Lanes: 2, CacheBytes: cache, HintLimit: r.hintLimit})
	opts.Self = name
	n.Coordinator = New(opts, n.replica, link{r, name}, n)
	n.SetExecutor(n.execute)
	r.done.Go(func() { _ = store.Run(ctx) })
	r.done.Go(func() { _ = n.replica.Run(ctx) })
	var own context.Context
	own, n.stop = context.WithCancel(ctx)
	go func() {
		defer close(n.stopped)
		_ = n.Run(own)
	}()
	return n
}

func (r *rig) close() {
	for _, n := range r.nodes {
		n.stop()
	}
	for _, n := range r.nodes {
		<-n.stopped
	}
	time.Sleep(2 * time.Second) // what is still on its way arrives
	r.stop()
	r.done.Wait()
	for _, n := range r.nodes {
		if err := n.store.Close(); err != nil {
			r.t.Error(err)
		}
	}
}

// setDown cuts a node off from the others, or connects it again.
func (r *rig) setDown(name string, down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down[name] = down
}

// cut has one node not reach another, or reach it again.
func (r *rig) cut(from, to string, cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cuts[[2]string{from, to}] = cut
}

// setFate says what happens to calls from now on; nil: they arrive.
func (r *rig) setFate(f func(from, to string, kind uint8) fate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fate = f
}

// count returns how many calls of a kind there were since the last time.
func (r *rig) count(kind uint8) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.calls[kind]
	r.calls[kind] = 0
	return n
}

// execute is the rig's command table: GET, SET, INCR and WIPE, each of one key.
func (n *node) execute(ctx context.Context, x *Exec) {
	for i := range x.Commands {
		cmd := &x.Commands[i]
		key := replica.Key{Slot: cmd.Slot, Key: cmd.Args[1]}
		switch string(cmd.Args[0]) {
		case "GET":
			reads := []Read{{Key: key, R: x.R}}
			n.Read(ctx, reads)
			cmd.Reply, cmd.Err = []byte(text(reads[0].Cell)), reads[0].Err
		case "SET":
			writes := []Write{{Update: replica.Update{Key: key, Change: replica.Change{Kind: replica.Put, Value: cmd.Args[2]}}, W: x.W, StandIn: cmd.StandIn}}
			n.Write(ctx, writes)
			cmd.Reply, cmd.Err = []byte("OK"), writes[0].Err
		case "INCR":
			writes := []Write{{Update: replica.Update{Key: key, Change: replica.Change{Kind: replica.Incr, By: 1}}, R: x.R, W: x.W, CheckFirst: true, StandIn: cmd.StandIn}}
			n.Write(ctx, writes)
			cmd.Reply, cmd.Err = fmt.Append(nil, writes[0].Update.Number), writes[0].Err
		}
		if string(cmd.Args[0]) == "WIPE" {
			seen, err := version.ParseContext(string(cmd.Args[2]), key.Key)
			if err != nil {
				n.rig.t.Error(err)
			}
			writes := []Write{{Update: replica.Update{Key: key, Decide: func(cur *version.Cell, _ int64) (replica.Change, error) {
				all := seen.Union(cur.Context())
				return replica.Change{Kind: replica.Delete, Context: &all}, nil
			}}, StandIn: cmd.StandIn}}
			n.Write(ctx, writes)
			cmd.Reply, cmd.Err = []byte("OK"), writes[0].Err
		}
		if _, ok := cmd.Err.(*UncertainError); ok { // as RESP would: an error is a reply
			cmd.Reply, cmd.Err = []byte("UNCERTAIN "+cmd.Err.Error()), nil
		}
	}
}

// text is what a plain read of the cell answers.
func text(c *version.Cell) string {
	if s, ok := c.Winner(time.Now().UnixMilli()); ok {
		return string(s.Value)
	}
	return "(none)"
}

// run runs one command through n as a client would: here or elsewhere.
func (n *node) run(class Class, args ...string) (string, error) {
	return n.runW(0, class, args...)
}

// runW is run at a W.
func (n *node) runW(w int, class Class, args ...string) (string, error) {
	cmd := Command{Slot: ring.Slot([]byte(args[1])), Class: class}
	for _, a := range args {
		cmd.Args = append(cmd.Args, []byte(a))
	}
	x := &Exec{Proto: 2, W: w, Commands: []Command{cmd}}
	for tries := 0; ; tries++ {
		to, err := n.Route(cmd.Slot, class)
		switch {
		case err != nil:
			return "", err
		case to == "":
			n.execute(context.Background(), x)
		default:
			n.Forward(context.Background(), to, x)
		}
		if err := x.Commands[0].Err; err == nil || !NotStarted(err) || tries == 2 {
			return string(x.Commands[0].Reply), err
		}
	}
}

func (n *node) get(key string) (string, error)        { return n.run(Reading, "GET", key) }
func (n *node) set(key, value string) (string, error) { return n.run(Blind, "SET", key, value) }
func (n *node) incr(key string) (string, error)       { return n.run(RMW, "INCR", key) }

// key names a string key.
func key(name string) replica.Key {
	return replica.Key{Slot: ring.Slot([]byte(name)), Key: []byte(name)}
}

// holds is what the node's own replica has of a key; keeps includes hints.
func (n *node) holds(name string) *version.Cell { return n.cell(n.replica.Get(key(name))) }
func (n *node) keeps(name string) *version.Cell { return n.cell(n.replica.Held(key(name))) }

func (n *node) cell(c *version.Cell, err error) *version.Cell {
	n.rig.t.Helper()
	if err != nil {
		n.rig.t.Fatal(err)
	}
	return c
}
