package resp

import (
	"fmt"
	"sync"
	"time"
)

// saves is what became of the commands that save.
type saves struct {
	mu struct {
		sync.Mutex
		last  time.Time // when one succeeded; the start
		took  time.Duration
		count int64
		ok    bool // the latest one
	}
}

func (s *saves) init(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.last, s.mu.took, s.mu.ok = now, -time.Second, true
}

func (s *saves) state() (last time.Time, took time.Duration, count int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.last, s.mu.took, s.mu.count, s.mu.ok
}

// save puts everything on disk. What is acknowledged is there already but
// where --durability says otherwise, so it does not take long.
func (s *Server) save() error {
	began := s.opts.Now()
	var err error
	if sync := s.opts.Process.Sync; sync != nil {
		err = sync()
	}
	now := s.opts.Now()
	s.saves.mu.Lock()
	defer s.saves.mu.Unlock()
	if s.saves.mu.ok = err == nil; err == nil {
		s.saves.mu.last, s.saves.mu.took = now, now.Sub(began)
		s.saves.mu.count++
	}
	return err
}

// saved saves and answers a text.
func (b *batch) saved(text string) {
	if err := b.s.save(); err != nil {
		b.fail(err)
		return
	}
	b.simple(text)
}

func saveNow(b *batch, _ [][]byte) { b.saved("OK") }

func bgSave(b *batch, args [][]byte) {
	if len(args) > 2 || len(args) == 2 && !is(args[1], "SCHEDULE") {
		b.fail(errSyntax)
		return
	}
	b.saved("Background saving started")
}

func bgRewriteAOF(b *batch, _ [][]byte) { b.saved("Background append only file rewriting started") }

func lastSave(b *batch, _ [][]byte) {
	last, _, _, _ := b.s.saves.state()
	b.int(last.Unix())
}

// shutdown stops this node cleanly. As in Redis there is no reply, but the
// connection's end.
func shutdown(b *batch, args [][]byte) {
	var save, noSave, now, force, abort bool
	for _, a := range args[1:] {
		switch {
		case is(a, "SAVE"):
			save = true
		case is(a, "NOSAVE"):
			noSave = true
		case is(a, "NOW"):
			now = true
		case is(a, "FORCE"):
			force = true
		case is(a, "ABORT"):
			abort = true
		default:
			b.fail(errSyntax)
			return
		}
	}
	stop := b.s.opts.Process.Stop
	switch {
	case save && noSave, abort && (save || noSave || now || force):
		b.fail(errSyntax)
	case abort:
		b.error("ERR No shutdown in progress.")
	case stop == nil:
		b.error("ERR this process cannot be stopped by its clients")
	default:
		b.s.log.Info(fmt.Sprintf("stopping, as asked by %s with SHUTDOWN", b.ss.addr))
		b.ss.closed = true
		stop()
	}
}
