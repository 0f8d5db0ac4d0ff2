package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dynaring/dynaring/resp"
)

func TestRewrite(t *testing.T) {
	for _, c := range []struct {
		name, old      string
		start, changed []resp.Parameter
		want           string
	}{
		{"nothing", "# words\nname = \"n1\"\n", nil, nil, "# words\nname = \"n1\"\n"},
		{"new lines", "name = \"n1\"", nil,
			[]resp.Parameter{{Name: "maxclients", Value: "50"}, {Name: "save", Value: ""}, {Name: "loglevel", Value: "verbose"}},
			"name = \"n1\"\nlog-level = \"DEBUG+3\"\nmax-clients = 50\nredis-config = [\"save \\\"\\\"\"]\n"},
		{"in their place", "max-clients = 7 # few\nrequirepass = 'x'\nredis-config = [\n  \"timeout 5\",\n  \"hz 20\",\n]\nname = \"n1\"\n",
			[]resp.Parameter{{Name: "timeout", Value: "5"}, {Name: "hz", Value: "20"}},
			[]resp.Parameter{{Name: "timeout", Value: "6"}, {Name: "requirepass", Value: `a"b`}},
			"max-clients = 7 # few\nrequirepass = \"a\\\"b\"\nredis-config = [\"hz \\\"20\\\"\", \"timeout \\\"6\\\"\"]\nname = \"n1\"\n"},
	} {
		got, err := rewrite([]byte(c.old), c.start, c.changed)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
	for _, bad := range []string{"a = [", "max-clients = 1\nmax-clients = 2\n", "[table]\nx = 1\n"} {
		if got, err := rewrite([]byte(bad), nil, []resp.Parameter{{Name: "maxclients", Value: "50"}}); err == nil {
			t.Errorf("%q becomes %q", bad, got)
		}
	}
}

// What was written is what a node reads at its next start.
func TestRewrittenFileIsRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "n1.toml")
	if err := os.WriteFile(file, []byte("name = \"n1\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rewriteFile(file, nil, []resp.Parameter{{Name: "timeout", Value: "300"}, {Name: "save", Value: "10 5"}, {Name: "maxclients", Value: "9"}}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var read parameters
	err = parseTOML(f, func(name, value string) error {
		if name == redisConfig {
			return read.Set(value)
		}
		return nil
	})
	if got := read.String(); err != nil || got != "timeout 300; save 10 5" {
		t.Errorf("%s, %v", got, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := rewriteFile(filepath.Join(t.TempDir(), "none"), nil, nil); err == nil {
		t.Error("a file that is not there was rewritten")
	}
	for _, bad := range []string{"timeout", "maxclients 5", ""} {
		if err := new(parameters).Set(bad); err == nil || strings.Contains(err.Error(), "resp:") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
