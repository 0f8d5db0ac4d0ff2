package resp

import (
	"math"
	"slices"
	"strconv"

	"github.com/dynaring/dynaring/ring"
)

const (
	slots        = ring.Slots
	scanCount    = 10   // keys that a SCAN looks at if it is not told
	scanCountMax = 4096 // and at most
	scanPages    = 16   // pages that it may take to find some
	scanSlotMax  = 1024 // keys beyond, to come to the end of a slot
	scanSlotPage = 64   // of them at a time
)

// scanOptions are what SCAN was told.
type scanOptions struct {
	cursor  uint64
	pattern []byte // nil: all
	count   int
	typ     []byte // nil: all
}

// scan looks at the next keys of the whole cluster, up to the end of a slot if
// that is not far: any node finds such a place at once.
func scan(b *batch, args [][]byte) {
	o, err := parseScan(args)
	if err != nil {
		b.fail(err)
		return
	}
	at, ok, err := b.seek(o.cursor)
	if err != nil {
		b.fail(err)
		return
	}
	var keys [][]byte
	var next uint64
	if ok {
		var done bool
		if keys, at, done, err = b.scanKeys(&o, at); err != nil {
			b.fail(err)
			return
		}
		if !done {
			next = b.s.cursors.save(at)
		}
	}
	b.array(2)
	b.str(strconv.FormatUint(next, 10))
	b.array(len(keys))
	for _, k := range keys {
		b.bulk(k)
	}
}

// scanKeys returns the keys that are wanted of those that a SCAN looks at from
// a position on, and where it stopped; done: there are no more.
func (b *batch) scanKeys(o *scanOptions, at Position) (keys [][]byte, _ Position, done bool, err error) {
	for looked := 0; ; {
		limit, rest := o.count-looked, looked >= o.count
		if rest {
			limit = scanSlotPage
		}
		page, err := b.scanPage(at, limit)
		if err != nil {
			return nil, at, false, err
		}
		if rest {
			page.cut(at.Slot)
		}
		for _, k := range page.Keys {
			if o.wants(k) {
				keys = append(keys, k.Key)
			}
		}
		looked += max(len(page.Keys), (o.count+scanPages-1)/scanPages) // an empty page counts too
		at = page.Next
		if page.Done || looked >= o.count && (len(at.After) == 0 || looked >= o.count+scanSlotMax) {
			return keys, at, page.Done, nil
		}
	}
}

// cut takes from a page what is beyond a slot.
func (p *Page) cut(slot uint16) {
	i := slices.IndexFunc(p.Keys, func(k ScannedKey) bool { return ring.Slot(k.Key) > slot })
	if i < 0 && p.Next.Slot <= slot {
		return
	}
	if i >= 0 {
		p.Keys = p.Keys[:i]
	}
	if p.Done && i < 0 {
		return
	}
	p.Next, p.Done = Position{Slot: slot + 1}, slot == slots-1
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
