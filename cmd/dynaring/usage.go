package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// flagGroup is a heading of a command's help and the flags under it.
type flagGroup struct {
	title string
	flags []string
}

// usageText returns a command's help. Flags that are in no group come last.
func usageText(c *ffcli.Command, groups []flagGroup) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n  %s\n", c.ShortHelp, c.ShortUsage)
	if c.LongHelp != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(c.LongHelp))
	}
	if len(c.Subcommands) > 0 {
		fmt.Fprintf(&b, "\nCommands:\n")
		for _, sub := range c.Subcommands {
			fmt.Fprintf(&b, "  %-9s %s\n", sub.Name, sub.ShortHelp)
		}
		fmt.Fprintf(&b, "\n%s COMMAND --help tells more.\n", strings.TrimSuffix(c.ShortUsage, " COMMAND [flags]"))
	}
	var rest []string
	c.FlagSet.VisitAll(func(f *flag.Flag) {
		if !slices.ContainsFunc(groups, func(g flagGroup) bool { return slices.Contains(g.flags, f.Name) }) {
			rest = append(rest, f.Name)
		}
	})
	for _, g := range append(slices.Clone(groups), flagGroup{"Flags", rest}) {
		var lines []string
		for _, name := range g.flags {
			if f := c.FlagSet.Lookup(name); f != nil {
				lines = append(lines, flagLine(f))
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n%s:\n%s", g.title, strings.Join(lines, ""))
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// flagColumn is where the explanations of flags start.
const flagColumn = 24

// flagLine prints a flag whose usage is "`ARGUMENT` explanation".
func flagLine(f *flag.Flag) string {
	arg, text := flag.UnquoteUsage(f)
	text = strings.TrimPrefix(text, arg+" ")
	head := "  --" + f.Name + " " + arg
	if f.Name == addrFlag {
		head = "  -" + f.Name + " " + arg
	}
	if f.DefValue != "" {
		text += fmt.Sprintf(" (default %s)", f.DefValue)
	}
	indent := "\n" + strings.Repeat(" ", flagColumn)
	text = strings.ReplaceAll(text, "\n", indent)
	if len(head) >= flagColumn {
		return head + indent + text + "\n"
	}
	return fmt.Sprintf("%-*s%s\n", flagColumn, head, text)
}
