package resp

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// monitors are the clients that asked for MONITOR.
type monitors struct {
	on  atomic.Bool // there are some
	mu  sync.Mutex
	out []*outbox // never changed, replaced
}

func (m *monitors) add(o *outbox) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out = append(m.out[:len(m.out):len(m.out)], o)
	m.on.Store(true)
}

func (m *monitors) remove(o *outbox) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out = slices.DeleteFunc(slices.Clone(m.out), func(other *outbox) bool { return other == o })
	m.on.Store(len(m.out) > 0)
}

// feed shows a command to all monitors.
func (m *monitors) feed(now time.Time, c *client, args [][]byte) {
	m.mu.Lock()
	out := m.out
	m.mu.Unlock()
	if len(out) == 0 {
		return
	}
	p := push{line: monitorLine(now, c.addr, args)}
	for _, o := range out {
		o.show(&p)
	}
}

// monitorLine is what MONITOR shows of a command:
//
//	+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"
func monitorLine(now time.Time, addr string, args [][]byte) []byte {
	line := fmt.Appendf(nil, "+%d.%06d [0 %s]", now.Unix(), now.Nanosecond()/1000, addr)
	from, to := secrets(args)
	for i, a := range args {
		line = append(line, ' ')
		if i >= from && i < to {
			a = redacted
		}
		line = appendQuoted(line, a)
	}
	return append(line, '\r', '\n')
}

// redacted is shown instead of users and passwords.
var redacted = []byte("(redacted)")

// secrets returns which arguments of a command are not shown: [from, to).
func secrets(args [][]byte) (from, to int) {
	switch {
	case is(args[0], "AUTH"):
		return 1, len(args)
	case is(args[0], "HELLO"):
		for i := 2; i < len(args); i++ {
			if is(args[i], "AUTH") {
				return i + 1, i + 3
			}
			i++ // SETNAME's
		}
	}
	return 0, 0
}

// appendQuoted quotes bytes as Redis shows them to people.
func appendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ' && c <= '~':
			dst = append(dst, c)
		default:
			dst = appendEscaped(dst, c)
		}
	}
	return append(dst, '"')
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case '\a':
		return append(dst, '\\', 'a')
	case '\b':
		return append(dst, '\\', 'b')
	}
	if c < 16 {
		return strconv.AppendUint(append(dst, '\\', 'x', '0'), uint64(c), 16)
	}
	return strconv.AppendUint(append(dst, '\\', 'x'), uint64(c), 16)
}

// monitor shows this client what all of this node's clients ask from now on. A
// second time it is not even answered, as in Redis.
func monitor(b *batch, _ [][]byte) {
	if b.ss.monitor {
		return
	}
	o := b.ss.outbox()
	b.ok()
	b.sendNow()
	o.setMonitor(true)
	b.s.monitors.add(o)
	b.ss.monitor = true
	b.modeChanged()
}
