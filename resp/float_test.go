package resp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestIncrByFloatLikeRedis adds random numbers to random ones, written in
// every way, and wants the very digits that Redis answers.
func TestIncrByFloatLikeRedis(t *testing.T) {
	t.Parallel()
	likeRedis(t, 6000, func(random *rand.Rand) []string {
		key := "f" + strconv.Itoa(random.IntN(200))
		if random.IntN(10) == 0 {
			return []string{"set", key, writtenFloat(random)}
		}
		return []string{"incrbyfloat", key, writtenFloat(random)}
	})
}

// writtenFloat returns a number as people and programs write them.
func writtenFloat(random *rand.Rand) string {
	switch f := random.NormFloat64(); random.IntN(9) {
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
	case 5:
		return strconv.FormatFloat(f*math.Pow(2, float64(random.IntN(140)-70)), 'x', random.IntN(14), 64)
	case 6: // half a unit of the last of 64 bits behind the point
		return fmt.Sprintf("%d.%s", random.IntN(4), strconv.FormatFloat(math.Ldexp(1, -1-random.IntN(70)), 'f', -1, 64)[2:])
	case 7: // beyond 64 bits
		return fmt.Sprintf("%d%019d.%019d", random.Int64N(1000), random.Int64(), random.Int64())
	default:
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
}
