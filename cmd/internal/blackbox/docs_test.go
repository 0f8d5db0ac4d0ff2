package blackbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// block is a fenced block of a document, and what the document says that it
// prints: the block of text after it.
type block struct {
	line           int
	language, code string
	prints         string
}

// runnable are the languages whose blocks are tried, where output follows.
var runnable = []string{"sh", "python", "javascript", "go", "php", "ruby", "c"}

// blocks returns what a reader of the document can paste and compare.
func blocks(t *testing.T, path string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	var open *block
	for i, line := range strings.Split(string(text), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &block{line: i + 1, language: fence}
		case isFence:
			if last := len(out) - 1; open.language == "text" && last >= 0 && slices.Contains(runnable, out[last].language) && out[last].prints == "" {
				out[last].prints = open.code
			} else {
				out = append(out, *open)
			}
			open = nil
		case open != nil:
			open.code += line + "\n"
		}
	}
	return slices.DeleteFunc(out, func(b block) bool { return b.prints == "" })
}

// terminal makes redis-cli print as it does on a terminal, but not where its
// output is taken by a script.
const terminal = `set -e
redis-cli() { if [ -f /dev/stdout ]; then command redis-cli --no-raw "$@"; else command redis-cli "$@"; fi; }
`

// run tries a block and returns what it printed.
func (b block) run(t *testing.T, c *cluster) string {
	t.Helper()
	code := b.code
	for i, s := range c.nodes {
		code = strings.ReplaceAll(code, strconv.Itoa(7001+i), strconv.Itoa(s.port))
		code = strings.ReplaceAll(code, strconv.Itoa(10001+i), strconv.Itoa(s.port+3000))
	}
	dir := t.TempDir()
	var cmd *exec.Cmd
	switch b.language {
	case "sh":
		needClient(t, "redis-cli", "--version")
		cmd = exec.Command("bash", "-c", terminal+code)
	case "python":
		cmd = exec.Command(needClient(t, "/usr/bin/python3", "-c", "import redis"), "-")
		cmd.Stdin = strings.NewReader(code)
	case "javascript":
		cmd = exec.Command(needClient(t, "node", "--input-type=module", "-e", "import 'ioredis'"), "--input-type=module")
		cmd.Stdin = strings.NewReader(code)
		cmd.Dir = filepath.Join(root, "testdata", "clients", "js")
	case "go":
		file := filepath.Join(dir, "main.go")
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd = exec.Command("go", "run", file)
		cmd.Dir = root
	case "php":
		cmd = exec.Command(needClient(t, "php", "-r", "new Redis();"))
		cmd.Stdin = strings.NewReader(code)
	case "ruby":
		cmd = exec.Command(needClient(t, "ruby", "-e", "require 'redis'"))
		cmd.Stdin = strings.NewReader(code)
	case "c":
		program := filepath.Join(dir, "program")
		compile := exec.Command(needClient(t, "gcc", "--version"), "-x", "c", "-o", program, "-", "-lhiredis")
		compile.Stdin = strings.NewReader(code)
		if out, err := compile.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		cmd = exec.Command(program)
	}
	stdout, err := os.Create(filepath.Join(dir, "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	err = cmd.Run()
	printed, _ := os.ReadFile(stdout.Name())
	if err != nil {
		t.Fatalf("%v\n%s%s", err, printed, stderr.String())
	}
	return string(printed)
}

var (
	token     = regexp.MustCompile(`[A-Za-z0-9_-]{20,}`)
	cutToken  = regexp.MustCompile(`[A-Za-z0-9_-]*…`)
	numbering = regexp.MustCompile(`^ *(\d+\) +)*`)
)

// normalised leaves out what differs from run to run: contexts, which the
// documents cut short with …, and the order of siblings with its numbers.
func normalised(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line = numbering.ReplaceAllString(strings.TrimRight(line, " \n"), "")
		lines = append(lines, cutToken.ReplaceAllString(token.ReplaceAllString(line, "…"), "…"))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestDocuments tries what the documents tell a reader to paste.
func TestDocuments(t *testing.T) {
	for _, path := range []string{"README.md", "docs/siblings.md", "docs/CLIENTS.md"} {
		t.Run(path, func(t *testing.T) {
			all := blocks(t, path)
			if len(all) == 0 {
				t.Fatal("nothing to try is found in it")
			}
			c := startCluster(t, 3)
			for _, b := range all {
				t.Run(fmt.Sprintf("%s:%d", b.language, b.line), func(t *testing.T) {
					if got := b.run(t, c); normalised(got) != normalised(b.prints) {
						t.Errorf("%s:%d prints\n%s\nand the document says\n%s", path, b.line, got, b.prints)
					}
				})
			}
		})
	}
}
