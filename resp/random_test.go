package resp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/dynaring/dynaring/resp/fidelity"
)

// likeRedis sends random commands to a real redis-server and to this one as
// one script in each protocol, and wants the same replies.
func likeRedis(t *testing.T, commands int, next func(*rand.Rand) []string) {
	t.Helper()
	real, ours := unixDial(startRedis(t, "")), unixDial(startOurs(t, Options{}))
	random := rand.New(rand.NewPCG(3, 4))
	script := fidelity.Script{File: "random"}
	for range commands {
		var args [][]byte
		for _, word := range next(random) {
			args = append(args, []byte(word))
		}
		script.Steps = append(script.Steps, fidelity.Step{Text: fmt.Sprintf("%q", args), Args: args})
	}
	for _, proto := range []int{resp2, resp3} {
		diffs, err := fidelity.Compare(real, ours, &script, proto)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range diffs[:min(len(diffs), 10)] {
			t.Error(d)
		}
	}
}

// pick returns one of some words.
func pick(random *rand.Rand, words ...string) string { return words[random.IntN(len(words))] }

// place returns a number around the ends of a short value, at times one at the
// ends of what numbers there are, or none.
func place(random *rand.Rand, around int) string {
	switch random.IntN(30) {
	case 0:
		return pick(random, "x", "", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "4294967296", "-0")
	case 1:
		return strconv.FormatInt(random.Int64()-random.Int64(), 10)
	default:
		return strconv.Itoa(random.IntN(4*around+1) - 2*around)
	}
}

// bytesOf returns a random value, with long runs of bits that are the same.
func bytesOf(random *rand.Rand, most int) string {
	value := make([]byte, random.IntN(most+1))
	for i := 0; i < len(value); {
		c := [...]byte{0, 0xff, 0, 0xff, byte(random.Uint32())}[random.IntN(5)]
		for n := random.IntN(24); n >= 0 && i < len(value); n-- {
			value[i] = c
			i++
		}
	}
	return string(value)
}

// TestBitsLikeRedis counts, finds, sets and combines random bits.
func TestBitsLikeRedis(t *testing.T) {
	t.Parallel()
	likeRedis(t, 6000, func(random *rand.Rand) []string {
		key := func() string { return "b" + strconv.Itoa(random.IntN(12)) }
		args := []string{"", key()}
		switch random.IntN(8) {
		case 0:
			return []string{"set", key(), bytesOf(random, 100)}
		case 1:
			return []string{"setbit", key(), strconv.Itoa(random.IntN(900)), pick(random, "0", "1", "1", "2")}
		case 2:
			return []string{"getbit", key(), strconv.Itoa(random.IntN(900))}
		case 3:
			args = []string{"bitop", pick(random, "and", "or", "xor", "NOT"), key(), key()}
			for range random.IntN(4) {
				args = append(args, key())
			}
			return args
		case 4:
			return []string{"bitfield_ro", key(), "get", fieldType(random), place(random, 100)}
		case 5, 6:
			args = append(args, pick(random, "0", "1"))
		}
		args[0] = "bitpos"
		if len(args) == 2 {
			args[0] = "bitcount"
		}
		if random.IntN(4) > 0 {
			args = append(args, place(random, 100))
		}
		if random.IntN(4) > 0 {
			args = append(args, place(random, 100))
		}
		if random.IntN(2) > 0 {
			args = append(args, pick(random, "bit", "BYTE", "BIT", "bits"))
		}
		return args
	})
}

func fieldType(random *rand.Rand) string {
	if random.IntN(30) == 0 {
		return pick(random, "u64", "i65", "u0", "i0", "i", "x1", "U8", "")
	}
	return pick(random, "u", "i") + strconv.Itoa(1+random.IntN(63+random.IntN(2)))
}

// TestFieldsLikeRedis does everything that BITFIELD can with fields of every
// type, and numbers at the edges of them.
func TestFieldsLikeRedis(t *testing.T) {
	t.Parallel()
	number := func(random *rand.Rand) string {
		edge := int64(uint64(1) << random.IntN(64))
		switch random.IntN(6) {
		case 0:
			return strconv.FormatInt(edge, 10)
		case 1:
			return strconv.FormatInt(-edge, 10)
		case 2:
			return strconv.FormatInt(edge-1, 10)
		case 3:
			return strconv.FormatInt(-edge-1, 10)
		case 4:
			return strconv.Itoa(random.IntN(200) - 100)
		default:
			return place(random, math.MaxInt64>>(3+random.IntN(60)))
		}
	}
	written := ""
	likeRedis(t, 12000, func(random *rand.Rand) []string {
		if written != "" { // and seen, before another write hides what became of it
			args := []string{"get", written}
			written = ""
			return args
		}
		written = "f" + strconv.Itoa(random.IntN(6))
		args := []string{pick(random, "bitfield", "bitfield", "bitfield", "bitfield_ro"), written}
		for range random.IntN(5) {
			if random.IntN(2) == 0 {
				args = append(args, "overflow", pick(random, "wrap", "sat", "fail", "SAT", "fail", "WRAP", "wrong"))
			}
			op := pick(random, "get", "set", "incrby")
			at := strconv.Itoa(random.IntN(130))
			if random.IntN(3) == 0 {
				at = "#" + strconv.Itoa(random.IntN(4))
			}
			args = append(args, op, fieldType(random), at)
			if op == "get" {
				continue
			}
			by := number(random)
			// Redis takes numbers below for higher than those of a narrow field.
			if n, _ := strconv.ParseInt(by, 10, 64); op == "set" && n < math.MinInt64/2 {
				by = "-1"
			}
			args = append(args, by)
		}
		if random.IntN(30) == 0 {
			args = args[:2+random.IntN(len(args)-1)]
		}
		return args
	})
}

// TestRangesLikeRedis reads and overwrites random parts of values, and looks
// for what two of them have in common.
func TestRangesLikeRedis(t *testing.T) {
	t.Parallel()
	text := func(random *rand.Rand) string {
		value := make([]byte, random.IntN(40))
		for i := range value {
			value[i] = "abc"[random.IntN(3)]
		}
		return string(value)
	}
	likeRedis(t, 6000, func(random *rand.Rand) []string {
		key := func() string { return "r" + strconv.Itoa(random.IntN(8)) }
		switch random.IntN(6) {
		case 0:
			return []string{"set", key(), text(random)}
		case 1:
			return []string{pick(random, "getrange", "substr"), key(), place(random, 20), place(random, 20)}
		case 2:
			return []string{"setrange", key(), strconv.Itoa(random.IntN(30) - 1), text(random)}
		case 3:
			return []string{"append", key(), text(random)}
		}
		args := []string{"lcs", key(), key()}
		for range random.IntN(4) {
			switch word := pick(random, "idx", "IDX", "len", "minmatchlen", "withmatchlen", "idxx"); word {
			case "minmatchlen":
				args = append(args, word, strconv.Itoa(random.IntN(6)-1))
			case "idxx":
				if random.IntN(10) == 0 {
					args = append(args, word)
				}
			default:
				args = append(args, word)
			}
		}
		return args
	})
}
