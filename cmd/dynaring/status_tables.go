package main

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// unknown is what a number is that a member did not answer.
const unknown = "-1"

// settlingFields are what a member says of itself, of the work that brings it
// into step; the other fields are what it is and where.
var settlingFields = []string{"hints", "hint-bytes", "oldest-hint", "strays", "unstepped", "lag", "last-full", "collected", "held-up"}

// nested fields have tables of their own.
const (
	seenByField = "seen-by"
	hintsField  = "hints-for"
)

// places returns what the members are and where.
func (s status) places() [][]pair {
	var out [][]pair
	for _, m := range s.members {
		out = append(out, slices.DeleteFunc(slices.Clone(m), func(p pair) bool {
			return p.key == seenByField || p.key == hintsField || slices.Contains(settlingFields, p.key)
		}))
	}
	return out
}

// settling returns what each member says is not at rest with it. A node of an
// older version says nothing.
func (s status) settling() [][]pair {
	var out [][]pair
	for _, m := range s.members {
		row := []pair{{"name", get(m, "name")}}
		for _, p := range m {
			if slices.Contains(settlingFields, p.key) {
				row = append(row, pair{p.key, readable(p.key, text(p.value))})
			}
		}
		if len(row) > 1 {
			out = append(out, row)
		}
	}
	return out
}

// readable prints times as people read them, and nothing for what is unknown.
func readable(key, value string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return value
	}
	switch {
	case value == unknown:
		return ""
	case key == "last-full" && n == 0:
		return "never"
	case key == "last-full":
		return time.UnixMilli(n).UTC().Format("2006-01-02T15:04:05Z")
	case key == "lag" || key == "oldest-hint" || key == "age":
		return (time.Duration(n) * time.Millisecond).String()
	}
	return value
}

// sights returns who sees whom: a row for each member, a column for each that
// looks at it.
func (s status) sights() [][]pair {
	var out [][]pair
	for _, m := range s.members {
		seen, ok := field(m, seenByField).([]any)
		if !ok {
			continue
		}
		row := []pair{{"member", get(m, "name")}}
		for _, by := range s.members {
			state := ""
			for _, one := range seen {
				if words, ok := one.([]any); ok && len(words) == 2 && text(words[0]) == get(by, "name") {
					state = text(words[1])
				}
			}
			row = append(row, pair{"by " + get(by, "name"), state})
		}
		out = append(out, row)
	}
	return out
}

// hints returns what the members keep for each other.
func (s status) hints() [][]pair {
	var out [][]pair
	for _, m := range s.members {
		kept, err := records(field(m, hintsField))
		if err != nil {
			continue // it did not answer
		}
		for _, h := range kept {
			out = append(out, []pair{
				{"hints of", get(m, "name")}, {"for", get(h, "owner")}, {"cells", get(h, "cells")}, {"bytes", get(h, "bytes")},
				{"oldest", readable("age", get(h, "age"))}, {"delivered/s", strings.TrimSuffix(get(h, "rate"), ".0")},
			})
		}
	}
	return out
}

// field returns the value under key; nil if there is none.
func field(record []pair, key string) any {
	for _, p := range record {
		if p.key == key {
			return p.value
		}
	}
	return nil
}
