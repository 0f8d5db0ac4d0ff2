package resp

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dynaring/dynaring/resp/fidelity"
)

const compatPage = "../docs/COMPATIBILITY.md"

// elsewhere are commands that no script can send, and the tests that do.
var elsewhere = map[string]string{
	"command":         "TestTableLikeRedis, a command at a time",
	"waitaof":         "TestWaitAOF: Redis has it since 7.2",
	"client|no-touch": "TestTranscripts: Redis has it since 7.2",
	"client|setinfo":  "TestTranscripts: Redis has it since 7.2",
}

// TestCompatibilityPage makes docs/COMPATIBILITY.md from the command table, the
// scripts and a real redis-server's list of commands, and compares it with what
// is there; -rewrite writes it.
func TestCompatibilityPage(t *testing.T) {
	scripts, err := fidelity.Load(filepath.Join("testdata", "redis"))
	if err != nil {
		t.Fatal(err)
	}
	page := compatibility(t, redisCommands(t), scripts)
	if flag.Lookup("rewrite").Value.String() == "true" {
		if err := os.WriteFile(compatPage, page, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if now, err := os.ReadFile(compatPage); err != nil || !bytes.Equal(now, page) {
		t.Errorf("docs/COMPATIBILITY.md is not what the command table and testdata/redis say (%v); go test ./resp -run TestCompatibilityPage -rewrite", err)
	}
}

// TestScriptsSendEveryCommand: a command that no script sends is not compared
// with anything.
func TestScriptsSendEveryCommand(t *testing.T) {
	scripts, err := fidelity.Load(filepath.Join("testdata", "redis"))
	if err != nil {
		t.Fatal(err)
	}
	s := newFake(t, 1, Options{}).nodes[0].server
	sent := map[string]bool{}
	for i := range scripts {
		for _, step := range scripts[i].Steps {
			if step.Args != nil {
				if r := s.table.find(step.Args); r != nil {
					sent[r.name] = true
				}
			}
		}
	}
	for name, r := range s.table.byName {
		if _, other := elsewhere[name]; other == sent[name] && r.since != sinceOurs {
			t.Errorf("%s: sent by a script: %v, by another test: %v", name, sent[name], other)
		}
	}
}

// sinceOurs marks commands that Redis does not have.
const sinceOurs = "0.1.0"

// redisCommand is a command of the real server.
type redisCommand struct{ name, group string }

// redisCommands asks a real redis-server for all its commands, subcommands
// behind their containers, by name.
func redisCommands(t *testing.T) (all []redisCommand) {
	c, err := net.Dial("unix", startRedis(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "COMMAND DOCS\r\n")
	raw, err := fidelity.ReadReply(bufio.NewReader(c))
	if err != nil {
		t.Fatal(err)
	}
	docs, _, err := parseAnswer(raw)
	if err != nil {
		t.Fatal(err)
	}
	var add func(docs []answer, group string)
	add = func(docs []answer, group string) {
		for i := 0; i+1 < len(docs); i += 2 {
			of, subs := group, []answer(nil)
			for j, fields := 0, docs[i+1].list; j+1 < len(fields); j += 2 {
				switch string(fields[j].str) {
				case "group":
					of = string(fields[j+1].str)
				case "subcommands":
					subs = fields[j+1].list
				}
			}
			all = append(all, redisCommand{string(docs[i].str), of})
			add(subs, of)
		}
	}
	add(docs.list, "")
	slices.SortFunc(all, func(a, b redisCommand) int { return strings.Compare(a.name, b.name) })
	return all
}

func compatibility(t *testing.T, commands []redisCommand, scripts []fidelity.Script) []byte {
	table := newFake(t, 1, Options{}).nodes[0].server.table
	var page bytes.Buffer
	fmt.Fprintf(&page, `# Compatibility with Redis %s

This page is made from the command table and the scripts of
`+"`resp/testdata/redis`"+` by a test, which sends every script to a real redis-server
and to dynaring, in RESP2 and RESP3, and compares the replies byte for byte.

**yes**: as in Redis, to the letter of replies and errors. **partly**: what is
missing or differs is said. **not yet**: it answers as an unknown command does.
Commands on several keys are several writes, and no transaction, wherever the
keys live. A value has at most `+"`--max-value`"+` bytes, 64 MiB unless set otherwise: beyond
it, up to the 512 MiB of Redis, is an error that says so; so is a reply to MGET
beyond 512 MiB.

`, RedisVersion)
	lines := map[string][]string{} // by group
	counts := map[string]int{}
	for _, c := range commands {
		state, note := "not yet", ""
		if r := table.byName[c.name]; r != nil {
			if state = "yes"; r.partly != "" {
				state, note = "partly", r.partly
			}
		}
		counts[state]++
		lines[c.group] = append(lines[c.group], fmt.Sprintf("| %s | %s | %s |\n", strings.ToUpper(strings.ReplaceAll(c.name, "|", " ")), state, note))
	}
	fmt.Fprintf(&page, "Of %d commands and subcommands: %d yes, %d partly, %d not yet.\n", len(commands), counts["yes"], counts["partly"], counts["not yet"])
	writeDifferences(&page, scripts)
	for _, g := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&page, "\n## %s\n\n| command | | |\n|---|---|---|\n%s", g, strings.Join(lines[g], ""))
	}
	page.WriteString("\n## dynaring's own\n\n| command | |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(table.byName)) {
		if r := table.byName[name]; r.since == sinceOurs {
			fmt.Fprintf(&page, "| %s | %s |\n", strings.ToUpper(strings.ReplaceAll(name, "|", " ")), r.summary)
		}
	}
	return page.Bytes()
}

// writeDifferences lists the replies that may be others than Redis's.
func writeDifferences(page *bytes.Buffer, scripts []fidelity.Script) {
	page.WriteString("\n## Accepted differences\n\n")
	commands := map[string][]string{} // by reason
	for i := range scripts {
		for _, step := range scripts[i].Steps {
			if step.Differs != "" {
				commands[step.Differs] = append(commands[step.Differs], "`"+strings.TrimPrefix(step.Text, "~ ")+"`")
			}
		}
	}
	if len(commands) == 0 {
		page.WriteString("None.\n")
		return
	}
	page.WriteString("| why | where |\n|---|---|\n")
	for _, reason := range slices.Sorted(maps.Keys(commands)) {
		where := slices.Compact(commands[reason])
		const most = 8
		if len(where) > most {
			where = append(where[:most:most], fmt.Sprintf("and %d more", len(where)-most))
		}
		fmt.Fprintf(page, "| %s | %s |\n", reason, strings.ReplaceAll(strings.Join(where, ", "), "|", `\|`))
	}
}
