package resp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// fakeCluster is nodes over one store in memory, which keeps cells as a replica
// does. A slot belongs to the node that its number says.
type fakeCluster struct {
	nodes []*fakeNode

	mu    sync.Mutex
	cells map[string]*version.Cell
	now   time.Time
	wall  bool // now is the time
	clock *version.Clock
}

// fakeNode is one node: a Backend and a Cluster over the store.
type fakeNode struct {
	*fakeCluster
	name   string
	actor  version.Actor
	server *Server

	// fault, if set, decides what becomes of an operation on a key; nil: it is
	// carried out.
	fault   func(op string, key []byte) error
	down    bool // for Slots
	table   *SlotTable
	tableOf string
	// scanFault, if set, is what Scan answers at a position; nil: a page.
	scanFault func(at Position) error
	// owner, if set, overrides which node a slot belongs to.
	owner func(slot uint16, class coordinator.Class) string
	calls struct {
		sync.Mutex
		reads, writes, forwards int
		r, w                    int // the last operation's quorums
	}
}

// newFake returns a cluster of nodes n1, n2, … that share opts.
func newFake(t testing.TB, nodes int, opts Options) *fakeCluster {
	c := &fakeCluster{cells: map[string]*version.Cell{}, now: time.UnixMilli(1_700_000_000_000)}
	c.clock = version.NewClock(c.time)
	for i := range nodes {
		n := &fakeNode{fakeCluster: c, name: fmt.Sprintf("n%d", i+1), actor: version.Actor{ID: uint64(i + 1)}}
		o := opts
		o.Backend, o.Cluster, o.Self, o.Version = n, n, n.name, "0.1.0"
		if o.Now == nil {
			o.Now = c.time
		}
		s, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		n.server = s
		c.nodes = append(c.nodes, n)
	}
	return c
}

func (c *fakeCluster) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wall {
		return time.Now()
	}
	return c.now
}

func (c *fakeCluster) sleep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (n *fakeNode) Route(slot uint16, class coordinator.Class) (string, error) {
	owner := n.nodes[int(slot)%len(n.nodes)].name
	if n.owner != nil {
		owner = n.owner(slot, class)
	}
	if owner == n.name {
		return "", nil
	}
	if owner == "" {
		return "", &coordinator.NoQuorumError{Op: "route", Need: 1}
	}
	return owner, nil
}

func (n *fakeNode) Read(_ context.Context, ops []coordinator.Read) {
	n.calls.Lock()
	n.calls.reads++
	n.calls.r = ops[len(ops)-1].R
	n.calls.Unlock()
	for i := range ops {
		op := &ops[i]
		if op.Err = n.faulty("read", op.Key.Key); op.Err == nil {
			op.Cell, op.Err = n.Local(op.Key)
		}
	}
}

func (n *fakeNode) Write(_ context.Context, ops []coordinator.Write) {
	n.calls.Lock()
	n.calls.writes++
	n.calls.w = ops[len(ops)-1].W
	n.calls.Unlock()
	for i := range ops {
		op := &ops[i]
		if op.Err = n.faulty("write", op.Update.Key.Key); op.Err == nil {
			op.Err = n.update(&op.Update)
		}
	}
}

func (n *fakeNode) faulty(op string, key []byte) error {
	if n.fault == nil {
		return nil
	}
	return n.fault(op, key)
}

// update is what a replica does.
func (n *fakeNode) update(u *replica.Update) (err error) {
	stamp, now := n.clock.Now(), n.time()
	n.mu.Lock()
	defer n.mu.Unlock()
	m := version.Mint{Actor: n.actor, Time: stamp, Now: now.UnixMilli(), ClockMax: 10, MaxSiblings: 4}
	cur, change := n.cells[string(u.Key.Key)], u.Change
	if u.Decide != nil {
		if change, err = u.Decide(cur, m.Now); err != nil {
			return err
		}
	}
	next := cur
	switch change.Kind {
	case replica.None:
	case replica.Put, replica.Delete:
		next, u.Delta, u.Dot, err = cur.Put(m, version.Write{
			Tombstone: change.Kind == replica.Delete,
			Value:     change.Value, Expiry: change.Expiry, Context: change.Context,
		})
	case replica.Incr:
		next, u.Delta, u.Number, err = cur.Increment(m, change.By)
	}
	if err == nil && next != nil {
		n.cells[string(u.Key.Key)] = next
	}
	return err
}

