package peer

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dynaring/dynaring/storage/version"
)

// link is one open connection, dialled or accepted. Two goroutines live with
// it, the reader (run's own) and the flusher; whatever ends the one ends the
// other, through fail.
type link struct {
	conn     net.Conn
	who      Identity // the other end, as its handshake proved
	class    Class
	accepted bool
	opt      *Options
	now      func() int64 // ns since Peers.epoch
	since    int64        // when the link began

	// receive handles a frame; at is when it was read. It runs on the reader.
	receive func(f frame, at int64) error

	wake   chan struct{} // capacity 1: the flusher has something to do
	resume chan struct{} // capacity 1: the reader may go on

	// When bytes last arrived, and, dialled, when the first call was sent since.
	// Bytes that arrive in the instant of that call were heard after it: where
	// time is virtual, answers come at once.
	heard, asked atomic.Int64

	reading atomic.Int64 // since when the reader waits for bytes; 0: it has some
	wrote   atomic.Int64 // when bytes were last written
	suspect atomic.Bool  // nothing has arrived for too long since a call was sent
	over    atomic.Bool  // queued bytes are over the mark
	leaving atomic.Bool  // dialled: the other end is shutting down

	framesIn, bytesIn atomic.Uint64

	silence silence   // dialled: the sweeper's own
	latency *latency  // dialled: of the peer, whichever connection it is
	handler Handler   // accepted
	slab    []Request // accepted: the reader's next requests

	mu struct {
		sync.Mutex
		out      []byte // frames to be written, without checksums
		spare    []byte // the buffer that out is swapped with
		writing  int    // bytes that the flusher holds
		flushing bool   // the flusher is at work, or has been woken
		waiting  bool   // the reader waits on resume
		draining bool   // shutting down: nothing new, close when all is answered
		err      error  // why the link failed; nothing is queued any more
		calls    calls  // dialled: requests in flight
		serving  int    // accepted: requests whose reply is due
		// The stream's position behind out, and behind what was ever handed to
		// the connection: a call at or after handed was certainly not sent.
		queued, handed uint64

		framesOut, writes, overloads, timeouts uint64
	}
}

func newLink(conn net.Conn, who Identity, class Class, opt *Options, now func() int64) *link {
	l := &link{
		conn: conn, who: who, class: class, opt: opt, now: now, since: now(),
		wake: make(chan struct{}, 1), resume: make(chan struct{}, 1),
	}
	l.heard.Store(l.since)
	l.wrote.Store(l.since)
	return l
}

// run serves the connection until it fails, and returns why it did.
func (l *link) run() error {
	var flusher sync.WaitGroup
	flusher.Go(l.flush)
	l.fail(l.read())
	flusher.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.err
}

// fail ends the link, for the first of the reasons it is given: it closes the
// connection and answers the calls in flight.
func (l *link) fail(err error) {
	l.mu.Lock()
	if l.mu.err != nil {
		l.mu.Unlock()
		return
	}
	l.mu.err = err
	handed := l.mu.handed
	inFlight := l.mu.calls.takeAll()
	l.mu.out, l.mu.spare = nil, nil
	l.mu.Unlock()

	l.suspect.Store(true)
	// Beneath TLS, whose own Close writes and could wait for a frozen peer.
	conn := l.conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	conn.Close()
	signal(l.wake)
	signal(l.resume)
	for _, c := range inFlight {
		if c.pos >= handed {
			c.done(Reply{Err: ErrUnreachable})
		} else {
			c.done(Reply{Err: ErrLost})
		}
	}
}

// drain ends the link once what is queued is written and, if it was accepted,
// the requests being served are answered.
func (l *link) drain() {
	l.mu.Lock()
	l.mu.draining = true
	l.mu.flushing = true
	l.mu.Unlock()
	signal(l.wake)
}

// enqueue appends a frame; the mutex is held. The caller unlocks it, and then
// wakes the flusher if enqueue says so.
func (l *link) enqueue(f frame) (wake bool) {
	before := len(l.mu.out)
	l.mu.out = appendFrame(l.mu.out, f)
	l.mu.queued += uint64(len(l.mu.out) - before)
	l.mu.framesOut++
	if l.accepted && len(l.mu.out)+l.mu.writing > l.opt.MaxQueued/4 {
		l.over.Store(true)
	}
	wake = !l.mu.flushing
	l.mu.flushing = true
	return wake
}

// full reports whether a body of n bytes is more than may be queued; the mutex
// is held. A single frame always may, or the largest could never be sent.
func (l *link) full(n int) bool {
	queued := len(l.mu.out) + l.mu.writing
	return queued > 0 && queued+maxOverhead+n > l.opt.MaxQueued
}

// flush writes what is queued, until the link fails.
func (l *link) flush() {
	for range l.wake {
		for {
			// Let those who are about to send append first: one write for all.
			runtime.Gosched()
			buf, err := l.swap()
			if err != nil {
				l.fail(err)
				return
			}
			if buf == nil {
				break
			}
			if err := l.write(buf); err != nil {
				l.fail(err)
				return
			}
		}
	}
}

