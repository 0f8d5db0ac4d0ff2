package sim

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var simMutants = flag.String("sim.mutants", "", "which of testdata/mutations to try: a part of their names, or all")

// mutation is the code broken on purpose: a patch whose head says
//
//	what: what is wrong then, in words
//	law: the law that it breaks
//	caught by: the command that fails
type mutation struct{ name, path, what, law, caughtBy string }

func (m mutation) row() string {
	return fmt.Sprintf("| %s | %s | %s | `%s` |", strings.TrimSuffix(m.name, ".patch"), m.what, m.law, m.caughtBy)
}

func mutations(t *testing.T) (root string, all []mutation) {
	t.Helper()
	out, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Skipf("patches are applied by git, in its work tree: %v", err)
	}
	paths, err := filepath.Glob("testdata/mutations/*.patch")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d mutations, %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m := mutation{name: filepath.Base(path)}
		if m.path, err = filepath.Abs(path); err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(text), "\ndiff ")
		for key, field := range map[string]*string{"what": &m.what, "law": &m.law, "caught by": &m.caughtBy} {
			if found := regexp.MustCompile(`(?m)^` + key + `: (.+)$`).FindStringSubmatch(head); found != nil {
				*field = found[1]
			} else {
				t.Errorf("%s does not begin with a line %q", path, key+": …")
			}
		}
		all = append(all, m)
	}
	return strings.TrimSpace(string(out)), all
}

// TestMutationsApply: patches do not rot.
func TestMutationsApply(t *testing.T) {
	root, all := mutations(t)
	for _, m := range all {
		if out, err := run(root, "git", "apply", "--check", m.path); err != nil {
			t.Errorf("%s does not apply: %v\n%s", m.name, err, out)
		}
	}
}

// TestMutationsAreTold: docs/TESTING.md has the table of all mutations.
func TestMutationsAreTold(t *testing.T) {
	root, all := mutations(t)
	text, err := os.ReadFile(filepath.Join(root, "docs", "TESTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range all {
		want = append(want, m.row())
	}
	told := regexp.MustCompile(`(?m)^\| \d\d-.*$`).FindAllString(string(text), -1)
	if !slices.Equal(told, want) {
		t.Errorf("the table in docs/TESTING.md should be\n%s", strings.Join(want, "\n"))
	}
}

// TestMutants applies each mutation to a copy of the tree, and demands that the
// command which its head names then fails, and does not without it.
func TestMutants(t *testing.T) {
	if *simMutants == "" {
		t.Skip("takes long: see `make mutants`")
	}
	root, all := mutations(t)
	tree := t.TempDir()
	if out, err := run(root, "sh", "-c", `git ls-files -co --exclude-standard | while read -r f; do [ ! -e "$f" ] || echo "$f"; done | xargs -d "\n" cp --parents -t "$0"`, tree); err != nil {
		t.Fatalf("copying the tree: %v\n%s", err, out)
	}
	sound := map[string]bool{} // commands that succeed on the code as it is
	for _, m := range all {
		if *simMutants != "all" && !strings.Contains(m.name, *simMutants) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			if !sound[m.caughtBy] {
				if out, err := run(tree, "sh", "-c", m.caughtBy); err != nil {
					t.Fatalf("fails without the mutation: %v\n%s", err, tail(out))
				}
				sound[m.caughtBy] = true
			}
			if out, err := run(tree, "git", "apply", m.path); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			defer func() {
				if out, err := run(tree, "git", "apply", "-R", m.path); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}()
			out, err := run(tree, "sh", "-c", m.caughtBy)
			var exit *exec.ExitError
			switch {
			case strings.Contains(out, "build failed"):
				t.Errorf("does not build\n%s", tail(out))
			case err == nil:
				t.Errorf("survives: %s\n%s", m.what, tail(out))
			case !errors.As(err, &exit) || !strings.Contains(out, "FAIL") && !strings.Contains(out, "panic:"):
				t.Errorf("%v\n%s", err, tail(out))
			}
		})
	}
}

func run(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func tail(out string) string {
	const most = 3000
	if len(out) > most {
		out = "…" + out[len(out)-most:]
	}
	return out
}