// Forward runs the commands on the other node, and then spoils what it was
// given, which is only its until it returns.
func (n *fakeNode) Forward(ctx context.Context, node string, x *coordinator.Exec) {
	if coordinator.InOneFrame(x.Commands) < len(x.Commands) {
		panic("commands of more than one frame, which have no order")
	}
	n.calls.Lock()
	n.calls.forwards++
	n.calls.Unlock()
	var sent coordinator.Exec
	sent.Proto, sent.R, sent.W = x.Proto, x.R, x.W
	for _, cmd := range x.Commands {
		args := make([][]byte, len(cmd.Args))
		for i, a := range cmd.Args {
			args[i] = bytes.Clone(a)
		}
		sent.Commands = append(sent.Commands, coordinator.Command{Slot: cmd.Slot, Class: cmd.Class, Args: args})
	}
	for _, other := range n.nodes {
		if other.name == node {
			other.server.Execute(ctx, &sent)
		}
	}
	for i := range sent.Commands {
		cmd := &sent.Commands[i]
		x.Commands[i].Reply, x.Commands[i].Err = cmd.Reply, cmd.Err
		for _, a := range cmd.Args {
			clear(a)
		}
	}
}

func (n *fakeNode) Local(key replica.Key) (*version.Cell, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cells[string(key.Key)], nil
}

func (n *fakeNode) ActorName(a version.Actor) string {
	name := fmt.Sprintf("n%d", a.ID)
	if a.Inc > 0 {
		name += fmt.Sprintf("/%d", a.Inc)
	}
	return name
}

func (n *fakeNode) Quorum() (int, int, int) { return 3, 2, 2 }

func (n *fakeNode) Status(context.Context) (Status, error) {
	st := Status{Cluster: "c1", Self: n.name, N: 3, R: 2, W: 2, Placement: "equal", Partitions: 256}
	for _, m := range n.nodes {
		st.Members = append(st.Members, Member{
			Name: m.name, Actor: m.actor.String(), Up: m == n, Weight: 1,
			Addr: "127.0.0.1:7001", Owned: 16384, Version: "0.1.0",
		})
	}
	st.Members[0].State = &MemberState{
		Hints:  []HintsFor{{Owner: "n2", Cells: 3, Bytes: 99, Age: 1500, Rate: 0.25}, {Owner: "n3", Cells: 1, Bytes: 20, Age: 20}},
		Strays: 1, Unstepped: 2, Lag: 700, LastFull: 1_700_000_000_000, Collected: 8, HeldUp: "n2 cannot be reached",
	}
	if len(st.Members) > 1 {
		st.Members[1].SeenBy = []Sight{{"n1", true}, {"n3", false}}
	}
	return st, nil
}

func (n *fakeNode) Settled(context.Context) ([]string, error) {
	if len(n.nodes) == 1 {
		return nil, nil
	}
	return []string{"n1 keeps 3 cells for n2", "n2 does not answer"}, nil
}

func (n *fakeNode) History(context.Context) ([]Event, error) {
	return []Event{{ID: "e1", Millis: 1, Kind: "found", Detail: "n=3"}, {ID: "e2", Millis: 2, Kind: "join", Name: "n1"}}, nil
}

func (n *fakeNode) Explain(_ context.Context, key replica.Key) (Explanation, error) {
	cell, _ := n.Local(key)
	x := Explanation{Slot: int(key.Slot), Partition: int(key.Slot) / 64}
	x.Replicas = append(x.Replicas, KeyReplica{Name: "n1", Role: "owner", Up: true, Asked: true},
		KeyReplica{Name: "n2", Role: "fallback"},
		KeyReplica{Name: "n3", Role: "fallback", Up: true, Asked: true, Hints: 1, Hinted: []string{"[(n1,7)]"}})
	if cell != nil {
		x.Replicas[0].Digest = "00000000000000ff"
		for i := range cell.Versions {
			x.Replicas[0].Clocks = append(x.Replicas[0].Clocks, version.FormatClock(cell.Versions[i].Clock(), n.ActorName))
		}
	}
	return x, nil
}

