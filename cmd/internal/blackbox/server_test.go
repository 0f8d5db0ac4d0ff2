package blackbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dynaring/dynaring/cmd/internal/netlab"
)

// server is one dynaring process, and what it takes to start it again.
type server struct {
	t    *testing.T
	name string
	host string // its IP address
	port int
	args []string
	dir  string // holds its data and its log
	pass string // that its client gives

	on   *netlab.Host // where it runs; nil: on this machine
	from *netlab.Host // where its clients are; nil: on this machine

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
	client *redis.Client
}

// newServer describes a node on a port; start runs it.
func newServer(t *testing.T, name string, port int, args ...string) *server {
	t.Helper()
	s := &server{t: t, name: name, host: "127.0.0.1", port: port, dir: t.TempDir()}
	s.describe(args)
	return s
}

// describe says what the process is started with.
func (s *server) describe(args []string) {
	s.args = append([]string{
		"serve", "--name", s.name, "--addr", s.addr(), "--data-dir", s.dataDir(),
	}, args...)
	s.t.Cleanup(s.cleanup)
}

func (s *server) addr() string        { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }
func (s *server) clusterAddr() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port+3000)) }
func (s *server) gossipAddr() string  { return net.JoinHostPort(s.host, strconv.Itoa(s.port+1000)) }
func (s *server) dataDir() string     { return filepath.Join(s.dir, "data") }
func (s *server) logPath() string     { return filepath.Join(s.dir, "log") }

// start runs the process. It does not wait for it to serve.
func (s *server) start() {
	s.t.Helper()
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(binary, s.args...)
	cmd.Dir = s.dir
	cmd.Env = append(withoutSettings(os.Environ()), "GORACE=halt_on_error=1")
	cmd.Stdout, cmd.Stderr = log, log
	started, exited := make(chan error, 1), make(chan struct{})
	go func() {
		_ = s.run(cmd, func(err error) { started <- err }) // its outcome is in cmd.ProcessState
		close(exited)
	}()
	if err := <-started; err != nil {
		s.t.Fatal(err)
	}
	s.cmd, s.exited = cmd, exited
}

// run runs the command to its end, and tells what became of its start.
func (s *server) run(cmd *exec.Cmd, started func(error)) error {
	if s.on != nil {
		return s.on.Run(cmd, started)
	}
	err := cmd.Start()
	started(err)
	if err != nil {
		return err
	}
	return cmd.Wait()
}

// withoutSettings drops what would configure a node from an environment.
func withoutSettings(env []string) []string {
	var out []string
	for _, line := range env {
		if !strings.HasPrefix(line, "DYNARING_") {
			out = append(out, line)
		}
	}
	return out
}

// wait waits for the process's end and returns its exit code, -1 after a kill.
func (s *server) wait() int {
	s.t.Helper()
	select {
	case <-s.exited:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		s.t.Fatalf("%s has not ended after %v", s.name, patience)
		return 0
	}
}

// kill ends the process without a chance to do anything, and waits.
func (s *server) kill() {
	s.t.Helper()
	_ = s.cmd.Process.Kill()
	s.wait()
}

// terminate asks for a clean stop, and fails the test if it is none.
func (s *server) terminate() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	if code := s.wait(); code != 0 {
		s.t.Fatalf("%s: %v after SIGTERM, want exit status 0", s.name, s.cmd.ProcessState)
	}
}

func (s *server) alive() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// rdb returns a client of the node's plain view.
func (s *server) rdb() *redis.Client {
	if s.client == nil {
		s.client = redis.NewClient(s.options())
		s.t.Cleanup(func() { s.client.Close() })
	}
	return s.client
}

// options are those of a client that asks once, from where the node's clients
// are.
func (s *server) options() *redis.Options {
	o := &redis.Options{Addr: s.addr(), Password: s.pass, MaxRetries: -1, DialerRetries: 1}
	if s.from != nil {
		o.Dialer = s.from.DialContext
	}
	return o
}

// do runs one command, and fails the test if it fails.
func (s *server) do(args ...any) any {
	s.t.Helper()
	v, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("%s: %v: %v", s.name, args, err)
	}
	return v
}

// try runs one command; a null reply is nil without an error.
func (s *server) try(args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	v, err := s.rdb().Do(ctx, args...).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return v, err
}

// log returns what the node has printed so far, over all its starts.
func (s *server) log() string {
	text, _ := os.ReadFile(s.logPath())
	return string(text)
}

// shownLog is how much of a log a failed test prints.
const shownLog = 8 << 10

// dumpTime bounds how long a node may take to print its goroutines.
const dumpTime = 10 * time.Second

// cleanup ends the process, and tells what it had to say if the test failed: a
// node that still runs then is asked for its goroutines.
func (s *server) cleanup() {
	log := s.log()
	for _, bad := range []string{"DATA RACE", "panic:", "fatal error:"} {
		if strings.Contains(log, bad) {
			s.t.Errorf("%s: its log holds %q", s.name, bad)
		}
	}
	if s.cmd != nil {
		if s.t.Failed() && s.alive() {
			_ = s.cmd.Process.Signal(syscall.SIGQUIT)
			select {
			case <-s.exited:
			case <-time.After(dumpTime):
			}
		}
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	if !s.t.Failed() {
		return
	}
	kept := filepath.Join(os.TempDir(), "blackbox-failed-"+strings.ReplaceAll(s.t.Name(), "/", "-")+"-"+s.name+".log")
	if err := os.WriteFile(kept, []byte(s.log()), 0o600); err != nil {
		s.t.Log(err)
	}
	if i := strings.Index(log, "DATA RACE"); i >= 0 {
		log = log[i:min(i+shownLog, len(log))]
	}
	s.t.Logf("the log of %s (all of it, and its goroutines: %s) ends:\n%s", s.name, kept, log[max(0, len(log)-shownLog):])
}

// Ports: every derived port stays below those that the kernel hands out.
const (
	lowestPort  = 10000
	highestPort = 21900
)

// derivedPorts are the offsets of the ports that a node opens.
var derivedPorts = []int{0, 1000, 2000, 3000, 10000}

var ports struct {
	sync.Mutex
	used map[int]bool
}

// freePorts returns the first of n neighbouring RESP ports that are free with
// all that is derived from them.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.used == nil {
		ports.used = map[int]bool{}
	}
	for range 1000 {
		first := lowestPort + rand.IntN(highestPort-lowestPort)
		var wanted []int
		for i := range n {
			for _, offset := range derivedPorts {
				wanted = append(wanted, first+i+offset)
			}
		}
		if !allFree(wanted) {
			continue
		}
		for _, p := range wanted {
			ports.used[p] = true
		}
		return first
	}
	t.Fatal("no free ports found")
	return 0
}

func allFree(wanted []int) bool {
	for _, p := range wanted {
		if ports.used[p] {
			return false
		}
		addr := "127.0.0.1:" + strconv.Itoa(p)
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return false
		}
		ln.Close()
		udp, err := net.ListenPacket("udp", addr)
		if err != nil {
			return false
		}
		udp.Close()
	}
	return true
}

// outcome is what a finished command left.
type outcome struct {
	stdout, stderr string
	code           int
}

// dynaring runs the binary to its end.
func dynaring(t *testing.T, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = withoutSettings(os.Environ())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("dynaring %v: %v %v\n%s", args, err, ctx.Err(), stderr.String())
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func (o outcome) String() string {
	return fmt.Sprintf("exit code %d\nstdout:\n%s\nstderr:\n%s", o.code, o.stdout, o.stderr)
}
