package resp

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynaring/dynaring/resp/fidelity"
)

var (
	likeSeed = flag.Uint64("like.seed", 0, "TestCommandsLikeRedis: repeat this seed alone")
	likeFor  = flag.Duration("like.for", 0, "TestCommandsLikeRedis: new seeds for so long, instead of the fixed ones")
)

// likeScripts is how many scripts fixed seeds make, likeSteps how long one is.
const likeScripts, likeSteps = 150, 30

// unlike are the commands whose replies differ from Redis's by their nature,
// or that would have it end, wait or fork. Scripts of testdata/redis say them.
const unlike = `acl|cat acl|genpass acl|log acl|setuser asking bgrewriteaof bgsave client|id client|info client|kill
client|list client|no-touch client|pause client|reply client|setinfo client|tracking cluster command|count
command|docs command|info command|list config|get config|rewrite config|set dbsize debug dump info keys lastsave
latency|doctor latency|histogram lolwut memory|doctor memory|malloc-stats memory|stats memory|usage
module|load module|loadex monitor object|encoding object|idletime
object|refcount randomkey readonly readwrite replicaof save scan
shutdown slaveof slowlog|get slowlog|len time wait waitaof`

// nearly are the commands whose replies tell how long a key has to live.
const nearly = "ttl pttl expiretime pexpiretime"

// TestCommandsLikeRedis sends random commands, made from what COMMAND DOCS says
// of each and then spoilt at times, to a real redis-server and to this one.
func TestCommandsLikeRedis(t *testing.T) {
	t.Parallel()
	real, ours := unixDial(startRedis(t, "")), unixDial(startOurs(t, Options{}))
	g := newGrammar(newFake(t, 1, Options{}).nodes[0].server.table)
	until := time.Now().Add(*likeFor)
	for n := range uint64(1 << 32) {
		seed := n + 1
		switch {
		case *likeSeed > 0:
			seed = *likeSeed
		case *likeFor > 0:
			seed = rand.Uint64()
		}
		script := g.script(seed)
		for _, proto := range []int{resp2, resp3} {
			diffs, err := fidelity.Compare(real, ours, script, proto)
			if err != nil {
				for _, step := range script.Steps {
					t.Log(step.Text)
				}
				t.Fatalf("-like.seed %d: %v", seed, err)
			}
			if len(diffs) > 0 { // those that follow may be its consequences
				t.Errorf("-like.seed %d: %s", seed, diffs[0])
			}
		}
		if *likeSeed > 0 || *likeFor == 0 && n+1 == likeScripts || *likeFor > 0 && time.Now().After(until) {
			t.Logf("%d scripts", n+1)
			return
		}
	}
}

// grammar makes commands.
type grammar struct {
	*rand.Rand
	table  *table
	rows   []*row
	tokens []string // of all commands' options
	most   []*row   // rows without those of subscribers
}

func newGrammar(t *table) *grammar {
	g := &grammar{table: t}
	tokens := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(t.byName)) {
		r := t.byName[name]
		if r.since == sinceOurs || isUnlike(r) {
			continue
		}
		g.rows = append(g.rows, r)
		if !r.subscriber {
			g.most = append(g.most, r)
		}
		addTokens(tokens, r.args)
	}
	g.tokens = slices.Sorted(maps.Keys(tokens))
	return g
}

func addTokens(tokens map[string]bool, args []argument) {
	for _, a := range args {
		if a.token != "" {
			tokens[a.token] = true
		}
		addTokens(tokens, a.args)
	}
}

func (g *grammar) script(seed uint64) *fidelity.Script {
	g.Rand = rand.New(rand.NewPCG(seed, seed))
	s := &fidelity.Script{File: "random"}
	for range likeSteps {
		words, near := g.command()
		step := fidelity.Step{Line: len(s.Steps) + 1, Text: fmt.Sprintf("%q", words), Near: near}
		for _, w := range words {
			step.Args = append(step.Args, []byte(w))
		}
		s.Steps = append(s.Steps, step)
	}
	return s
}

func (g *grammar) one(in int) bool { return g.IntN(in) == 0 }

// command returns a command as it may be typed, and whether its reply tells
// the time.
func (g *grammar) command() (words []string, near bool) {
	for {
		rows := g.most
		if g.one(10) {
			rows = g.rows
		}
		r := rows[g.IntN(len(rows))]
		words = append(strings.Split(r.name, "|"), g.args(r, r.args)...)
		if contains("command|getkeys command|getkeysandflags acl|dryrun", r.name) && !g.one(10) {
			nested, _ := g.command()
			words = append(words[:2], nested...)
			if r.name == "acl|dryrun" {
				words = slices.Insert(words, 2, "default")
			}
		}
		if g.one(4) && !r.subscriber {
			words = g.spoil(words)
		}
		words[0] = g.cased(words[0])
		if !g.avoided(words) {
			return words, contains(nearly, r.name)
		}
	}
}

func isUnlike(r *row) bool {
	container, _, _ := strings.Cut(r.name, "|")
	return contains(unlike, r.name) || contains(unlike, container)
}

// avoided reports whether a command is one whose difference is accepted, which
// it may have become by a mistake.
func (g *grammar) avoided(words []string) bool {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	r := g.table.find(args)
	switch {
	case r == nil:
		return false
	case r.name == "command" && len(words) == 1, isUnlike(r):
		return true
	}
	return r.name == "bitfield" && slices.Contains(words, "-9223372036854775808") ||
		r.name == "restore" && len(words) > 2 && words[2] == "9223372036854775807"
}

