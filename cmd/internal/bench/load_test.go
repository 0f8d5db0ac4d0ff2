package main

import (
	"strings"
	"testing"
)

func TestRatioIsTakenPerRound(t *testing.T) {
	r, l := results{}, load{"GET", 16, manyKeys}
	for _, pair := range [][2]float64{{100, 50}, {200, 60}, {400, 200}} {
		r.add(redconName, l, pair[0])
		r.add("x", l, pair[1])
	}
	if got := r.ratio("x", l); got != 0.5 {
		t.Fatalf("ratio %v", got)
	}
	var out strings.Builder
	r.print(&out, []system{{name: redconName}, {name: "x"}}, true)
	if !strings.Contains(out.String(), "| x |") || !strings.Contains(out.String(), "0.500") {
		t.Fatal(out.String())
	}
}
