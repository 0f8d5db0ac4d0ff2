package resp

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of the log of failed authentications, as in Redis but for the name's.
const (
	deniedApart  = time.Minute // between two that are one entry
	deniedLooked = 10          // entries that are looked at for it
	deniedName   = maxBulkUnauth
)

// denials is the clients that gave a wrong user or password, the latest last.
// Its methods may be called from any goroutine.
type denials struct {
	mu struct {
		sync.Mutex
		entries []denial
	}
}

// denial is attempts to be the same user, by the same word.
type denial struct {
	count      int64
	word, user string
	at         int64  // Unix ms, of the last
	clientInfo string // of the last
}

// add counts an attempt, and drops what is more than most entries.
func (d *denials) add(e denial, most int64) {
	e.count = 1
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.mu.entries) - 1; i >= max(0, len(d.mu.entries)-deniedLooked); i-- {
		if old := d.mu.entries[i]; old.word == e.word && old.user == e.user && e.at-old.at <= deniedApart.Milliseconds() {
			e.count += old.count
			d.mu.entries = slices.Delete(d.mu.entries, i, i+1)
			break
		}
	}
	d.mu.entries = append(d.mu.entries, e)
	if over := int64(len(d.mu.entries)) - most; over > 0 {
		d.mu.entries = slices.Delete(d.mu.entries, 0, int(over))
	}
}

func (d *denials) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.entries = nil
}

// latest returns up to n entries, the latest first.
func (d *denials) latest(n int64) []denial {
	d.mu.Lock()
	defer d.mu.Unlock()
	n = min(max(n, 0), int64(len(d.mu.entries)))
	out := slices.Clone(d.mu.entries[int64(len(d.mu.entries))-n:])
	slices.Reverse(out)
	return out
}

// authenticate checks what a client's command says of a user, and logs it if it
// is wrong.
func (b *batch) authenticate(command [][]byte, user string, password []byte) bool {
	if b.s.authenticate(user, password) {
		return true
	}
	b.s.denials.add(denial{
		word: string(command[0]), user: user[:min(len(user), deniedName)], at: b.now,
		clientInfo: strings.TrimSuffix(b.describe(b.ss.client), "\n"),
	}, b.s.settings().deniedMost)
	return false
}

// aclLog answers the latest failed authentications, of ten if it is not told
// otherwise.
func aclLog(b *batch, args [][]byte) {
	const byDefault = 10
	n := int64(byDefault)
	switch {
	case len(args) > 3:
		b.fail(errSubcommandArgs(args))
		return
	case len(args) == 3 && is(args[2], "RESET"):
		b.s.denials.reset()
		b.ok()
		return
	case len(args) == 3:
		var err error
		if n, err = parseInt(args[2]); err != nil {
			b.fail(err)
			return
		}
	}
	entries := b.s.denials.latest(n)
	b.array(len(entries))
	for _, e := range entries {
		b.mapping(7)
		b.number("count", e.count)
		b.field("reason", "auth")
		b.field("context", "toplevel")
		b.field("object", e.word)
		b.field("username", e.user)
		b.double("age-seconds", float64(b.now-e.at)/float64(time.Second/time.Millisecond))
		b.field("client-info", e.clientInfo)
	}
}
