package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// fault is the first fatal error of a store, and sticks.
//
// Once it is set nothing is read, written or acknowledged any more, and guardFS
// lets nothing more reach the disk: what is there is what a power cut at that
// moment would have left, which is a state that the next Open knows how to
// take up.
type fault struct {
	dir     string
	logger  *slog.Logger
	onFatal func(error) // may be nil
	first   atomic.Pointer[error]
	opened  atomic.Bool // Open has returned the store: from now on onFatal is told
	told    atomic.Bool
}

// err returns the sticky error, nil while all is well.
func (f *fault) err() error {
	if e := f.first.Load(); e != nil {
		return *e
	}
	return nil
}

// set makes cause the sticky error if it is the first, and returns the sticky
// error.
func (f *fault) set(what string, cause error) error {
	if err := f.err(); err != nil {
		return err
	}
	cause = asDamage(cause)
	err := fmt.Errorf("%w: %s: %s: %w; %s", ErrFailed, f.dir, what, cause, advice(cause))
	if f.first.CompareAndSwap(nil, &err) {
		f.logger.Error("the data directory failed", "dir", f.dir, "during", what, "error", cause)
	}
	f.tell()
	return f.err()
}

// tell tells onFatal of the fault, once, on a goroutine of its own: the caller
// may be Pebble holding its locks, and onFatal may well close the store. What
// fails inside Open is Open's to answer.
func (f *fault) tell() {
	if f.onFatal != nil && f.opened.Load() && f.err() != nil && f.told.CompareAndSwap(false, true) {
		go f.onFatal(f.err())
	}
}

// pebbleLogger is Pebble's logger.
//
// Pebble calls Fatalf when it cannot go on (a MANIFEST it cannot write, a state
// it knows to be impossible) and expects the process to end there. Three ways
// out are wrong here: os.Exit ends the node without an explanation or a
// goodbye; runtime.Goexit and blocking leave Pebble's locks held, so the stop
// would hang; a panic ends the process with a stack instead of a sentence. So
// Fatalf sets the fault, which freezes the disk, and returns. The error that
// Pebble meant to die of is then answered to every caller, whatever Pebble
// believes to have stored afterwards goes nowhere, and Options.OnFatal stops the
// node. Errors of writes and syncs do not even get here: guardFS takes them.
type pebbleLogger struct{ fault *fault }

func (l pebbleLogger) Infof(format string, args ...any) {
	if !l.fault.logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	l.fault.logger.Debug(fmt.Sprintf(format, args...), "from", "pebble")
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.fault.logger.Error(fmt.Sprintf(format, args...), "from", "pebble")
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	e := &fatalError{text: fmt.Sprintf(format, args...)}
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			e.cause = err
		}
	}
	l.fault.set("pebble cannot go on", e)
}

// fatalError is what Pebble said with Fatalf, and the error it said it of.
type fatalError struct {
	text  string
	cause error // may be nil
}

func (e *fatalError) Error() string { return e.text }
func (e *fatalError) Unwrap() error { return e.cause }

// events are Pebble's events that matter to a store. A background error is a
// flush or a compaction that could not read or write: retrying it for ever, as
// Pebble does, ends in a store that stalls, so it is fatal. A full disk is not
// one (guardFS waits it out).
func (f *fault) events(stalls *stallCounter) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if !errors.Is(err, pebble.ErrClosed) {
				f.set("background work", err)
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			f.set("read", &damagedError{file: info.Path, cause: info.Details})
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			stalls.count.Add(1)
			f.logger.Warn("writes wait for the disk", "reason", info.Reason)
		},
		WriteStallEnd: func() { f.logger.Info("writes go on") },
	}
}

// stallCounter counts the times that writes had to wait for flushes or
// compactions.
type stallCounter struct{ count atomic.Uint64 }
