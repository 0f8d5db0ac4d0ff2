package antientropy

import (
	"testing"

	"github.com/dynaring/dynaring/ring"
)

func TestSources(t *testing.T) {
	for _, tc := range []struct{ width, present, w, want int }{
		{3, 3, 2, 2},
		{3, 3, 3, 1},
		{3, 3, 1, 3},
		{3, 2, 2, 2}, // one lost its data: one copy is left of what it and another had acknowledged
		{3, 2, 3, 1},
		{3, 1, 2, 1},
		{1, 1, 2, 1},
		{5, 4, 3, 3},
		{0, 0, 2, 0},
	} {
		p := &ring.Preference{Owners: make([]string, tc.present), Width: tc.width}
		if got := sources(p, tc.w); got != tc.want {
			t.Errorf("%d of %d owners present, W=%d: %d sources, want %d", tc.present, tc.width, tc.w, got, tc.want)
		}
	}
}
