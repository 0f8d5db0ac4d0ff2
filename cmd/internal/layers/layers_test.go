package layers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/dynaring/dynaring"

// lines are the layers, the highest first. A package imports packages of lower
// lines only: not of its own.
var lines = [][]string{
	{"cmd/dynaring", "cmd/internal/sim"},
	{"cmd/internal/node", "cmd/internal/blackbox", "cmd/internal/bench", "cmd/internal/layers", "cmd/internal/replay"},
	{"resp", "antientropy", "cmd/internal/netlab"},
	{"coordinator"},
	{"replica"},
	{"replica/peer", "ring/gossip"},
	{"ring", "storage", "ring/gossip/memnet"},
	{"storage/version", "storage/storagetest", "resp/fidelity", "resp/hyperloglog", "resp/rdb"},
	{"storage/seal"},
}

// outside are packages that see dynaring only as its users do.
var outside = []string{"cmd/internal/blackbox", "cmd/internal/bench", "cmd/internal/layers", "cmd/internal/netlab", "cmd/internal/replay", "resp/fidelity"}

// pure packages do no I/O and start no goroutine.
var pure = []string{"storage/version", "ring", "resp/hyperloglog", "resp/rdb"}

// impure are the standard packages whose import gives a pure package away.
var impure = []string{"os", "net", "syscall", "log", "os/exec", "net/http", "io/ioutil", "context"}

// testOnly are libraries that belong into tests.
var testOnly = []string{
	"testing", "pgregory.net/rapid", "github.com/cockroachdb/datadriven",
	"github.com/rogpeppe/go-internal/testscript",
}

// topLevel are the folders of the repository.
var topLevel = []string{"antientropy", "cmd", "coordinator", "docs", "replica", "resp", "ring", "storage", "testdata"}

const (
	longFile    = 400 // lines from which on a file should be split
	tooLongFile = 450
)

type pkg struct {
	Dir          string
	ImportPath   string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// name is the package's path inside the module.
func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// list returns every package of the module.
func list(t *testing.T) (root string, pkgs []pkg) {
	t.Helper()
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	root = filepath.Dir(strings.TrimSpace(string(mod)))
	cmd := exec.Command("go", "list", "-e", "-json", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return root, pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// line returns the layer that a package is on, counted from the top.
func line(name string) int {
	return slices.IndexFunc(lines, func(l []string) bool { return slices.Contains(l, name) })
}

func TestArrowsPointDown(t *testing.T) {
	_, pkgs := list(t)
	for _, p := range pkgs {
		from := line(p.name())
		if from < 0 {
			t.Errorf("%s has no place among the layers: give it one here and in ARCHITECTURE.md", p.name())
			continue
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			name, ours := strings.CutPrefix(path, module+"/")
			if !ours || name == p.name() {
				continue
			}
			if line(name) <= from {
				t.Errorf("%s imports %s, which is not below it", p.name(), name)
			}
			if slices.Contains(outside, p.name()) && !slices.Contains(outside, name) {
				t.Errorf("%s imports %s: it must see dynaring only from outside", p.name(), name)
			}
		}
	}
}

func TestOnlyTestsUseTestLibraries(t *testing.T) {
	_, pkgs := list(t)
	for _, p := range pkgs {
		if p.name() == "cmd/internal/sim" {
			continue // it builds clusters for tests
		}
		for _, path := range p.Imports {
			if slices.Contains(testOnly, path) {
				t.Errorf("%s imports %s outside its tests", p.name(), path)
			}
		}
	}
}

func TestPurePackagesStayPure(t *testing.T) {
	_, pkgs := list(t)
	for _, p := range pkgs {
		if !slices.Contains(pure, p.name()) {
			continue
		}
		for _, path := range p.Imports {
			if slices.Contains(impure, path) {
				t.Errorf("%s is pure and imports %s", p.name(), path)
			}
		}
		for _, file := range p.GoFiles {
			fset := token.NewFileSet()
			tree, err := parser.ParseFile(fset, filepath.Join(p.Dir, file), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if n, ok := n.(*ast.GoStmt); ok {
					t.Errorf("%v: a pure package starts a goroutine", fset.Position(n.Pos()))
				}
				return true
			})
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	_, pkgs := list(t)
	for _, p := range pkgs {
		tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, "doc.go"), nil, parser.ParseComments)
		if err != nil {
			t.Errorf("%s: %v", p.name(), err)
			continue
		}
		if len(strings.TrimSpace(tree.Doc.Text())) < 80 {
			t.Errorf("%s/doc.go says too little: what is it for, and what must it never do?", p.name())
		}
	}
}

func TestFilesStayReadable(t *testing.T) {
	_, pkgs := list(t)
	for _, p := range pkgs {
		for _, file := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			where := fmt.Sprintf("%s/%s", p.name(), file)
			switch n := bytes.Count(text, []byte("\n")); {
			case n > tooLongFile:
				t.Errorf("%s has %d lines, at most %d are allowed: split it", where, n, tooLongFile)
			case n > longFile:
				t.Logf("%s has %d lines: think of splitting it", where, n)
			}
			for _, mark := range []string{"TO" + "DO", "FIX" + "ME", "XX" + "X:"} {
				if bytes.Contains(text, []byte(mark)) {
					t.Errorf("%s holds a %s", where, mark)
				}
			}
		}
	}
}

func TestTopLevelFolders(t *testing.T) {
	root, _ := list(t)
	cmd := exec.Command("git", "ls-files", "-co", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git work tree: %v", err)
	}
	seen := map[string]bool{}
	for file := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		folder, _, inFolder := strings.Cut(file, "/")
		if !inFolder || strings.HasPrefix(folder, ".") || seen[folder] {
			continue
		}
		seen[folder] = true
		if !slices.Contains(topLevel, folder) {
			t.Errorf("the folder %s is not one of %v", folder, topLevel)
		}
	}
}
