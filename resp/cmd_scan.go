package resp

import (
	"math"
	"strconv"

	"github.com/dynaring/dynaring/ring"
)

const (
	slots        = ring.Slots
	scanCount    = 10   // keys that a SCAN looks at if it is not told
	scanCountMax = 4096 // and at most
	scanPages    = 16   // pages that it may take to find some
)

// scanOptions are what SCAN was told.
type scanOptions struct {
	cursor  uint64
	pattern []byte // nil: all
	count   int
	typ     []byte // nil: all
}

// scan looks at the next keys of the whole cluster.
func scan(b *batch, args [][]byte) {
	o, err := parseScan(args)
	if err != nil {
		b.fail(err)
		return
	}
	at, ok := b.s.cursors.position(o.cursor)
	var keys [][]byte
	var next uint64
	for looked := 0; ok; {
		page, err := b.s.opts.Cluster.Scan(b.ctx, at, o.count-looked)
		if err != nil {
			b.fail(err)
			return
		}
		for _, k := range page.Keys {
			if o.wants(k) {
				keys = append(keys, k.Key)
			}
		}
		looked += max(len(page.Keys), (o.count+scanPages-1)/scanPages) // an empty page counts too
		if at = page.Next; page.Done {
			break
		}
		if looked >= o.count {
			next = b.s.cursors.save(at)
			break
		}
	}
	b.array(2)
	b.str(strconv.FormatUint(next, 10))
	b.array(len(keys))
	for _, k := range keys {
		b.bulk(k)
	}
}

func (o *scanOptions) wants(k ScannedKey) bool {
	return (o.typ == nil || is(o.typ, upper([]byte(k.Type)))) && (o.pattern == nil || glob(o.pattern, k.Key))
}

func parseScan(args [][]byte) (o scanOptions, err error) {
	if o.cursor, err = parseCursor(args[1]); err != nil {
		return o, err
	}
	o.count = scanCount
	for i := 2; i < len(args); i += 2 {
		if i+1 == len(args) {
			return o, errSyntax
		}
		switch arg := args[i+1]; {
		case is(args[i], "MATCH"):
			o.pattern = arg
		case is(args[i], "TYPE"):
			o.typ = arg
		case is(args[i], "COUNT"):
			n, err := parseInt(arg)
			if err != nil {
				return o, err
			}
			if n < 1 {
				return o, errSyntax
			}
			o.count = int(min(n, scanCountMax))
		default:
			return o, errSyntax
		}
	}
	return o, nil
}

// parseCursor reads a cursor as Redis does, by strtoul: empty is 0, and a
// number below 0 one that nobody gave out.
func parseCursor(b []byte) (uint64, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if b[0] == '-' {
		if _, err := strconv.ParseUint(string(b[1:]), 10, 64); err != nil {
			return 0, errCursor
		}
		return math.MaxUint64, nil
	}
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return 0, errCursor
	}
	return n, nil
}
