package antientropy

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/ring/gossip"
	"github.com/dynaring/dynaring/ring/gossip/memnet"
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// owners are the nodes n1, n2, … of one ring: each a replica and an exchange,
// over a network in memory. No request ever comes to them but each other's.
type owners struct {
	t     rapid.TB
	net   *memnet.Network
	view  atomic.Pointer[gossip.View]
	nodes []*owner

	mu      sync.Mutex
	events  []ring.Event
	changed chan struct{} // closed when the view is replaced
}

type owner struct {
	*replica.Replica
	name     string
	all      *owners
	fs       vfs.FS
	store    *storage.Store
	clock    *version.Clock
	peers    *peer.Peers
	exchange *Exchange
	wire     atomic.Int64 // bytes written to connections that it has dialled, and read
	stop     func()       // nil: not running
}

// startOwners starts n nodes, of which three own each slot. The caller stops
// them.
func startOwners(t rapid.TB, n int) *owners {
	o := &owners{t: t, net: memnet.New(1), changed: make(chan struct{})}
	o.Add(ring.Event{Kind: ring.Found, Config: &ring.Config{Cluster: 7, N: 3, Placement: ring.PlacementEqual, Partitions: 64}})
	for range n {
		o.join()
		o.allReady()
	}
	for _, m := range o.nodes {
		m.start()
	}
	return o
}

// join adds a member, which does not run yet.
func (o *owners) join() *owner {
	m := &owner{name: fmt.Sprintf("n%d", len(o.nodes)+1), all: o, fs: vfs.NewMem()}
	o.nodes = append(o.nodes, m)
	o.Add(ring.Event{Kind: ring.Join, Name: m.name, Actor: uint64(len(o.nodes)), Weight: 1})
	return m
}

// allReady has everybody own what they are coming to.
func (o *owners) allReady() {
	for _, m := range o.nodes {
		for _, a := range o.View().Ring.ComingOf(m.name) {
			o.Add(ring.Event{Kind: ring.Ready, Name: m.name, Since: a.Since, Slots: []ring.Range{a.Range}})
		}
	}
}

// Add appends an event to the history, as the gossip does.
func (o *owners) Add(e ring.Event) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	e.ID, e.Time = ring.EventID(len(o.events)+1), version.Timestamp(len(o.events)+1)
	e.Slots = ring.JoinRanges(e.Slots)
	o.events = append(o.events, e)
	v := &gossip.View{Alive: map[string]bool{}}
	var err error
	if v.History, err = ring.NewHistory(o.events...); err != nil {
		o.t.Fatal(err)
	}
	if v.Ring, err = ring.Replay(v.History); err != nil {
		o.t.Fatal(err)
	}
	for _, m := range v.Ring.Members() {
		v.Alive[m.Name] = true
	}
	o.view.Store(v)
	close(o.changed)
	o.changed = make(chan struct{})
	return nil
}

func (o *owners) Changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changed
}

func (o *owners) View() *gossip.View { return o.view.Load() }

func (o *owners) Encoded() []byte { return o.View().History.Encoded() }

func (o *owners) close() {
	for _, m := range o.nodes {
		m.halt()
	}
	o.net.Close()
}

func (m *owner) addr() string { return m.name + ":1" }

// start starts a node that does not run, on what it left.
func (m *owner) start() {
	t := m.all.t
	for _, other := range m.all.nodes {
		if other.peers != nil {
			other.peers.SetPeers(m.all.addrs())
		}
	}
	var err error
	m.store, err = storage.Open(storage.Options{Dir: "data", FS: m.fs, Durability: storage.Interval})
	if err != nil {
		t.Fatal(err)
	}
	m.clock = version.NewClock(nil)
	m.Replica = replica.New(replica.Options{Store: m.store, Clock: m.clock, CacheBytes: 4 << 20})
	listener, err := m.all.net.Listen(m.addr())
	if err != nil {
		t.Fatal(err)
	}
	m.peers = peer.New(peer.Options{
		Self: peer.Identity{Cluster: 7, Name: m.name, Actor: m.store.Actor().ID}, Listener: listener, Clock: m.clock,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			c, err := m.all.net.Dial(ctx, m.name, addr)
			if err != nil {
				return nil, err
			}
			return &meter{Conn: c, bytes: &m.wire}, nil
		},
	}, m.serve)
	m.exchange = NewExchange(ExchangeOptions{Self: m.name}, m, m.peers, m.all)
	m.peers.SetPeers(m.all.addrs())
	m.run()
}

