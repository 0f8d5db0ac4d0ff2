package blackbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// What strace does to the system calls by which a node puts data on its disk.
const (
	syncCalls = "fsync,fdatasync,sync_file_range"
	// slowSync holds each of them up for 1.5 s, three times a request's bound.
	slowSync = "delay_enter=1500000"
	// failedSync fails them as a disk with a bad block does.
	failedSync = "error=EIO"
)

// trace is a strace at work on a node.
type trace struct {
	s      *server
	cmd    *exec.Cmd
	out    string // what strace itself says
	exited chan struct{}
}

// inject does something to a node's syncs until the trace is ended. It skips
// the test, and says why, where processes may not be traced.
func (s *server) inject(what string) *trace {
	s.t.Helper()
	path := needClient(s.t, "strace", "-V")
	r := &trace{s: s, out: filepath.Join(s.dir, "strace"), exited: make(chan struct{})}
	out, err := os.OpenFile(r.out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	r.cmd = exec.Command(path, "-f", "-qq", "-o", os.DevNull, "-p", fmt.Sprint(s.cmd.Process.Pid),
		"-e", "trace="+syncCalls, "-e", "inject="+syncCalls+":"+what)
	r.cmd.Stderr = out
	if err := r.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait()
		close(r.exited)
	}()
	s.t.Cleanup(r.end)
	r.waitAttached()
	return r
}

// waitAttached waits until all threads of the node are traced.
func (r *trace) waitAttached() {
	t := r.s.t
	t.Helper()
	eventually(t, "strace holds "+r.s.name, func() error {
		select {
		case <-r.exited:
			said, _ := os.ReadFile(r.out)
			if strings.Contains(string(said), "ot permitted") && os.Getenv("DYNARING_TEST_CLIENTS") != "required" {
				t.Skipf("a process may not be traced here, so no sync can be made slow or fail: %s", said)
			}
			if r.s.alive() {
				t.Fatalf("strace ended: %s", said)
			}
			return nil // a failing sync has ended the node already
		default:
		}
		return untraced(r.s.cmd.Process.Pid)
	})
}

// untraced returns an error that counts the threads of a process that nobody
// traces, if there are any.
func untraced(pid int) error {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	free := slices.DeleteFunc(tasks, func(task string) bool {
		status, err := os.ReadFile(task)
		return err != nil || !strings.Contains(string(status), "TracerPid:\t0\n")
	})
	if len(free) > 0 {
		return fmt.Errorf("%d of %d threads are not traced", len(free), len(tasks))
	}
	return nil
}

// end lets go of the node: it goes on as if nothing had been.
func (r *trace) end() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.exited:
	case <-time.After(patience):
		_ = r.cmd.Process.Kill()
		<-r.exited
		r.s.t.Errorf("strace does not let go of %s", r.s.name)
	}
}
