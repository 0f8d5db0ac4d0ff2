package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"
)

func main() {
	// The main goroutine keeps its thread: the children of `local` ask the
	// kernel to die with the thread that started them.
	runtime.LockOSThread()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// app is where one run of the command prints to.
type app struct {
	stdout, stderr io.Writer
}

// run is the whole command: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := app{stdout: stdout, stderr: stderr}
	var usage bytes.Buffer
	err := a.root(&usage).ParseAndRun(ctx, args)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage.String())
		return 0
	}
	fmt.Fprintln(stderr, "dynaring: "+explain(err))
	return 1
}

// wordings are what the flag libraries say of a bad value, and how it is put
// here: the flag, variable or line as the user wrote it comes first.
var wordings = []struct {
	said   *regexp.Regexp
	better string
}{
	{regexp.MustCompile(`invalid value ("(?s:.*)") for flag -([\w-]+): `), "--$2 $1: "},
	{regexp.MustCompile(`error setting flag "[\w-]+" from environment variable "(\w+)": `), "$1: "},
	{regexp.MustCompile(`error setting flag "([\w-]+)" from config file: `), "$1: "},
	{regexp.MustCompile(`config file flag (".*") not defined in flag set`), "there is no flag $1"},
}

// explain words an error for somebody at a terminal: every line of a joined
// error on its own, without what the flag libraries put in front.
func explain(err error) string {
	text := err.Error()
	for _, noise := range []string{"error parsing commandline arguments: ", "error parsing environment variables: "} {
		text = strings.TrimPrefix(text, noise)
	}
	text = strings.Replace(text, "flag provided but not defined: -", "there is no flag --", 1)
	for _, w := range wordings {
		text = w.said.ReplaceAllString(text, w.better)
	}
	if lines := strings.Split(text, "\n"); len(lines) > 1 {
		return "several things are wrong:\n  " + strings.Join(lines, "\n  ")
	}
	return text
}

func (a app) root(usage io.Writer) *ffcli.Command {
	root := a.group("dynaring", "Amazon's Dynamo as a server that any Redis client can use.",
		a.serveCommand(), a.localCommand(), a.clusterCommand(), a.versionCommand())
	prepare(root, usage)
	return root
}

// group returns a command that only holds others; path is the whole way to it.
func (a app) group(path, help string, subs ...*ffcli.Command) *ffcli.Command {
	words := strings.Fields(path)
	return &ffcli.Command{
		Name:        words[len(words)-1],
		ShortUsage:  path + " COMMAND [flags]",
		ShortHelp:   help,
		FlagSet:     flag.NewFlagSet(path, flag.ContinueOnError),
		Subcommands: subs,
		Exec: func(_ context.Context, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("there is no command %q here: see %s --help", args[0], path)
			}
			return flag.ErrHelp
		},
	}
}

// prepare makes the command and those below it print their usage to w, and
// leave errors to the caller.
func prepare(c *ffcli.Command, w io.Writer) {
	c.FlagSet.SetOutput(w)
	if c.UsageFunc == nil {
		c.UsageFunc = func(c *ffcli.Command) string { return usageText(c, nil) }
	}
	for _, sub := range c.Subcommands {
		prepare(sub, w)
	}
}

// noArgs refuses what is left of a command line after its flags.
func noArgs(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is not understood: flags start with --, and nothing else is expected", args[0])
	}
	return nil
}