func (o *owners) addrs() map[string]string {
	addrs := map[string]string{}
	for _, m := range o.nodes {
		addrs[m.name] = m.addr()
	}
	return addrs
}

func (m *owner) serve(req *peer.Request) {
	switch {
	case m.Serve(req):
	case req.Kind == replica.KindCompare:
		m.exchange.Serve(req)
	case req.Kind == replica.KindHistory:
		req.Reply(binary.LittleEndian.AppendUint64(nil, m.all.View().History.Digest())) // they share one view
	default:
		req.Fail(1, "not known")
	}
}

func (m *owner) run() {
	var ends []func()
	for _, run := range []func(context.Context) error{m.store.Run, m.Run, m.peers.Run, m.exchange.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		var part sync.WaitGroup
		part.Go(func() {
			if err := run(ctx); err != nil {
				m.all.t.Errorf("%s: %v", m.name, err)
			}
		})
		ends = append(ends, func() { cancel(); part.Wait() })
	}
	m.stop = func() {
		for i := len(ends) - 1; i >= 0; i-- {
			ends[i]()
		}
		if err := m.store.Close(); err != nil {
			m.all.t.Errorf("%s: %v", m.name, err)
		}
	}
}

func (m *owner) halt() {
	if m.stop != nil {
		m.stop()
		m.stop = nil
	}
}

// put merges cells, and waits.
func (m *owner) put(cells ...replica.KeyedCell) {
	if err := apply(context.Background(), m, cells, time.Now()); err != nil {
		m.all.t.Fatal(err)
	}
}

// settled waits until every node knows that it is in step with all others.
func (o *owners) settled(within time.Duration) {
	end := time.Now().Add(within)
	for {
		open, lag := 0, time.Duration(0)
		for _, m := range o.nodes {
			if m.stop != nil {
				var s Status
				m.exchange.Fill(&s)
				open, lag = open+s.Unstepped, max(lag, s.Lag)
			}
		}
		if open == 0 {
			return
		}
		if time.Now().After(end) {
			o.t.Fatalf("%d pairs are not in step after %v, the oldest for %v", open, within, lag)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// same checks that all owners of a slot hold the same.
func (o *owners) same() {
	o.t.Helper()
	r := o.View().Ring
	byName := map[string]*owner{}
	for _, m := range o.nodes {
		byName[m.name] = m
	}
	for slot := range uint16(storage.Slots) {
		names := r.Lookup(slot).Owners
		for _, name := range names[1:] {
			if a, b := byName[names[0]].SlotHash(slot), byName[name].SlotHash(slot); a != b {
				o.t.Fatalf("slot %d: %s and %s differ", slot, names[0], name)
			}
		}
	}
}

func (o *owners) total() (out ExchangeStatus) {
	for _, m := range o.nodes {
		var s Status
		m.exchange.Fill(&s)
		out.Compared += s.Exchange.Compared
		out.Differed += s.Exchange.Differed
		out.Sent += s.Exchange.Sent
		out.Received += s.Exchange.Received
		out.Bytes += s.Exchange.Bytes
	}
	return out
}

func (o *owners) wire() (n int64) {
	for _, m := range o.nodes {
		n += m.wire.Load()
	}
	return n
}

// meter counts what goes through a connection.
type meter struct {
	net.Conn
	bytes *atomic.Int64
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.bytes.Add(int64(n))
	return n, err
}

func (m *meter) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.bytes.Add(int64(n))
	return n, err
}

// minter writes versions as some node's coordinator would.
type minter struct {
	actor version.Actor
	clock *version.Clock
	floor uint64
}

func newMinter(id uint64) *minter {
	return &minter{actor: version.Actor{ID: id}, clock: version.NewClock(nil)}
}

// write returns the cell after a write on top of cur.
func (m *minter) write(t rapid.TB, cur *version.Cell, w version.Write) *version.Cell {
	next, _, dot, err := cur.Put(version.Mint{
		Actor: m.actor, Floor: m.floor, Time: m.clock.Now(), Now: m.clock.WallMillis(), ClockMax: 10,
	}, w)
	if err != nil {
		t.Fatal(err)
	}
	m.floor = dot.Counter // also of another cell: no dot is minted twice
	return next
}

func testKey(i int) replica.Key {
	key := fmt.Appendf(nil, "key:%d", i)
	return replica.Key{Slot: ring.Slot(key), Key: key}
}

var _ Store = (*replica.Replica)(nil)
var _ Checked = (*replica.Replica)(nil)
