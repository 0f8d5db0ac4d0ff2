package fidelity

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Script is commands that are sent to both servers.
type Script struct {
	File string // the base name
	Line int    // of its first command
	Needs
	Steps []Step
}

// Needs are what a file's scripts need of the servers.
type Needs struct {
	Password string // that they ask for; "": none
	Cluster  bool   // they are a cluster of one node, seen as a member
}

// Step is one line of a script.
type Step struct {
	Line    int
	Text    string   // as it is written
	Args    [][]byte // nil: only a reply is read
	Conn    string   // ""; the one connection of a pipeline
	Differs string   // why the reply may be another one
	Near    bool     // numbers may differ a little
}

// String names the script in a test: strings:12.
func (s *Script) String() string { return fmt.Sprintf("%s:%d", s.File, s.Line) }

// Load reads every file of a directory.
func Load(dir string) ([]Script, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []Script
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		scripts, err := Parse(f.Name(), string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, scripts...)
	}
	return all, nil
}

// Parse reads the scripts of one file.
func Parse(file, text string) (all []Script, err error) {
	var needs Needs
	differs := ""
	var cur Script
	end := func() {
		if len(cur.Steps) > 0 {
			all = append(all, cur)
		}
		cur = Script{}
	}
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "#") {
			if reason, ok := strings.CutPrefix(line, "#~ "); ok {
				differs = reason
			}
			if need, ok := strings.CutPrefix(line, "#! requirepass "); ok {
				needs.Password = need
			}
			needs.Cluster = needs.Cluster || line == "#! cluster"
			continue
		}
		if line == "" {
			end()
			continue
		}
		step, err := parseStep(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
		step.Line, step.Differs = i+1, differs
		if len(cur.Steps) == 0 {
			cur = Script{File: file, Line: i + 1, Needs: needs}
		} else if (cur.Steps[0].Conn == "") != (step.Conn == "") {
			return nil, fmt.Errorf("%s:%d: a script has either connections or none", file, i+1)
		}
		cur.Steps, differs = append(cur.Steps, step), ""
	}
	end()
	return all, nil
}

func parseStep(line string) (s Step, err error) {
	s.Text = line
	line, s.Near = strings.CutPrefix(line, "~ ")
	if rest, ok := strings.CutPrefix(line, "@"); ok {
		if s.Conn, line, ok = strings.Cut(rest, " "); !ok || s.Conn == "" {
			return s, fmt.Errorf("%q: no command after the connection", line)
		}
		if line == "<" {
			return s, nil
		}
	}
	if s.Args, err = split(line); err == nil && len(s.Args) == 0 {
		err = fmt.Errorf("no command")
	}
	return s, err
}

// split cuts a line into words.
func split(line string) (words [][]byte, err error) {
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		word := ""
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			if word, err = strconv.Unquote(quoted); err != nil {
				return nil, fmt.Errorf("%q: %w", quoted, err)
			}
			line = line[len(quoted):]
		} else {
			word, line, _ = strings.Cut(line, " ")
		}
		if word, err = repeat(word); err != nil {
			return nil, err
		}
		words = append(words, []byte(word))
	}
	return words, nil
}

// repeat writes {text*n} out.
func repeat(word string) (string, error) {
	before, rest, ok := strings.Cut(word, "{")
	inner, after, closed := strings.Cut(rest, "}")
	star := strings.LastIndexByte(inner, '*')
	if !ok || !closed || star < 0 {
		return word, nil // a hash tag
	}
	n, err := strconv.Atoi(inner[star+1:])
	if err != nil || n < 0 || n*star > 1<<30 {
		return "", fmt.Errorf("%q: not a number of repetitions", word)
	}
	after, err = repeat(after)
	return before + strings.Repeat(inner[:star], n) + after, err
}
