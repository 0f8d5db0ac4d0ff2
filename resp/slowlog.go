package resp

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Bounds of what the slow log keeps of a command, as in Redis.
const (
	slowArgs = 32  // arguments
	slowArg  = 128 // bytes of one
)

// slowLog is the commands that took long, the latest last. Its methods may be
// called from any goroutine.
type slowLog struct {
	mu struct {
		sync.Mutex
		entries []slowEntry
		next    int64 // id
	}
}

// slowEntry is one of them.
type slowEntry struct {
	id         int64
	at         int64 // Unix seconds, when it had ended
	took       time.Duration
	args       []string
	addr, name string // the client's
}

// add appends an entry, and drops what is more than most.
func (l *slowLog) add(e slowEntry, most int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.id = l.mu.next
	l.mu.next++
	l.mu.entries = append(l.mu.entries, e)
	l.cut(most)
}

// cut is called under the mutex.
func (l *slowLog) cut(most int64) {
	if over := int64(len(l.mu.entries)) - most; over > 0 {
		l.mu.entries = slices.Delete(l.mu.entries, 0, int(over))
	}
}

// shrink drops the oldest entries beyond most.
func (l *slowLog) shrink(most int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut(most)
}

func (l *slowLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.entries = nil
}

func (l *slowLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.mu.entries)
}

// latest returns up to n entries, the latest first; n < 0: all.
func (l *slowLog) latest(n int64) []slowEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if all := int64(len(l.mu.entries)); n < 0 || n > all {
		n = all
	}
	out := slices.Clone(l.mu.entries[int64(len(l.mu.entries))-n:])
	slices.Reverse(out)
	return out
}

// slowEntry describes a command, and how many of its pipeline ran with it.
func (b *batch) slowEntry(st *step, took time.Duration, more int) slowEntry {
	e := slowEntry{at: b.mark.Unix(), took: took, addr: b.ss.addr, name: b.ss.name}
	args := withoutSecrets(st.row, st.args)
	for i, a := range args {
		if i == slowArgs-1 && len(args) > slowArgs {
			e.args = append(e.args, fmt.Sprintf("... (%d more arguments)", len(args)-i))
			break
		}
		if len(a) > slowArg {
			e.args = append(e.args, fmt.Sprintf("%s... (%d more bytes)", a[:slowArg], len(a)-slowArg))
			continue
		}
		e.args = append(e.args, string(a))
	}
	if more > 0 {
		e.args = append(e.args, fmt.Sprintf("... (%d more commands of its pipeline)", more))
	}
	return e
}

// secretParameters are those whose values no log shows.
var secretParameters = []string{"REQUIREPASS", "MASTERAUTH", "MASTERUSER", "TLS-KEY-FILE-PASS", "TLS-CLIENT-KEY-FILE-PASS"}

// withoutSecrets returns a command's arguments without passwords.
func withoutSecrets(r *row, args [][]byte) [][]byte {
	from, to := secrets(args)
	if from == to && r.name != "config|set" {
		return args
	}
	args = slices.Clone(args)
	for i := from; i < min(to, len(args)); i++ {
		args[i] = redacted
	}
	if r.name == "config|set" {
		for i := 2; i+1 < len(args); i += 2 {
			if slices.Contains(secretParameters, upper(args[i])) {
				args[i+1] = redacted
			}
		}
	}
	return args
}

// slowlogGet answers entries, of ten if it is not told otherwise.
func slowlogGet(b *batch, args [][]byte) {
	const byDefault = 10
	n := int64(byDefault)
	if len(args) > 3 {
		b.fail(errSubcommandArgs(args))
		return
	}
	if len(args) == 3 {
		var err error
		if n, err = parseInt(args[2]); err != nil || n < -1 {
			b.error("ERR count should be greater than or equal to -1")
			return
		}
	}
	entries := b.s.slowLog.latest(n)
	b.array(len(entries))
	for _, e := range entries {
		b.array(6)
		b.int(e.id)
		b.int(e.at)
		b.int(e.took.Microseconds())
		b.array(len(e.args))
		for _, a := range e.args {
			b.str(a)
		}
		b.str(e.addr)
		b.str(e.name)
	}
}

func slowlogLen(b *batch, _ [][]byte) { b.int(int64(b.s.slowLog.len())) }

func slowlogReset(b *batch, _ [][]byte) {
	b.s.slowLog.reset()
	b.ok()
}

func slowlogHelp(b *batch, _ [][]byte) {
	b.help("SLOWLOG",
		"GET [<count>]",
		"    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
		"    Entries are made of:",
		"    id, timestamp, time in microseconds, arguments array, client IP and port,",
		"    client name",
		"LEN",
		"    Return the length of the slowlog.",
		"RESET",
		"    Reset the slowlog.")
}
