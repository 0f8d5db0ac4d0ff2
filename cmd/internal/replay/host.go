package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

const (
	// memoryPages is what a run may take of memory: 2 GiB in pages of 64 KiB.
	memoryPages = 2 << 30 >> 16
	// gcPercent is the guest's GOGC: collecting is what costs most there.
	gcPercent = "400"
	// tick is what a look at a clock takes, in ns. Clocks must move, or what
	// waits for them with its eyes open never ends; a run that takes minutes
	// looks at them some ten million times.
	tick = 100
	// epoch is the wall clock's beginning, in seconds of Unix time.
	epoch = 1_700_000_000

	historyFile = "history"
)

// host runs one program, compiled once, any number of times.
type host struct {
	runtime wazero.Runtime
	program wazero.CompiledModule
}

// newHost compiles the program in the file binary. If cache is not empty it is
// a folder in which the compiled code is kept, and found again.
func newHost(ctx context.Context, binary, cache string) (*host, error) {
	code, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(memoryPages)
	if cache != "" {
		kept, err := wazero.NewCompilationCacheWithDir(cache)
		if err != nil {
			return nil, err
		}
		config = config.WithCompilationCache(kept)
	}
	h := &host{runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, h.runtime); err != nil {
		return nil, errors.Join(err, h.close(ctx))
	}
	compiling := experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
	if h.program, err = h.runtime.CompileModule(compiling, code); err != nil {
		return nil, errors.Join(fmt.Errorf("compiling %s: %w", binary, err), h.close(ctx))
	}
	return h, nil
}

func (h *host) close(ctx context.Context) error { return h.runtime.Close(ctx) }

// execution is what a run leaves behind.
type execution struct {
	output  []byte // stdout and stderr, as they were written
	history []byte // the file that it wrote as /history; nil if it wrote none
	exit    uint32
}

// run runs the program in a world of its own, in which all that is drawn is
// drawn from order. Its files are in dir while it runs. An error is the host's:
// a program that fails has an exit code.
func (h *host) run(ctx context.Context, dir string, order uint64, args ...string) (e execution, err error) {
	files, err := os.MkdirTemp(dir, "files-")
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(files)) }()

	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], order)
	var c clock
	var output bytes.Buffer
	config := wazero.NewModuleConfig().
		WithName(""). // or it could be run once only
		WithArgs(append([]string{"sim.test"}, args...)...).
		WithEnv("PWD", "/").WithEnv("GOGC", gcPercent).WithEnv("GOTRACEBACK", "all").
		WithStdout(&output).WithStderr(&output).
		WithRandSource(rand.NewChaCha8(key)).
		WithWalltime(c.wall, 1).WithNanotime(c.nano, 1).WithNanosleep(c.sleep).WithOsyield(func() {}).
		WithFSConfig(wazero.NewFSConfig().WithDirMount(files, "/"))
	module, err := h.runtime.InstantiateModule(ctx, h.program, config)
	var exit *sys.ExitError
	switch {
	case errors.As(err, &exit):
		e.exit = exit.ExitCode()
	case err != nil:
		return e, fmt.Errorf("the simulator's process broke: %w\n%s", err, output.Bytes())
	default:
		if err := module.Close(ctx); err != nil {
			return e, err
		}
	}
	e.output = output.Bytes()
	if e.history, err = os.ReadFile(filepath.Join(files, historyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return e, err
	}
	return e, nil
}

// clock is the time of one run, in ns since its beginning. It is what the
// program has slept, and a tick for every look at it.
type clock int64

func (c *clock) sleep(ns int64) { *c += clock(max(ns, 0)) }

func (c *clock) nano() int64 {
	*c += tick
	return int64(*c)
}

func (c *clock) wall() (sec int64, nsec int32) {
	now := c.nano()
	return epoch + now/1e9, int32(now % 1e9)
}
