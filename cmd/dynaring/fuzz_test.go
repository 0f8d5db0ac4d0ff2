package main

import (
	"bytes"
	"flag"
	"testing"

	"github.com/peterbourgon/ff/v3"
)

// FuzzConfigFile: whatever the file holds is settings that validate or not, or
// an error; never a panic.
func FuzzConfigFile(f *testing.F) {
	f.Add([]byte("name = \"n1\"\nn = 3\njoin = [\"a:1\", \"b:2\"]\n"))
	f.Add([]byte("protected-mode = false\ntimeout = \"2s\"\nmax-value = \"1GiB\"\n"))
	f.Add([]byte("[table]\nn = 3\n"))
	f.Add([]byte("n = 1.5\nw = true\nname = 1979-05-27\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var s settings
		fs := flag.NewFlagSet("serve", flag.ContinueOnError)
		fs.SetOutput(&bytes.Buffer{})
		s.register(fs)
		err := parseTOML(bytes.NewReader(file), func(name, value string) error {
			if fs.Lookup(name) == nil {
				return nil
			}
			return fs.Set(name, value)
		})
		if err == nil {
			s.remember(fs)
			_ = s.node.Validate()
		}
	})
}

var _ ff.ConfigFileParser = parseTOML
