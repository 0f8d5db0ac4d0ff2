package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/dynaring/dynaring/cmd/internal/node"
)

func (a app) serveCommand() *ffcli.Command {
	var s settings
	fs := flag.NewFlagSet("dynaring serve", flag.ContinueOnError)
	s.register(fs)
	return &ffcli.Command{
		Name:       "serve",
		ShortUsage: "dynaring serve [flags]",
		ShortHelp:  "Run one node.",
		LongHelp: `A flag may also stand in the environment (--data-dir as DYNARING_DATA_DIR) or in
the TOML file that --config names (data-dir = "…"). The command line wins over
the environment, the environment over the file.

SIGTERM, SIGINT, SIGHUP or a client's SHUTDOWN stops the node cleanly; a second SIGTERM or SIGINT
stops it at once.`,
		FlagSet:   fs,
		Options:   sources(),
		UsageFunc: func(c *ffcli.Command) string { return usageText(c, serveGroups) },
		Exec: func(ctx context.Context, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			s.remember(fs)
			return a.serve(ctx, s)
		},
	}
}

// gcPercent is how far the heap may grow between two collections, in percent of
// what is alive: most of that is the bounded cache, and a third less collecting
// is worth as much memory again. GOGC overrides it.
const gcPercent = 200

// serve runs one node until a signal or a failure stops it.
func (a app) serve(ctx context.Context, s settings) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	s.node.Version = currentVersion()
	cfg, err := s.node.Complete()
	if err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	level := new(slog.LevelVar)
	level.Set(s.logLevel)
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
	ctx, stop := untilSignal(ctx, func(text string) { log.Info(text) })
	defer stop()
	n, err := node.NewWith(cfg, node.Deps{Process: s.process(level)}, log)
	if err != nil {
		return err
	}
	if err := n.Run(ctx); err != nil {
		return err
	}
	log.Info("stopped cleanly")
	return nil
}

// exitForced is the exit code after a second signal.
const exitForced = 130

// parentGone is the signal that the kernel sends a child of `local` when its
// parent is gone. It comes once for each of the parent's threads that dies, so
// it must not be one whose repetition means haste.
const parentGone = syscall.SIGUSR1

// untilSignal returns a context that the first SIGTERM, SIGINT, SIGHUP (the
// terminal is gone) or parentGone ends. A further SIGTERM or SIGINT ends the
// process. Stop gives the signals back.
func untilSignal(ctx context.Context, say func(string)) (_ context.Context, stop func()) {
	// Without this, a log line after the reader of our stderr is gone would
	// end the process in the middle of its clean stop.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, parentGone)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup wants it
		signal.Notify(signals, syscall.SIGHUP)
	}
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stopped:
				return
			case sig := <-signals:
				if ctx.Err() != nil && (sig == syscall.SIGTERM || sig == os.Interrupt) {
					say(fmt.Sprintf("stopping at once, as asked by a second signal (%v)", sig))
					os.Exit(exitForced)
				}
				if ctx.Err() == nil {
					say(fmt.Sprintf("stopping, as asked by a signal (%v)", sig))
				}
				cancel()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		<-done
		cancel()
	}
}
