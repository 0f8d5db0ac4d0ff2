package resp

import (
	"math"
	"strings"
)

// Size of LOLWUT's ring, in characters.
const (
	ringWidth  = 41
	ringHeight = 17
	ringMarks  = 96 // places of it that are drawn
)

// lolwut draws the ring, and where this connection's id would be on it.
func lolwut(b *batch, args [][]byte) {
	if len(args) >= 3 && is(args[1], "VERSION") {
		if _, err := parseInt(args[2]); err != nil {
			b.fail(err)
			return
		}
	}
	b.text(drawRing(int(b.ss.id%ringMarks)) + "\nWalk clockwise: the first three you meet have your key.\n\nRedis ver. " + RedisVersion + "\n")
}

// drawRing draws a ring with three owners behind a key's place.
func drawRing(key int) string {
	lines := make([][]byte, ringHeight)
	for i := range lines {
		lines[i] = []byte(strings.Repeat(" ", ringWidth))
	}
	put := func(place int, mark byte) {
		angle := 2 * math.Pi * float64(place) / ringMarks
		x := float64(ringWidth/2) * (1 + math.Sin(angle))
		y := float64(ringHeight/2) * (1 - math.Cos(angle))
		lines[int(y+0.5)][int(x+0.5)] = mark
	}
	for place := range ringMarks {
		put(place, '.')
	}
	const apart = ringMarks / 12
	for i, mark := range []byte("KABC") {
		put(key+i*apart, mark)
	}
	var out strings.Builder
	for _, l := range lines {
		out.WriteString(strings.TrimRight(string(l), " ") + "\n")
	}
	return out.String()
}
