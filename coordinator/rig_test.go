package coordinator

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
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

	mu    sync.Mutex
	down  map[string]bool // from the other nodes' view
	fate  func(from, to string, kind uint8) fate
	calls map[uint8]int // by kind
}

// fate is what happens to one call.
type fate struct {
	delay       time.Duration // each way; 0: a millisecond
	refuse      error         // certainly not sent
	loseRequest bool
	loseReply   bool // the caller hears nothing
	cut         bool // the reply is lost, and the caller hears of it
	twice       bool // the request arrives twice
}

type node struct {
	*Coordinator
	rig     *rig
	name    string
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
	synctest.Test(t, func(t *testing.T) { withRig(t, n, opts, test) })
}

func withRig(t rapid.TB, n int, opts Options, test func(r *rig)) {
	r := &rig{t: t, nodes: map[string]*node{}, clock: version.NewClock(nil), down: map[string]bool{}, calls: map[uint8]int{}}
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
	store, err := storage.Open(storage.Options{Dir: "data", FS: vfs.NewMem(), MemTableBytes: 256 << 10, CacheBytes: 1 << 20})
	if err != nil {
		r.t.Fatal(err)
	}
	n := &node{rig: r, name: name, store: store, view: View{Ring: table}, stopped: make(chan struct{})}
	n.replica = replica.New(replica.Options{Store: store, Clock: r.clock, Lanes: 2, CacheBytes: 1 << 20})
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

// link is a node's Peers.
type link struct {
	rig  *rig
	from string
}

func (l link) Up(name string) bool {
	l.rig.mu.Lock()
	defer l.rig.mu.Unlock()
	return !l.rig.down[name] && !l.rig.down[l.from]
}

func (l link) Call(to string, _ peer.Class, kind uint8, body []byte, deadline time.Time, done func(peer.Reply)) {
	r := l.rig
	if to == l.from || r.nodes[to] == nil {
		panic("a call to " + to)
	}
	r.mu.Lock()
	f, cut := fate{}, r.down[to] || r.down[l.from]
	if r.fate != nil {
		f = r.fate(l.from, to, kind)
	}
	r.calls[kind]++
	r.mu.Unlock()
	if cut {
		f.refuse = peer.ErrUnreachable
	}
	if f.refuse != nil {
		done(peer.Reply{Err: f.refuse})
		return
	}
	if f.delay == 0 {
		f.delay = time.Millisecond
	}
	var once sync.Once
	finish := func(rep peer.Reply) { once.Do(func() { done(rep) }) }
	late := time.AfterFunc(time.Until(deadline), func() { finish(peer.Reply{Err: peer.ErrTimeout}) })
	body = bytes.Clone(body)
	deliver := func() {
		r.nodes[to].serve(kind, bytes.Clone(body), func(rep peer.Reply) {
			rep.Body = bytes.Clone(rep.Body)
			if f.cut {
				rep = peer.Reply{Err: peer.ErrLost}
			}
			if !f.loseReply {
				time.AfterFunc(f.delay, func() {
					late.Stop()
					finish(rep)
					clear(rep.Body) // whoever kept it sees it change
				})
			}
		})
	}
	if f.loseRequest {
		return
	}
	time.AfterFunc(f.delay, deliver)
	if f.twice {
		time.AfterFunc(2*f.delay, deliver)
	}
}

// answer is a request as its server sees it.
type answer func(peer.Reply)

func (a answer) Reply(body []byte) { a(peer.Reply{Body: body}) }
func (a answer) Fail(code peer.Code, text string) {
	a(peer.Reply{Err: &peer.RemoteError{Code: code, Text: text}})
}

// serve answers another node's request as a replica and its coordinator do.
func (n *node) serve(kind uint8, body []byte, reply answer) {
	bad := func(err error) { reply.Fail(replica.CodeFailed, err.Error()) }
	if kind != replica.KindExec && kind != replica.KindApply && n.refuse(kind, body, reply) {
		return
	}
	switch kind {
	case replica.KindExec:
		n.serveExec(body, reply)
	case replica.KindApply:
		cells, err := replica.DecodeApply(body)
		if err != nil {
			bad(err)
			return
		}
		n.replica.Apply(&replica.ApplyBatch{Cells: cells, Done: func(err error) {
			if err != nil {
				bad(err)
				return
			}
			reply.Reply(nil)
		}})
	case replica.KindRead:
		asks, _, err := replica.DecodeRead(body)
		if err != nil {
			bad(err)
			return
		}
		reply.Reply(replica.AppendAnswers(nil, n.answers(asks)))
	case replica.KindScan:
		s, err := replica.DecodeScan(body)
		if err != nil {
			bad(err)
			return
		}
		page, err := n.replica.Scan(context.Background(), s)
		if err != nil {
			bad(err)
			return
		}
		reply.Reply(replica.AppendPage(nil, page))
	case replica.KindCount:
		first, last, now, err := replica.DecodeCount(body)
		if err != nil {
			bad(err)
			return
		}
		c, err := n.replica.Count(context.Background(), first, last, now)
		if err != nil {
			bad(err)
			return
		}
		reply.Reply(replica.AppendCounted(nil, c))
	}
}

// maxAnswered makes answers run out of room early, so that the tests meet it.
const maxAnswered = 5

func (n *node) answers(asks []replica.Ask) (out []replica.Answer) {
	found := 0
	for _, a := range asks {
		cell, err := n.replica.Get(a.Key)
		switch {
		case err != nil:
			n.rig.t.Error(err)
		case cell.Digest() == a.Digest:
			out = append(out, replica.Answer{Status: replica.Same})
		case cell == nil:
			out = append(out, replica.Answer{Status: replica.Absent})
		case found == maxAnswered:
			out = append(out, replica.Answer{Status: replica.Later})
		default:
			found++
			out = append(out, replica.Answer{Status: replica.Found, Cell: cell})
		}
	}
	return out
}

// execute is the rig's command table: GET, SET, INCR, each of one key.
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
			writes := []Write{{Update: replica.Update{Key: key, Change: replica.Change{Kind: replica.Put, Value: cmd.Args[2]}}, W: x.W}}
			n.Write(ctx, writes)
			cmd.Reply, cmd.Err = []byte("OK"), writes[0].Err
		case "INCR":
			writes := []Write{{Update: replica.Update{Key: key, Change: replica.Change{Kind: replica.Incr, By: 1}}, R: x.R, W: x.W, CheckFirst: true}}
			n.Write(ctx, writes)
			cmd.Reply, cmd.Err = fmt.Append(nil, writes[0].Update.Number), writes[0].Err
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

// run runs one command through n as a client would: here or on an owner.
func (n *node) run(class Class, args ...string) (string, error) {
	cmd := Command{Slot: ring.Slot([]byte(args[1])), Class: class}
	for _, a := range args {
		cmd.Args = append(cmd.Args, []byte(a))
	}
	x := &Exec{Proto: 2, Commands: []Command{cmd}}
	to, err := n.Route(cmd.Slot, class)
	if err != nil {
		return "", err
	}
	if to == "" {
		n.execute(context.Background(), x)
	} else {
		n.Forward(context.Background(), to, x)
	}
	return string(x.Commands[0].Reply), x.Commands[0].Err
}

func (n *node) get(key string) (string, error)        { return n.run(Reading, "GET", key) }
func (n *node) set(key, value string) (string, error) { return n.run(Blind, "SET", key, value) }
func (n *node) incr(key string) (string, error)       { return n.run(RMW, "INCR", key) }

// key names a string key.
func key(name string) replica.Key {
	return replica.Key{Slot: ring.Slot([]byte(name)), Key: []byte(name)}
}

// holds is what the node's own replica has of a key.
func (n *node) holds(name string) *version.Cell {
	n.rig.t.Helper()
	c, err := n.replica.Get(key(name))
	if err != nil {
		n.rig.t.Fatal(err)
	}
	return c
}

// settledRing is the ring of members that have all become owners.
func settledRing(t rapid.TB, n int, names ...string) *ring.Ring {
	t.Helper()
	events := foundation(n, names...)
	for {
		table := replay(t, events)
		if !table.Changing() {
			return table
		}
		for _, name := range names {
			for _, a := range table.ComingOf(name) {
				events = append(events, ready(name, a))
			}
		}
	}
}

func ready(name string, a ring.Assignment) ring.Event {
	return ring.Event{Kind: ring.Ready, Name: name, Since: a.Since, Slots: []ring.Range{a.Range}}
}

// foundation is a cluster's first events: it is founded, and all join.
func foundation(n int, names ...string) []ring.Event {
	events := []ring.Event{{Kind: ring.Found, Config: &ring.Config{
		Cluster: 7, N: n, Placement: ring.PlacementEqual, Partitions: 16,
	}}}
	for i, name := range names {
		events = append(events, ring.Event{Kind: ring.Join, Name: name, Actor: uint64(100 + i), Weight: 1})
	}
	return events
}

func replay(t rapid.TB, events []ring.Event) *ring.Ring {
	t.Helper()
	for i := range events {
		events[i].ID, events[i].Time = ring.EventID(i+1), version.Timestamp(i+1)
	}
	h, err := ring.NewHistory(events...)
	if err != nil {
		t.Fatal(err)
	}
	table, err := ring.Replay(h)
	if err != nil {
		t.Fatal(err)
	}
	return table
}
