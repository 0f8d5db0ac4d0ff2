package resp

import (
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// OutputLimit bounds what waits for a client that is pushed to and reads more
// slowly than it is: beyond it the client is cut off. It is Redis's
// client-output-buffer-limit of the class pubsub.
type OutputLimit struct {
	Hard    int           // bytes, at no time
	Soft    int           // bytes, not for longer than SoftFor
	SoftFor time.Duration //
}

// DefaultOutputLimit is Redis's: 32mb 8mb 60.
var DefaultOutputLimit = OutputLimit{Hard: 32 << 20, Soft: 8 << 20, SoftFor: time.Minute}

const (
	replyRoom  = 1 << 20         // bytes that wait in an outbox before its client's own replies do
	writeChunk = 1 << 20         // bytes of one write, unless one push is larger
	flushTime  = 5 * time.Second // for a client that leaves to read what is left
)

// outbox is the way out to a client that is pushed to: messages of channels, and
// what MONITOR shows. A connection gets one with its first subscription; its
// own replies then go through it too, in whole pieces, so nothing is ever
// written into the middle of something else.
//
// Pushes come from any goroutine and never wait: they queue up to the limit,
// beyond which the client is cut off. Replies wait for room, as they would for
// the socket. One goroutine writes; close joins it.
type outbox struct {
	sock    net.Conn
	limit   OutputLimit
	now     func() time.Time
	wrote   func(int)         // counts bytes
	cutOff  func(waiting int) // is told that the limit was passed
	written chan struct{}     // closed when the writer has ended
	work    *sync.Cond        // something to write, or the end
	room    *sync.Cond        // something was written, or the end
	mu      struct {
		sync.Mutex
		proto   int
		subs    [channelKinds]map[string]struct{}
		queue   [][]byte // shared, and never changed
		waiting int      // bytes of the queue and of the write under way
		monitor bool
		held    bool
		behind  [][]byte  // pushes that came while they were held
		since   time.Time // the soft limit was passed; zero: it is not
		ending  bool      // nothing is queued any more, what is there is written
		broken  bool      // nothing is written any more
	}
}

// channelKind tells the three namespaces of subscriptions.
type channelKind uint8

const (
	plainChannel channelKind = iota
	channelPattern
	shardChannel
	channelKinds
)

// newOutbox returns an outbox whose writer runs until close.
func newOutbox(sock net.Conn, s *Server, proto int, cutOff func(waiting int)) *outbox {
	o := &outbox{
		sock: sock, limit: s.opts.PushLimit, now: s.opts.Now, cutOff: cutOff,
		wrote: func(n int) { s.stats.out.Add(int64(n)) }, written: make(chan struct{}),
	}
	o.mu.proto = proto
	o.work, o.room = sync.NewCond(&o.mu), sync.NewCond(&o.mu)
	go o.write()
	return o
}

// write writes what is queued until the end.
func (o *outbox) write() {
	defer close(o.written)
	for {
		pieces, size := o.next()
		if size == 0 {
			return
		}
		n, err := pieces.WriteTo(o.sock)
		o.wrote(int(n))
		o.mu.Lock()
		if !o.mu.broken {
			o.mu.waiting -= size
		}
		if err != nil {
			o.drop()
		}
		o.room.Broadcast()
		o.mu.Unlock()
	}
}

// next waits for what is to be written together; nothing: it is the end.
func (o *outbox) next() (pieces net.Buffers, size int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.mu.queue) == 0 && !o.mu.ending && !o.mu.broken {
		o.work.Wait()
	}
	if o.mu.broken {
		return nil, 0
	}
	n := 0
	for n < len(o.mu.queue) && (n == 0 || size+len(o.mu.queue[n]) <= writeChunk) {
		size += len(o.mu.queue[n])
		n++
	}
	pieces = append(pieces, o.mu.queue[:n]...)
	clear(o.mu.queue[:n])
	o.mu.queue = o.mu.queue[n:]
	return pieces, size
}

// drop forgets what is queued, for good. The lock is held.
func (o *outbox) drop() {
	o.mu.broken = true
	o.mu.queue, o.mu.behind, o.mu.waiting = nil, nil, 0
	o.work.Signal()
	o.room.Broadcast()
}

// reply queues a copy of p, the connection's own words, when there is room. It
// does not wait while pushes are held: they would.
func (o *outbox) reply(p []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.mu.waiting > replyRoom && !o.mu.held && !o.mu.broken {
		o.room.Wait()
	}
	if o.mu.broken {
		return net.ErrClosed
	}
	o.queue(append([]byte(nil), p...))
	return nil
}

