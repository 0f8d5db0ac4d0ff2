package netlab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// open makes a lab that runs until the test's end.
func open(t *testing.T, hosts int) *Lab {
	t.Helper()
	if missing := Missing(); missing != "" {
		t.Skipf("network namespaces cannot be made here: it takes %s", missing)
	}
	l, err := Open(hosts)
	if errors.Is(err, fs.ErrPermission) && os.Getenv("DYNARING_TEST_CLIENTS") != "required" {
		t.Skipf("network namespaces cannot be made here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- l.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ran, l.Close()); err != nil {
			t.Error(err)
		}
	})
	return l
}

// echo answers every line on a host, until the test's end.
func echo(t *testing.T, h *Host) (addr string) {
	t.Helper()
	var ln net.Listener
	err := h.Do(func() (err error) {
		ln, err = net.Listen("tcp", net.JoinHostPort(h.Addr(), "7"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			for in := bufio.NewScanner(conn); in.Scan(); {
				fmt.Fprintln(conn, in.Text())
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return ln.Addr().String()
}

// patience is how long a packet that is not cut may take at the most.
const patience = 10 * time.Second

// ask sends a line and waits so long for its echo.
func ask(conn net.Conn, text string, wait time.Duration) (took time.Duration, err error) {
	begun := time.Now()
	_ = conn.SetDeadline(begun.Add(wait))
	if _, err := fmt.Fprintln(conn, text); err != nil {
		return 0, err
	}
	got, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && got != text+"\n" {
		err = fmt.Errorf("%q came back as %q", text, got)
	}
	return time.Since(begun), err
}

// TestLab: hosts reach each other as their conditions let them.
func TestLab(t *testing.T) {
	l := open(t, 2)
	a, b := l.Hosts[:1], l.Hosts[1:]
	addr := echo(t, b[0])
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := a[0].DialContext(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := ask(conn, "hello", patience); err != nil {
		t.Fatal(err)
	}

	l.Set(b, a, Condition{Delay: 100 * time.Millisecond, Jitter: 10 * time.Millisecond})
	if took, err := ask(conn, "slowly", patience); err != nil || took < 100*time.Millisecond {
		t.Errorf("with a delay of 100ms: %v, %v", took, err)
	}
	l.Between(a, b, Condition{Loss: 0.2})
	for range 10 {
		if _, err := ask(conn, "somehow", patience); err != nil {
			t.Fatalf("TCP does not come through a loss of one in five: %v", err)
		}
	}
	l.Between(a, b, Condition{Rate: 10_000})
	if took, err := ask(conn, string(make([]byte, 2_000)), patience); err != nil || took < 400*time.Millisecond {
		t.Errorf("2 kB forth and back at 10 kB/s: %v, %v", took, err)
	}

	for name, cut := range map[string]func(){
		"both ways": func() { l.Between(a, b, Condition{Cut: true}) },
		"forth":     func() { l.Heal(); l.Set(a, b, Condition{Cut: true}) },
		"back":      func() { l.Heal(); l.Set(b, a, Condition{Cut: true}) },
	} {
		cut()
		if _, err := ask(conn, "cut", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("cut %s: %v, want nothing", name, err)
		}
		l.Heal()
		if n, err := fmt.Fscanln(conn); err == nil || n > 0 {
			t.Errorf("the deadline has no effect: %d, %v", n, err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if got, err := bufio.NewReader(conn).ReadString('\n'); err != nil || got != "cut\n" {
			t.Errorf("after the cut %s: %q, %v", name, got, err)
		}
	}
}

// TestHostsCommands run in the host, whose only way out is the switch.
func TestHostsCommands(t *testing.T) {
	l := open(t, 1)
	h := l.Hosts[0]
	folder := t.TempDir()
	if err := h.MountTmpfs(folder, 1<<20); err != nil {
		t.Fatal(err)
	}
	inside := exec.Command("sh", "-c", "cat /proc/net/route > routes; head -c 2000000 /dev/zero > much")
	inside.Dir = folder
	var begun error
	if err := h.Run(inside, func(err error) { begun = err }); err == nil || begun != nil {
		t.Errorf("2 MB on a disk of 1 MiB: %v, %v", begun, err)
	}
	var routes []byte
	err := h.Do(func() (err error) {
		routes, err = os.ReadFile(filepath.Join(folder, "routes"))
		return err
	})
	lines := strings.Split(strings.TrimSpace(string(routes)), "\n") // a header, then a line each
	if err != nil || len(lines) != 2 || !strings.HasPrefix(lines[1], tunName+"\t00004D0A\t") {
		t.Errorf("the host's routes are %q, %v; want one, to 10.77.0.0", lines, err)
	}
	if seen, err := os.ReadDir(folder); err != nil || len(seen) > 0 {
		t.Errorf("the host's mount is seen outside: %v, %v", seen, err)
	}
	absent := exec.Command(filepath.Join(folder, "absent"))
	if err := h.Run(absent, func(err error) { begun = err }); err == nil || begun == nil {
		t.Errorf("a command that is not there: %v, %v", begun, err)
	}
}