// live returns the live keys by slot and key.
func (n *fakeNode) live() []string {
	now := n.time().UnixMilli()
	n.mu.Lock()
	defer n.mu.Unlock()
	var keys []string
	for k, cell := range n.cells {
		if _, ok := cell.Winner(now); ok {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(ring.Slot([]byte(a)), ring.Slot([]byte(b))), cmp.Compare(a, b))
	})
	return keys
}

func (n *fakeNode) Count(_ context.Context, in ...ring.Range) (k Keys, err error) {
	for _, key := range n.liveIn(in) {
		cell, _ := n.Local(replica.Key{Key: []byte(key)})
		k.Live++
		if s, _ := cell.Winner(n.time().UnixMilli()); s.Version.Expiry > 0 {
			k.Expiring++
			k.MeanTTL += s.Version.Expiry - n.time().UnixMilli()
		}
	}
	k.MeanTTL /= max(k.Expiring, 1)
	return k, nil
}

func (n *fakeNode) Members() int { return len(n.nodes) }

func (n *fakeNode) Expired() int64 { return 0 }

// liveIn returns the live keys of ranges of slots, or all.
func (n *fakeNode) liveIn(in []ring.Range) []string {
	return slices.DeleteFunc(n.live(), func(k string) bool {
		slot := ring.Slot([]byte(k))
		return len(in) > 0 && !slices.ContainsFunc(in, func(r ring.Range) bool { return r.Contains(slot) })
	})
}

func (n *fakeNode) Scan(_ context.Context, from Position, last uint16, limit int) (Page, error) {
	page := Page{Next: from}
	if n.scanFault != nil {
		if err := n.scanFault(from); err != nil {
			return page, err
		}
	}
	for _, k := range n.live() {
		slot := ring.Slot([]byte(k))
		if slot < from.Slot || slot == from.Slot && from.After != nil && k <= string(from.After) {
			continue
		}
		if slot > last {
			break
		}
		if len(page.Keys) == limit {
			return page, nil
		}
		page.Keys = append(page.Keys, ScannedKey{[]byte(k), "string"})
		page.Next = Position{slot, []byte(k)}
	}
	page.Done = true
	return page, nil
}

// Seek finds deleted keys too, as a replica does.
func (n *fakeNode) Seek(_ context.Context, slot uint16, is func([]byte) bool) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k := range n.cells {
		if ring.Slot([]byte(k)) == slot && is([]byte(k)) {
			return []byte(k), nil
		}
	}
	return nil, nil
}

func (n *fakeNode) Sweep(_ context.Context, in []ring.Range, handle func([]replica.KeyedCell) error) error {
	for keys := range slices.Chunk(n.liveIn(in), 7) {
		var cells []replica.KeyedCell
		for _, k := range keys {
			key := replica.Key{Slot: ring.Slot([]byte(k)), Key: []byte(k)}
			cell, _ := n.Local(key)
			cells = append(cells, replica.KeyedCell{Key: key, Cell: cell.Stripped()})
		}
		if err := handle(cells); err != nil {
			return err
		}
	}
	return nil
}

// Tell is heard by the others at once.
func (n *fakeNode) Tell(message []byte) func() [][]byte {
	var answers [][]byte
	for _, other := range n.nodes {
		if other != n {
			answers = append(answers, other.server.Hear(bytes.Clone(message)))
		}
	}
	return func() [][]byte { return answers }
}

func (n *fakeNode) Info() []Section {
	return []Section{
		{"Dynaring", []Field{{"dynaring_node", n.name}}},
		{"Memory", []Field{{"dynaring_cache", "1"}}},
	}
}

// client returns a session with a node, as a connection has it.
func (n *fakeNode) client() *Session { return n.server.newSession("127.0.0.1:50000", "127.0.0.1:6379") }

// do runs commands as one pipeline and returns the bytes of their replies.
func (n *fakeNode) do(ss *Session, commands ...[][]byte) []byte {
	reqs := make([]Request, len(commands))
	for i := range reqs {
		reqs[i].Args = commands[i]
	}
	b := n.server.take(context.Background(), ss)
	b.run(reqs)
	out := bytes.Clone(b.buf)
	n.server.give(b)
	return out
}

// words is a command of a line, as it would be typed.
func words(line string) [][]byte {
	args, ok := splitInline([]byte(line))
	if !ok || len(args) == 0 {
		panic("not a command: " + line)
	}
	return args
}

var errDisk = errors.New("open /var/lib/secret: permission denied")