// args returns arguments of a row. What may be left out comes in any order.
func (g *grammar) args(r *row, of []argument) (words []string) {
	var optional [][]string
	for i := range of {
		a := &of[i]
		switch {
		case !a.optional:
			words = append(words, g.argument(r, a)...)
		case g.one(3):
			optional = append(optional, g.argument(r, a))
		}
	}
	if g.one(2) {
		g.Shuffle(len(optional), func(i, j int) { optional[i], optional[j] = optional[j], optional[i] })
	}
	return slices.Concat(append([][]string{words}, optional...)...)
}

func (g *grammar) argument(r *row, a *argument) (words []string) {
	times := 1
	for a.multiple && times < 4 && g.one(2) {
		times++
	}
	for i := range times {
		if a.token != "" && (i == 0 || a.tokens) {
			words = append(words, g.cased(a.token))
		}
		switch a.typ {
		case "pure-token":
		case "block":
			words = append(words, g.args(r, a.args)...)
		case "oneof":
			words = append(words, g.argument(r, &a.args[g.IntN(len(a.args))])...)
		default:
			words = append(words, g.value(r, a))
		}
	}
	return words
}

var (
	likeNumbers = []string{"0", "1", "-1", "2", "3", "7", "10", "-10", "100", "-100", "9223372036854775807",
		"-9223372036854775808", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "4294967296",
		"2147483648", "-2147483649", "x", "", " 1", "1 ", "01", "+1", "-0", "1.0", "1e3", "0x10", "1\x00"}
	likeTimes = []string{"0", "-1", "1000000", "2000000", "3000000000", "9223372036854775807", "-9223372036854775808",
		"9223372036854775", "9223372036854776", "9223370000000000", "x", "", "1.5"}
	likeMoments = []string{"0", "-1", "1", "4000000000", "5000000000", "4000000000000", "5000000000000",
		"9223372036854775807", "9223372036854775", "9223372036854776", "x", ""}
	likeTexts = []string{"", "a", "hello", "hello world", "10", "-1", "3.5", "9223372036854775807", "-9223372036854775808",
		"\x00\xff\r\n", "1e400", "inf", "nan", "-inf", "0x1p3", "1.7976931348623157e308", "5e-324", " 1", "007", "abc'd\"e\\"}
	likeDumps = []string{"\x00\x01v\n\x00\x91\b\xce\xb2\x198\x8a\xce", "", "x", "\x00\x05hello\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\xc0\x05\x0a\x00\x96\x8f\x5c\xc1\x3a\x7a\x5d\x25"}
	likePlaces = []string{"0", "1", "#0", "#1", "#2", "7", "8", "-1", "#-1", "4294967295999", "#", "x", ""}
	likeTypes  = []string{"u1", "u8", "i8", "i5", "u63", "u64", "i64", "i65", "u0", "x8", "u", ""}
)

func (g *grammar) of(words []string) string { return words[g.IntN(len(words))] }

// value returns a value of an argument, which its name says more of than its
// type.
func (g *grammar) value(r *row, a *argument) string {
	switch {
	case a.typ == "key":
		return g.key(r)
	case contains("channel shardchannel", a.name):
		return "ch" // of several Redis would answer in any order
	case a.typ == "pattern":
		return "c*"
	case contains("seconds milliseconds ttl", a.name):
		return g.of(likeTimes)
	case a.typ == "unix-time" || strings.HasPrefix(a.name, "unix-time"):
		return g.of(likeMoments)
	case a.name == "serialized-value":
		return g.of(likeDumps)
	case a.name == "encoding":
		return g.of(likeTypes)
	case r.group == "bitmap" && a.name == "offset":
		return g.of(likePlaces)
	case r.name == "bitop":
		return g.of([]string{"and", "OR", "Xor", "not", "nand"})
	case a.typ == "integer" && g.one(2):
		return g.of(likeNumbers[:10])
	case a.typ == "integer":
		return g.of(likeNumbers)
	}
	return g.of(likeTexts)
}

// key returns a key's name. HyperLogLogs have their own: reading one changes it
// in Redis.
func (g *grammar) key(r *row) string {
	switch {
	case r.group == "hyperloglog":
		return pick(g.Rand, "h0", "h1", "h2")
	case g.one(20) && contains("set append setrange del unlink exists type strlen expire persist", r.name):
		return "h0"
	case g.one(20):
		return pick(g.Rand, "", "k 0", "\x00k\xff")
	}
	return pick(g.Rand, "k0", "k1", "k2", "k3", "{k}4")
}

// spoil makes a mistake, or what may be one.
func (g *grammar) spoil(words []string) []string {
	at := 1 + g.IntN(max(1, len(words)-1))
	at = min(at, len(words)-1)
	another := g.of(g.tokens)
	if g.one(2) {
		another = g.of(slices.Concat(likeNumbers, likeTexts))
	}
	switch g.IntN(6) {
	case 0:
		return words[:at+1]
	case 1:
		if at > 0 {
			return slices.Delete(words, at, at+1)
		}
	case 2:
		return slices.Insert(words, at+1, words[at])
	case 3:
		return slices.Insert(words, at+1, another)
	case 4:
		return append(words, another)
	case 5:
		if at > 0 {
			words[at] = another
		}
	}
	return words
}

func (g *grammar) cased(word string) string {
	switch g.IntN(3) {
	case 0:
		return strings.ToUpper(word)
	case 1:
		return strings.ToLower(word)
	}
	return word
}
