package blackbox

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testFunc  = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	namedTest = regexp.MustCompile("`(Test\\w+)(?:/([^`]+))?`")
)

// tests returns the folders of every test of the module, by its name.
func tests(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			out[m[1]] = append(out[m[1]], filepath.Dir(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestFailuresAreShown: every row of docs/FAILURES.md that says what is lost
// names a test, and every test that it names exists.
func TestFailuresAreShown(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "FAILURES.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := tests(t)
	rows, inTable := 0, false
	for i, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "|") {
			inTable = false
			continue
		}
		if strings.HasSuffix(line, "| shown by |") {
			inTable = true
			continue
		}
		named := namedTest.FindAllStringSubmatch(line, -1)
		if inTable && !strings.HasPrefix(line, "|--") {
			rows++
			if len(named) == 0 {
				t.Errorf("line %d names no test: %s", i+1, line)
			}
		}
		for _, m := range named {
			if !exists(all[m[1]], m[2]) {
				t.Errorf("line %d names %s, which does not exist", i+1, m[0])
			}
		}
	}
	if rows < 10 {
		t.Errorf("only %d rows are found", rows)
	}
}

// exists reports whether one of the folders has the test's script, if it is
// one of a script.
func exists(folders []string, script string) bool {
	for _, folder := range folders {
		if script == "" {
			return true
		}
		if found, _ := filepath.Glob(filepath.Join(folder, "testdata", "*", script)); len(found) > 0 {
			return true
		}
	}
	return false
}
