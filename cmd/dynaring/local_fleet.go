package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// fleet is the child processes of `local`.
type fleet struct {
	out      *lineWriter
	children []*child
	allGone  chan struct{} // closed when the last child has ended
	left     sync.WaitGroup
	watching sync.Once
	mu       sync.Mutex
	stopping bool // from then on an end is expected
}

type child struct {
	name string
	cmd  *exec.Cmd
	log  *prefixWriter
	done chan struct{} // closed when it has ended; err is set before
	err  error
}

func newFleet(out io.Writer) *fleet {
	return &fleet{out: &lineWriter{w: out}, allGone: make(chan struct{})}
}

// start runs one node. It must be called on a goroutine that keeps its thread:
// where the kernel can, the child ends with that thread.
func (f *fleet) start(exe, name string, args, env []string) error {
	c := &child{name: name, done: make(chan struct{}), log: &prefixWriter{prefix: name + " | ", out: f.out}}
	c.cmd = exec.Command(exe, args...)
	c.cmd.Env = env
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	c.cmd.SysProcAttr = childAttr()
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	f.children = append(f.children, c)
	f.left.Add(1)
	go f.watch(c)
	return nil
}

// watch waits for the child's end, and tells of it where nobody asked for it.
func (f *fleet) watch(c *child) {
	defer f.left.Done()
	c.err = c.cmd.Wait()
	c.log.flush()
	f.mu.Lock()
	expected := f.stopping
	f.mu.Unlock()
	close(c.done)
	if !expected {
		f.out.line("dynaring: %s ended by itself (%v); the other nodes go on", c.name, c.cmd.ProcessState)
	}
}

// running reports whether the child of that name has not ended.
func (f *fleet) running(name string) bool {
	for _, c := range f.children {
		if c.name == name {
			select {
			case <-c.done:
				return false
			default:
				return true
			}
		}
	}
	return false
}

// gone returns a channel that is closed when every child started so far has
// ended.
func (f *fleet) gone() <-chan struct{} {
	f.watching.Do(func() {
		go func() {
			f.left.Wait()
			close(f.allGone)
		}()
	})
	return f.allGone
}

// stop ends the children cleanly, or by force after the timeout, and waits for
// them. It returns an error for each that did not stop cleanly now.
func (f *fleet) stop(timeout time.Duration) error {
	f.mu.Lock()
	f.stopping = true
	f.mu.Unlock()
	var asked []*child
	for _, c := range f.children {
		if f.running(c.name) {
			asked = append(asked, c)
			c.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	var errs []error
	for _, c := range asked {
		select {
		case <-c.done:
		case <-deadline.C:
			deadline.Reset(0)
			c.cmd.Process.Kill()
			<-c.done
		}
		if c.err != nil && !beforeItBegan(c.cmd.ProcessState) {
			errs = append(errs, fmt.Errorf("%s did not stop cleanly: %w", c.name, c.err))
		}
	}
	<-f.gone()
	return errors.Join(errs...)
}

// beforeItBegan reports whether SIGTERM itself ended a child: only one that has
// not come to catching it, and so has opened nothing, ends like that.
func beforeItBegan(p *os.ProcessState) bool {
	status, ok := p.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGTERM
}

// lineWriter lets several writers share one, whole lines at a time.
type lineWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (l *lineWriter) line(format string, args ...any) {
	fmt.Fprintf(l, format+"\n", args...)
}

// maxLogLine is the longest line of a child that is kept whole.
const maxLogLine = 64 << 10

// prefixWriter puts a prefix before every line. One goroutine writes to it.
type prefixWriter struct {
	prefix string
	out    io.Writer
	buf    []byte // a line's beginning
}

func (p *prefixWriter) Write(b []byte) (int, error) {
	p.buf = append(p.buf, b...)
	for {
		end := bytes.IndexByte(p.buf, '\n') + 1
		if end == 0 && len(p.buf) < maxLogLine {
			return len(b), nil
		}
		if end == 0 {
			end = len(p.buf)
		}
		p.emit(p.buf[:end])
		p.buf = p.buf[end:]
	}
}

// flush writes a last line that has no end.
func (p *prefixWriter) flush() {
	if len(p.buf) > 0 {
		p.emit(p.buf)
		p.buf = nil
	}
}

func (p *prefixWriter) emit(line []byte) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	// A log that nobody reads any more must not stop the nodes.
	_, _ = fmt.Fprintf(p.out, "%s%s\n", p.prefix, line)
}
