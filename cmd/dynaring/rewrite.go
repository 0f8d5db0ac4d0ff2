package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/dynaring/dynaring/resp"
)

// redisConfig is the flag of CONFIG's parameters that have no flag.
const redisConfig = "redis-config"

// parameterFlags are the flags of those that have one.
var parameterFlags = map[string]string{
	"requirepass": "requirepass", "maxclients": "max-clients", "loglevel": "log-level",
	"protected-mode": "protected-mode", "proto-max-bulk-len": "max-value",
}

// parameters is a flag of parameters as a line of redis.conf has them, which
// may be repeated.
type parameters []resp.Parameter

func (v *parameters) String() string {
	lines := make([]string, len(*v))
	for i, p := range *v {
		lines[i] = p.Name + " " + p.Value
	}
	return strings.Join(lines, "; ")
}

func (v *parameters) Set(s string) error {
	name, value, ok := strings.Cut(strings.TrimSpace(s), " ")
	if !ok {
		return fmt.Errorf(`write it as in redis.conf: "slowlog-max-len 1000"`)
	}
	if flag := parameterFlags[strings.ToLower(name)]; flag != "" {
		return fmt.Errorf("set --%s instead", flag)
	}
	value = strings.TrimSpace(value)
	if unquoted, err := strconv.Unquote(value); err == nil {
		value = unquoted
	}
	*v = append(*v, resp.Parameter{Name: name, Value: value})
	return nil
}

// process is what clients may ask of this process.
func (s *settings) process(level *slog.LevelVar) resp.Process {
	p := resp.Process{Level: level}
	if s.file == "" {
		return p
	}
	p.ConfigFile, _ = filepath.Abs(s.file)
	file, start := p.ConfigFile, s.node.RedisConfig
	p.Rewrite = func(changed []resp.Parameter) error { return rewriteFile(file, start, changed) }
	return p
}

// rewriteFile writes parameters that were changed to the file that the node was
// configured by: all of it or nothing. What else is in it stays as it is.
func rewriteFile(file string, start, changed []resp.Parameter) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	text, err := rewrite(old, start, changed)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	next := file + ".rewrite"
	defer os.Remove(next)
	if err := writeSynced(next, text, info.Mode().Perm()); err != nil {
		return err
	}
	return os.Rename(next, file)
}

func writeSynced(file string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// rewrite returns a configuration file with parameters changed, after start was
// in it or on the command line.
func rewrite(old []byte, start, changed []resp.Parameter) ([]byte, error) {
	set := map[string]any{}
	var lines []any
	add := func(p resp.Parameter) {
		lines = append(slices.DeleteFunc(lines, func(l any) bool {
			name, _, _ := strings.Cut(fmt.Sprint(l), " ")
			return strings.EqualFold(name, p.Name)
		}), p.Name+" "+strconv.Quote(p.Value))
	}
	for _, p := range start {
		add(p)
	}
	for _, p := range changed {
		switch flag := parameterFlags[p.Name]; flag {
		case "":
			add(p)
		case "log-level":
			set[flag] = resp.LevelOf(p.Value).String()
		case "max-clients", "max-value":
			n, err := strconv.ParseInt(p.Value, 10, 64)
			if err != nil {
				return nil, err
			}
			set[flag] = n
		default:
			set[flag] = p.Value
		}
	}
	if len(lines) > 0 {
		set[redisConfig] = lines
	}
	text := old
	for _, name := range slices.Sorted(maps.Keys(set)) {
		text = setLine(text, name, set[name])
	}
	return text, onlyChanged(old, text, set)
}

// setLine gives a key of a flat TOML file a value: in its place if it is there,
// at the end if not.
func setLine(text []byte, name string, value any) []byte {
	line := encodeLine(name, value)
	var out bytes.Buffer
	lines, found := bytes.SplitAfter(text, []byte("\n")), false
	for i := 0; i < len(lines); i++ {
		if !isKey(lines[i], name) {
			out.Write(lines[i])
			continue
		}
		statement := lines[i] // which a list may carry on
		for i+1 < len(lines) && toml.Unmarshal(statement, &map[string]any{}) != nil {
			i++
			statement = append(statement[:len(statement):len(statement)], lines[i]...)
		}
		out.WriteString(line)
		found = true
	}
	if !found {
		if out.Len() > 0 && !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
			out.WriteByte('\n')
		}
		out.WriteString(line)
	}
	return out.Bytes()
}

// isKey reports whether a line gives a key a value.
func isKey(line []byte, name string) bool {
	key, _, ok := strings.Cut(string(line), "=")
	return ok && strings.Trim(strings.TrimSpace(key), `"'`) == name
}

func encodeLine(name string, value any) string {
	var out bytes.Buffer
	if err := toml.NewEncoder(&out).Encode(map[string]any{name: value}); err != nil {
		return ""
	}
	return out.String()
}

// onlyChanged checks that a file now says what it is to say, and all else that
// it said before.
func onlyChanged(old, now []byte, set map[string]any) error {
	want, got := map[string]any{}, map[string]any{}
	if err := toml.Unmarshal(old, &want); err != nil {
		return err
	}
	if err := toml.Unmarshal(now, &got); err != nil {
		return fmt.Errorf("cannot be changed without a person: %w", err)
	}
	maps.Copy(want, set)
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("cannot be changed without a person: write %v into it", set)
	}
	return nil
}
