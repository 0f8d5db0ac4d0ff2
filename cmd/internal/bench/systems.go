package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tidwall/redcon"
)

// system is one server, or cluster, that takes the load at port.
type system struct {
	name string
	port int
}

// Names of the systems; ratios are to the first.
const (
	redconName = "redcon from nothing"
	redisName  = "redis-server"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
	pollEvery    = 50 * time.Millisecond
)

// startAll starts every system; stop ends whatever was started, also after an
// error.
func startAll(ctx context.Context, o options) (systems []system, stop func(), err error) {
	dir, err := os.MkdirTemp("", "dynaring-bench-")
	if err != nil {
		return nil, func() {}, err
	}
	var processes []*exec.Cmd
	stop = func() {
		for _, p := range processes {
			end(p)
		}
		os.RemoveAll(dir)
	}
	start := func(log string, name string, args ...string) error {
		cmd := exec.Command(name, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		f, err := os.Create(filepath.Join(dir, log))
		if err != nil {
			return err
		}
		defer f.Close()
		cmd.Stdout, cmd.Stderr = f, f
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		processes = append(processes, cmd)
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, stop, err
	}
	const port = 6900 // away from the ports that a cluster derives from its own
	systems = []system{{redconName, port}, {redisName, port + 1}}
	err = errors.Join(
		start("redcon.log", self, "-answer-from-nothing", fmt.Sprintf("127.0.0.1:%d", port)),
		start("redis.log", "redis-server", "--port", strconv.Itoa(port+1), "--save", "", "--dir", dir),
	)
	for i, durability := range []string{"interval", "one", "always"} {
		first := 7100 + 10*i
		s := system{"dynaring " + durability, first}
		if !strings.Contains(s.name, o.only) {
			continue
		}
		systems = append(systems, s)
		err = errors.Join(err, start(durability+".log", o.binary, "local", "--nodes", "3", "--port", strconv.Itoa(first),
			"--dir", filepath.Join(dir, durability), "--durability", durability))
	}
	for _, s := range systems {
		if err == nil {
			err = waitReady(ctx, s, dir)
		}
	}
	return systems, stop, err
}

func end(p *exec.Cmd) {
	p.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(stopTimeout, func() { p.Process.Kill() })
	p.Wait()
	timer.Stop()
}

// waitReady polls until the system takes a write, so that a cluster is whole.
func waitReady(ctx context.Context, s system, dir string) error {
	deadline := time.Now().Add(startTimeout)
	for ctx.Err() == nil {
		if ready(s) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not get ready within %v; its log is under %s", s.name, startTimeout, dir)
		}
		time.Sleep(pollEvery)
	}
	return ctx.Err()
}

func ready(s system) bool {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", s.port), pollEvery)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	if strings.HasPrefix(s.name, "dynaring") {
		// Three owners, or the load would run at W=1.
		fmt.Fprintf(c, "DEXPLAIN k\r\nQUIT\r\n")
		var reply bytes.Buffer
		reply.ReadFrom(c)
		return bytes.Count(reply.Bytes(), []byte("owner")) >= 3
	}
	fmt.Fprintf(c, "PING\r\n")
	b := make([]byte, 16)
	n, _ := c.Read(b)
	return bytes.HasPrefix(b[:n], []byte("+PONG"))
}

// answerFromNothing is redcon as its own README uses it, without any storage.
func answerFromNothing(ctx context.Context, addr string) error {
	value := make([]byte, valueBytes)
	s := redcon.NewServer(addr, func(conn redcon.Conn, cmd redcon.Command) {
		switch strings.ToUpper(string(cmd.Args[0])) {
		case "GET":
			conn.WriteBulk(value)
		case "INCR":
			conn.WriteInt64(1)
		case "PING":
			conn.WriteString("PONG")
		case "CONFIG":
			conn.WriteArray(0)
		default:
			conn.WriteString("OK")
		}
	}, nil, nil)
	go func() {
		<-ctx.Done()
		s.Close()
	}()
	return s.ListenAndServe()
}
