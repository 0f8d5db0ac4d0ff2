package blackbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// TestShutdown: a client's SHUTDOWN is a clean stop of this node alone.
func TestShutdown(t *testing.T) {
	c := startCluster(t, 3)
	c.n(1).do("SET", "k", "v")
	if _, err := c.n(2).try("SHUTDOWN", "SAVE", "NOW"); err == nil || strings.HasPrefix(err.Error(), "ERR") {
		t.Errorf("SHUTDOWN answers, with %v", err)
	}
	if code := c.n(2).wait(); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, c.n(2).log())
	}
	if got := c.n(3).do("GET", "k"); got != "v" || !c.n(1).alive() {
		t.Errorf("the others answer %v", got)
	}
}

// TestConfigRewrite: what CONFIG SET set is in force after the next start, once
// it was written to the file.
func TestConfigRewrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "n1.toml")
	if err := os.WriteFile(file, []byte("# of a test\nmax-clients = 100\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, 1, "--config", file)
	s := c.n(1)
	get := func(name string) string {
		m := asMap(s.do("CONFIG", "GET", name))
		text, _ := m[name].(string)
		return text
	}
	if got := get("maxclients"); got != "100" {
		t.Errorf("maxclients is %s, want the file's 100", got)
	}
	s.do("CONFIG", "SET", "maxclients", "90", "slowlog-max-len", "7")
	s.do("CONFIG", "SET", "timeout", "1000")
	if got := s.do("CONFIG", "REWRITE"); got != "OK" {
		t.Errorf("CONFIG REWRITE: %v", got)
	}
	s.terminate()
	s.start()
	c.waitReady()
	for name, want := range map[string]string{"maxclients": "90", "slowlog-max-len": "7", "timeout": "1000", "hz": "10"} {
		if got := get(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "# of a test\nmax-clients = 90\n") {
		t.Errorf("%v: %s", err, text)
	}
	other := startCluster(t, 1)
	if _, err := other.n(1).try("CONFIG", "REWRITE"); err == nil || err.Error() != "ERR The server is running without a config file" {
		t.Errorf("without a file: %v", err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: s.addr()})
	defer rdb.Close()
	if got, err := rdb.ConfigGet(t.Context(), "maxclients").Result(); err != nil || got["maxclients"] != "90" {
		t.Errorf("go-redis: %v, %v", got, err)
	}
}
