package resp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/dynaring/dynaring/resp/fidelity"
)

// TestIncrByFloatLikeRedis adds random numbers to random ones, written in
// every way, and wants the very digits that Redis answers.
func TestIncrByFloatLikeRedis(t *testing.T) {
	real, ours := unixDial(startRedis(t, "")), unixDial(startOurs(t, Options{}))
	random := rand.New(rand.NewPCG(3, 4))
	number := func() string {
		switch f := random.NormFloat64(); random.IntN(6) {
		case 0:
			return strconv.FormatInt(random.Int64N(1000)-500, 10)
		case 1:
			return strconv.FormatFloat(f*1000, 'f', random.IntN(6), 64)
		case 2:
			return strconv.FormatFloat(f*math.Pow(10, float64(random.IntN(60)-30)), 'e', random.IntN(20), 64)
		case 3:
			return strconv.FormatInt(random.Int64()-random.Int64(), 10)
		case 4:
			return fmt.Sprintf("%d.%019d", random.IntN(1000), random.Int64())
		default:
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	}
	script := fidelity.Script{File: "random"}
	for range 3000 {
		args := [][]byte{[]byte("incrbyfloat"), fmt.Append(nil, "f", random.IntN(200)), []byte(number())}
		script.Steps = append(script.Steps, fidelity.Step{Text: fmt.Sprintf("%q", args), Args: args})
	}
	diffs, err := fidelity.Compare(real, ours, &script, resp2)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diffs[:min(len(diffs), 10)] {
		t.Error(d)
	}
}