// queue queues a piece. The lock is held.
func (o *outbox) queue(p []byte) {
	o.mu.queue = append(o.mu.queue, p)
	o.mu.waiting += len(p)
	o.work.Signal()
}

// deliver queues a message to a subscription, and reports whether the client
// has it: one that is cut off for it counts, as in Redis.
func (o *outbox) deliver(p *push, kind channelKind, name string) bool {
	o.mu.Lock()
	_, has := o.mu.subs[kind][name]
	has = has && !o.mu.broken && !o.mu.ending
	over := 0
	if has {
		over = o.push(p)
	}
	o.mu.Unlock()
	if over > 0 {
		o.cutOff(over)
	}
	return has
}

// show queues a line of MONITOR, if the client still wants them.
func (o *outbox) show(p *push) {
	o.mu.Lock()
	over := 0
	if o.mu.monitor {
		over = o.push(p)
	}
	o.mu.Unlock()
	if over > 0 {
		o.cutOff(over)
	}
}

// push queues what was made for many. It returns what was waiting, where that
// passed the limit. The lock is held.
func (o *outbox) push(p *push) (over int) {
	if o.mu.broken || o.mu.ending {
		return 0
	}
	piece := p.bytes(o.mu.proto)
	if o.mu.held {
		o.mu.behind = append(o.mu.behind, piece)
		o.mu.waiting += len(piece)
	} else {
		o.queue(piece)
	}
	if !o.passed() {
		return 0
	}
	over = o.mu.waiting
	o.drop()
	return over
}

// passed reports whether the limit is passed. The lock is held.
func (o *outbox) passed() bool {
	switch {
	case o.mu.waiting > o.limit.Hard:
		return true
	case o.mu.waiting <= o.limit.Soft:
		o.mu.since = time.Time{}
		return false
	case o.mu.since.IsZero():
		o.mu.since = o.now()
		return false
	}
	return o.now().Sub(o.mu.since) > o.limit.SoftFor
}

// hold keeps pushes back until release: what the connection says meanwhile
// comes before them.
func (o *outbox) hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.held = true
}

func (o *outbox) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.held = false
	o.mu.queue = append(o.mu.queue, o.mu.behind...)
	o.mu.behind = nil
	o.work.Signal()
}

// close has what is queued written, within flushTime, and joins the writer.
func (o *outbox) close() {
	o.mu.Lock()
	o.mu.ending = true
	o.work.Signal()
	o.mu.Unlock()
	o.sock.SetWriteDeadline(time.Now().Add(flushTime))
	<-o.written
}

// abandon drops what is queued, and whatever is to come.
func (o *outbox) abandon() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop()
}

// setProto says in which protocol to push from now on.
func (o *outbox) setProto(proto int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.proto = proto
}

// subscribe and unsubscribe return whether that changed anything. From then on
// messages come, or do not.
func (o *outbox) subscribe(kind channelKind, name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	subs := o.mu.subs[kind]
	if _, has := subs[name]; has {
		return false
	}
	if subs == nil {
		subs = map[string]struct{}{}
		o.mu.subs[kind] = subs
	}
	subs[name] = struct{}{}
	return true
}

func (o *outbox) unsubscribe(kind channelKind, name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, has := o.mu.subs[kind][name]
	delete(o.mu.subs[kind], name)
	return has
}

// subscriptions returns the names of one kind, in no order.
func (o *outbox) subscriptions(kind channelKind) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Keys(o.mu.subs[kind]))
}

// counts returns the numbers of subscriptions.
func (o *outbox) counts() (n [channelKinds]int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for kind, subs := range o.mu.subs {
		n[kind] = len(subs)
	}
	return n
}

// setMonitor says whether lines of MONITOR are wanted.
func (o *outbox) setMonitor(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.monitor = on
}

// sizes returns the bytes that wait and the number of pieces.
func (o *outbox) sizes() (waiting, pieces int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mu.waiting, len(o.mu.queue) + len(o.mu.behind)
}

// push is something that several clients are sent, in either protocol.
type push struct {
	parts [][]byte          // bulk strings of one push
	made  [resp3 + 1][]byte // by protocol
	line  []byte            // or this, in both: a line of MONITOR
}

// bytes returns the push in a protocol, made when it is first asked for.
func (p *push) bytes(proto int) []byte {
	if p.line != nil {
		return p.line
	}
	if p.made[proto] == nil {
		size := 16
		for _, part := range p.parts {
			size += len(part) + 16
		}
		r := reply{buf: make([]byte, 0, size), proto: proto}
		r.push(len(p.parts))
		for _, part := range p.parts {
			r.bulk(part)
		}
		p.made[proto] = r.buf
	}
	return p.made[proto]
}
