package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// longest is what one run may take of real time. It is no part of a run: a
// program that never ends can only be ended together with this one.
const longest = time.Hour

type options struct {
	build  string // file to write the simulator to; then nothing is run
	binary string // file to read it from; empty: it is built first
	log    string
	seed   uint64
	order  uint64
	orders int
	times  int
}

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", 0, "the random run, as Draw draws it")
	flag.Uint64Var(&o.order, "order", 0, "how goroutines take turns")
	flag.IntVar(&o.orders, "orders", 1, "try so many orders, from that one on, until one fails")
	flag.IntVar(&o.times, "times", 1, "run the last of them so often, and compare")
	flag.StringVar(&o.log, "log", "", "file for its history and the nodes' logs")
	flag.StringVar(&o.build, "build", "", "only build the simulator, to this file")
	flag.StringVar(&o.binary, "binary", "", "run this file, which -build has written, and keep its machine code beside it")
	flag.Parse()

	dir, err := os.MkdirTemp("", "dynaring-replay-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(1)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- o.do(context.Background(), dir, os.Stdout) }()
	select {
	case err = <-done:
	case <-stop:
		err = errors.New("interrupted")
	case <-time.After(longest * time.Duration(max(o.orders+o.times, 1))):
		err = fmt.Errorf("seed %d in order %d or a later one has not ended", o.seed, o.order)
	}
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(1)
	}
}

// do builds and runs what was asked for. Files that need not stay go to dir.
func (o options) do(ctx context.Context, dir string, to io.Writer) (err error) {
	if o.build != "" {
		binary, err := filepath.Abs(o.build)
		if err != nil {
			return err
		}
		return build(ctx, dir, simulator, binary)
	}
	if o.seed == 0 || o.orders < 1 || o.times < 1 {
		return errors.New("-seed, -orders and -times have to be at least 1")
	}
	binary, cache := o.binary, o.binary+".cache"
	if binary == "" {
		binary, cache = filepath.Join(dir, "sim.wasm"), ""
		if err := build(ctx, dir, simulator, binary); err != nil {
			return err
		}
	}
	h, err := newHost(ctx, binary, cache)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close(ctx)) }()
	return o.runs(ctx, h, dir, to)
}

// runs tries one order after the other until one fails, and that one or the
// last as often as asked for. It fails if the run does, or is not the same
// every time; args are further ones of the simulator.
func (o options) runs(ctx context.Context, h *host, dir string, to io.Writer, args ...string) error {
	order, last := o.order, o.order+uint64(o.orders)-1
	first, err := o.once(ctx, h, dir, order, args)
	for err == nil && first.exit == 0 && order < last {
		order++
		first, err = o.once(ctx, h, dir, order, args)
	}
	if err != nil {
		return err
	}
	if _, err := to.Write(first.output); err != nil {
		return err
	}
	if o.log != "" {
		if err := os.WriteFile(o.log, first.history, 0o644); err != nil {
			return err
		}
	}
	for again := 1; again < o.times; again++ {
		next, err := o.once(ctx, h, dir, order, args)
		if err != nil {
			return err
		}
		if at := first.differs(next); at != "" {
			return fmt.Errorf("%s: two runs differ, which is the replayer's fault: %s", command(o.seed, order), at)
		}
	}
	if o.times > 1 {
		fmt.Fprintf(to, "%d runs, the same to the last of %d bytes\n", o.times, len(first.output)+len(first.history))
	}
	fmt.Fprintf(to, "digest %x\n", first.digest())
	if first.exit != 0 {
		return fmt.Errorf("seed %d fails in order %d; it will again: %s", o.seed, order, command(o.seed, order))
	}
	return nil
}

// once runs the seed in one order.
func (o options) once(ctx context.Context, h *host, dir string, order uint64, args []string) (execution, error) {
	return h.run(ctx, dir, order, append([]string{"-test.run=^TestRandom$", "-test.v", "-test.timeout=0",
		fmt.Sprintf("-sim.seed=%d", o.seed), "-sim.log=/" + historyFile, "-sim.again=" + command(o.seed, order)}, args...)...)
}

// digest tells executions of different processes apart.
func (e execution) digest() []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d\n%s%s", e.exit, len(e.output), e.output, e.history)
	return h.Sum(nil)[:8]
}

// differs says where two executions part; it is empty where they do not.
func (e execution) differs(f execution) string {
	if e.exit != f.exit {
		return fmt.Sprintf("exit codes %d and %d", e.exit, f.exit)
	}
	for what, texts := range map[string][2][]byte{"output": {e.output, f.output}, "history": {e.history, f.history}} {
		if bytes.Equal(texts[0], texts[1]) {
			continue
		}
		a, b := bytes.Split(texts[0], []byte("\n")), bytes.Split(texts[1], []byte("\n"))
		for i := range min(len(a), len(b)) {
			if !bytes.Equal(a[i], b[i]) {
				return fmt.Sprintf("line %d of the %s\n%s\n%s", i+1, what, a[i], b[i])
			}
		}
		return fmt.Sprintf("one %s is longer", what)
	}
	return ""
}

// command is what repeats a run, for people.
func command(seed, order uint64) string {
	return fmt.Sprintf("make replay SEED=%d ORDER=%d", seed, order)
}
