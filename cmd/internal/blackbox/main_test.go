package blackbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// binary is the dynaring that the tests run, built once.
var binary string

// root is the repository's folder.
var root string

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	os.Exit(runTests(m))
}

// silent drops what go-redis prints of nodes that are down on purpose.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "blackbox-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "blackbox:", err)
		return 1
	}
	return m.Run()
}

func build(dir string) error {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env GOMOD: %w", err)
	}
	root = filepath.Dir(strings.TrimSpace(string(mod)))
	binary = filepath.Join(dir, "node-under-test")
	args := []string{"build", "-o", binary, "-ldflags", "-X main.version=v0.0.0-blackbox"}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/dynaring")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// needClient returns the path of a client program. Without it the test is
// skipped, or fails where the clients were promised to be there.
func needClient(t *testing.T, path string, probe ...string) string {
	t.Helper()
	found, err := exec.LookPath(path)
	if err == nil && len(probe) > 0 {
		cmd := exec.Command(found, probe...)
		cmd.Dir = filepath.Join(root, "testdata", "clients", "js")
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
	}
	switch {
	case err == nil:
		return found
	case os.Getenv("DYNARING_TEST_CLIENTS") == "required":
		t.Fatalf("%s %s: %v (make deps installs it)", path, strings.Join(probe, " "), err)
	default:
		t.Skipf("%s is not installed: make deps", path)
	}
	return ""
}

const (
	// patience bounds every wait for something that must come about.
	patience = 60 * time.Second
	// pollEvery is how often a wait looks.
	pollEvery = 20 * time.Millisecond
)

// eventually waits until check returns nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v: %v", what, patience, err)
		}
		time.Sleep(pollEvery)
	}
}