// swap takes what is queued. It returns nil when that is nothing, after which
// the flusher must be woken again.
func (l *link) swap() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.err != nil {
		return nil, l.mu.err
	}
	if len(l.mu.out) == 0 {
		l.mu.flushing = false
		if l.mu.draining && l.mu.serving == 0 {
			return nil, errStopped
		}
		return nil, nil
	}
	buf := l.mu.out
	l.mu.out, l.mu.spare = l.mu.spare[:0], nil
	l.mu.writing = len(buf)
	l.mu.handed = l.mu.queued
	l.mu.writes++
	return buf, nil
}

// write writes frames. The deadline is per chunk: a slow peer may take its
// time for a large frame, one that takes nothing at all may not.
func (l *link) write(buf []byte) error {
	seal(buf)
	for rest := buf; len(rest) > 0; {
		chunk := rest[:min(len(rest), writeChunk)]
		rest = rest[len(chunk):]
		if err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if _, err := l.conn.Write(chunk); err != nil {
			return err
		}
		l.wrote.Store(l.now())
		l.written(len(chunk), buf, len(rest) == 0)
	}
	return nil
}

// written accounts for n bytes written of buf, which is kept for reuse when it
// is done with, and lets the reader go on if it waited for that.
func (l *link) written(n int, buf []byte, whole bool) {
	l.mu.Lock()
	l.mu.writing -= n
	if whole && cap(buf) <= writeChunk && l.mu.err == nil {
		l.mu.spare = buf
	}
	resume := false
	if l.over.Load() && len(l.mu.out)+l.mu.writing <= l.opt.MaxQueued/8 {
		l.over.Store(false)
		resume = l.mu.waiting
	}
	l.mu.Unlock()
	if resume {
		signal(l.resume)
	}
}

// pause holds the reader back while the other end does not read its replies.
func (l *link) pause() error {
	for {
		l.mu.Lock()
		err, over := l.mu.err, l.over.Load()
		l.mu.waiting = err == nil && over
		l.mu.Unlock()
		if err != nil || !over {
			return err
		}
		<-l.resume
	}
}

// read handles frames until the connection fails.
func (l *link) read() error {
	buf := make([]byte, readBuffer)
	r, w := 0, 0
	for {
		l.reading.Store(l.now())
		n, err := l.conn.Read(buf[w:])
		l.reading.Store(0)
		at := l.arrived(n)
		w += n
		size := 0
		for {
			var ferr error
			if size, ferr = frameSize(buf[r:w], l.opt.MaxFrame); ferr != nil {
				return ferr
			}
			if size == 0 || w-r < size {
				break
			}
			if ferr := l.handle(buf[r:r+size], at); ferr != nil {
				return ferr
			}
			r += size
		}
		if err != nil {
			return err
		}
		if size > len(buf) {
			if err := l.readLarge(buf[r:w], size); err != nil {
				return err
			}
			r = w
		}
		w = copy(buf, buf[r:w])
		r = 0
	}
}

// readLarge reads and handles a frame of size bytes, which begins with have.
// Memory grows with what arrives, not with what the length claims.
func (l *link) readLarge(have []byte, size int) error {
	frame := append(make([]byte, 0, min(size, largeStart)), have...)
	for len(frame) < size {
		if len(frame) == cap(frame) {
			frame = append(make([]byte, 0, min(size, 2*cap(frame))), frame...)
		}
		l.reading.Store(l.now())
		n, err := l.conn.Read(frame[len(frame):cap(frame)])
		l.reading.Store(0)
		l.arrived(n)
		frame = frame[:len(frame)+n]
		if err != nil && len(frame) < size {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return l.handle(frame, l.now())
}

// arrived notes that n bytes have arrived, and returns the time.
func (l *link) arrived(n int) int64 {
	at := l.now()
	if n > 0 {
		l.heard.Store(max(at, l.asked.Load()+1))
		l.bytesIn.Add(uint64(n))
		if l.suspect.Load() {
			l.trust()
		}
	}
	return at
}

// trust ends a suspicion, unless the link has failed.
func (l *link) trust() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.err == nil {
		l.suspect.Store(false)
	}
}

// handle decodes one frame and passes it on.
func (l *link) handle(b []byte, at int64) error {
	f, err := decodeFrame(b)
	if err != nil {
		return err
	}
	l.framesIn.Add(1)
	l.opt.Clock.Observe(f.clock)
	if l.over.Load() {
		if err := l.pause(); err != nil {
			return err
		}
	}
	return l.receive(f, at)
}

// send queues a frame that bears no call: pings and their answers. It returns
// where in the connection's stream the frame ends.
func (l *link) send(f frame) (end uint64) {
	f.clock = l.stamp()
	l.mu.Lock()
	wake := false
	if l.mu.err == nil {
		wake = l.enqueue(f)
	}
	end = l.mu.queued
	l.mu.Unlock()
	if wake {
		signal(l.wake)
	}
	return end
}

func (l *link) stamp() version.Timestamp { return l.opt.Clock.Now() }

// signal wakes whoever waits on a channel of capacity 1, now or next.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
