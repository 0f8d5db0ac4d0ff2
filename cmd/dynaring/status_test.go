package main

import (
	"bytes"
	"testing"
)

// aStatus is a status in which n2 does not answer, and n3 is of a version that
// says nothing of itself.
func aStatus(t *testing.T) status {
	t.Helper()
	members, err := records([]any{
		[]any{"name", "n1", "state", "up", "hints", int64(4), "oldest-hint", int64(1500), "lag", int64(0),
			"last-full", int64(0), "held-up", "n2 cannot be reached",
			"seen-by", []any{[]any{"n3", "up"}},
			"hints-for", []any{
				[]any{"owner", "n2", "cells", int64(3), "bytes", int64(99), "age", int64(1500), "rate", "0.2"},
				[]any{"owner", "n3", "cells", int64(1), "bytes", int64(20), "age", int64(20), "rate", "7.0"},
			}},
		[]any{"name", "n2", "state", "down", "hints", int64(-1), "oldest-hint", int64(-1), "lag", int64(-1),
			"last-full", int64(-1), "held-up", nil,
			"seen-by", []any{[]any{"n1", "down"}, []any{"n3", "up"}}, "hints-for", nil},
		[]any{"name", "n3", "state", "up"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return status{members: members}
}

func TestStatusTables(t *testing.T) {
	s := aStatus(t)
	for name, c := range map[string]struct {
		rows [][]pair
		want string
	}{
		"places": {s.places(), "" +
			"NAME  STATE\n" +
			"n1    up\n" +
			"n2    down\n" +
			"n3    up\n"},
		"settling": {s.settling(), "" +
			"NAME  HINTS  OLDEST-HINT  LAG  LAST-FULL  HELD-UP\n" +
			"n1    4      1.5s         0s   never      n2 cannot be reached\n" +
			"n2    -      -            -    -          -\n"},
		"sights": {s.sights(), "" +
			"MEMBER  BY N1  BY N3\n" +
			"n1      -      up\n" +
			"n2      down   up\n"},
		"hints": {s.hints(), "" +
			"HINTS OF  FOR  CELLS  BYTES  OLDEST  DELIVERED/S\n" +
			"n1        n2   3      99     1.5s    0.2\n" +
			"n1        n3   1      20     20ms    7\n"},
	} {
		var b bytes.Buffer
		if err := table(&b, c.rows); err != nil {
			t.Fatal(err)
		}
		if b.String() != c.want {
			t.Errorf("%s: got\n%swant\n%s", name, b.String(), c.want)
		}
	}
}

func TestReadable(t *testing.T) {
	for _, c := range [][3]string{
		{"last-full", "0", "never"}, {"last-full", "1700000000000", "2023-11-14T22:13:20Z"}, {"last-full", "-1", ""},
		{"lag", "90000", "1m30s"}, {"hints", "7", "7"}, {"held-up", "n2 is away", "n2 is away"},
	} {
		if got := readable(c[0], c[1]); got != c[2] {
			t.Errorf("%s %s is printed as %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
