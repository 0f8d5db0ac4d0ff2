package fidelity

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	startTime = 30 * time.Second      // that a server may take to serve
	startStep = 20 * time.Millisecond // between looks
	maxSocket = 100                   // bytes of a socket's name
	busOffset = 10000                 // of a cluster bus's port from its server's
	portTries = 100
)

// Start runs a real redis-server, the program at path, with one database and
// nothing on disk. Its socket is in dir. stop ends it.
func Start(path, dir string, needs Needs) (socket string, stop func(), err error) {
	if socket = filepath.Join(dir, "redis.sock"); len(socket) > maxSocket {
		return "", nil, fmt.Errorf("the directory's name is too long for a socket: %s", dir)
	}
	args := []string{"--unixsocket", socket, "--save", "", "--appendonly", "no",
		"--databases", "1", "--enable-debug-command", "local", "--dir", dir, "--requirepass", needs.Password}
	port := 0
	if needs.Cluster {
		args = append(args, "--cluster-enabled", "yes")
		if port, err = freePort(); err != nil {
			return "", nil, err
		}
	}
	cmd := exec.Command(path, append(args, "--port", strconv.Itoa(port))...)
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	if err := serves(socket, needs); err != nil {
		stop()
		return "", nil, fmt.Errorf("redis-server: %w", err)
	}
	return socket, stop, nil
}

// serves waits until a server serves; a member of a cluster is given all slots.
func serves(socket string, needs Needs) (err error) {
	ask := func(words ...string) (string, error) {
		args := make([][]byte, len(words))
		for i, w := range words {
			args[i] = []byte(w)
		}
		replies, err := exchange(func() (net.Conn, error) { return net.Dial("unix", socket) }, appendCommand(nil, args))
		return string(bytes.Join(replies, nil)), err
	}
	assigned := false
	for until := time.Now().Add(startTime); time.Now().Before(until); time.Sleep(startStep) {
		var reply string
		switch {
		case !needs.Cluster:
			_, err = ask("PING")
		case !assigned:
			_, err = ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
			assigned = err == nil
			continue
		default:
			if reply, err = ask("CLUSTER", "INFO"); err == nil && !strings.Contains(reply, "cluster_state:ok") {
				err = fmt.Errorf("%s", reply)
			}
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("does not serve after %v: %w", startTime, err)
}

// freePort returns a port that is free, and whose cluster bus's is, too.
func freePort() (int, error) {
	for range portTries {
		port := 20000 + rand.IntN(20000)
		if free(port) && free(port+busOffset) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port is free")
}

func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	l.Close()
	return true
}
