package resp

import (
	"math/rand/v2"
	"strconv"

	"github.com/dynaring/dynaring/ring"
)

const (
	errNoKey      = fault("ERR no such key")
	errSameObject = fault("ERR source and destination objects are the same")
	errFirstDB    = fault("ERR invalid first DB index")
	errSecondDB   = fault("ERR invalid second DB index")
)

// keysPage is how many keys KEYS and RANDOMKEY look at at a time.
const keysPage = 512

// keys answers every key that matches. It fails rather than answer some of
// them.
func keys(b *batch, args [][]byte) {
	all := len(args[1]) == 1 && args[1][0] == '*'
	var found [][]byte
	for at, done := (Position{}), false; !done; {
		page, err := b.scanPage(at, keysPage)
		if err != nil {
			b.fail(err)
			return
		}
		for _, k := range page.Keys {
			if all || glob(args[1], k.Key) {
				found = append(found, k.Key)
			}
		}
		at, done = page.Next, page.Done
	}
	b.array(len(found))
	for _, k := range found {
		b.bulk(k)
	}
}

// randomKey answers one of the keys that follow a random place, so that where
// there are not many more than a page all have the same chance, and else those
// behind a gap have no greater one than their neighbours.
func randomKey(b *batch, _ [][]byte) {
	start := Position{Slot: uint16(rand.IntN(slots))}
	var some []ScannedKey
	for at, wrapped := start, false; len(some) < keysPage; {
		page, err := b.scanPage(at, keysPage-len(some))
		if err != nil {
			b.fail(err)
			return
		}
		at = page.Next
		for _, k := range page.Keys {
			if wrapped && ring.Slot(k.Key) >= start.Slot {
				page.Done = true
				break
			}
			some = append(some, k)
		}
		if page.Done || wrapped && at.Slot >= start.Slot {
			if wrapped {
				break
			}
			at, wrapped = Position{}, true
		}
	}
	if len(some) == 0 {
		b.null()
		return
	}
	b.bulk(some[rand.IntN(len(some))].Key)
}

// rename is RENAME and RENAMENX: the value is written under its new name, then
// what was read of the old one is deleted, and nothing that was written there
// since.
func rename(b *batch, args [][]byte) {
	nx := is(args[0], "RENAMENX")
	src, dst := args[1], args[2]
	same := string(src) == string(dst)
	v, err := b.fetchValue(src)
	done := false
	switch {
	case err != nil:
	case v == nil:
		err = errNoKey
	case same:
		done = !nx
	default:
		if done, err = b.writeCopy(dst, v, nx); err == nil && done {
			_, err = b.ask([][]byte{[]byte(dropName), src, v.context})
		}
	}
	switch {
	case err != nil:
		b.fail(err)
	case nx:
		b.bool(done)
	default:
		b.ok()
	}
}

// fetched is what a plain read sees of a key, and what it takes to copy it.
type fetched struct {
	value   []byte
	expiry  int64 // Unix ms; 0: never
	context []byte
}

// fetchValue reads a key; nil: there is none.
func (b *batch) fetchValue(key []byte) (*fetched, error) {
	answers, err := b.ask([][]byte{[]byte(fetchName), key})
	if err != nil || answers[0].kind == '_' {
		return nil, err
	}
	l := answers[0].list
	return &fetched{l[0].str, l[1].num, l[2].str}, nil
}

// writeCopy writes a value, with its expiry, under another key, unless nx and
// that is there, and reports whether it has.
func (b *batch) writeCopy(key []byte, v *fetched, nx bool) (bool, error) {
	set := [][]byte{[]byte("set"), key, v.value}
	if v.expiry != 0 {
		set = append(set, []byte("PXAT"), strconv.AppendInt(nil, v.expiry, 10))
	}
	if nx {
		set = append(set, []byte("NX"))
	}
	answers, err := b.ask(set)
	return err == nil && answers[0].kind != '_', err
}

// copyKey is COPY.
func copyKey(b *batch, args [][]byte) {
	replace := false
	for i := 3; i < len(args); i++ {
		switch {
		case is(args[i], "REPLACE"):
			replace = true
		case is(args[i], "DB") && i+1 < len(args):
			i++
			if err := parseDB(args[i]); err != nil {
				b.fail(err)
				return
			}
		default:
			b.fail(errSyntax)
			return
		}
	}
	if string(args[1]) == string(args[2]) {
		b.fail(errSameObject)
		return
	}
	v, err := b.fetchValue(args[1])
	done := false
	if err == nil && v != nil {
		done, err = b.writeCopy(args[2], v, !replace)
	}
	if err != nil {
		b.fail(err)
		return
	}
	b.bool(done)
}

// parseDB reads the number of a database: there is only 0.
func parseDB(arg []byte) error {
	n, err := parseInt32(arg)
	if err == nil && n != 0 {
		err = errDBIndex
	}
	return err
}

// notInCluster is what commands about other databases answer on the cluster
// view.
func notInCluster(command string) fault {
	return fault("ERR " + command + " is not allowed in cluster mode")
}

// move has nowhere to move a key to.
func move(b *batch, args [][]byte) {
	if b.ss.view == ClusterView {
		b.fail(notInCluster("MOVE"))
		return
	}
	if err := parseDB(args[2]); err != nil {
		b.fail(err)
		return
	}
	b.fail(errSameObject)
}

func swapDB(b *batch, args [][]byte) {
	if b.ss.view == ClusterView {
		b.fail(notInCluster("SWAPDB"))
		return
	}
	for i, malformed := range []error{errFirstDB, errSecondDB} {
		if _, err := parseInt32(args[i+1]); err != nil {
			b.fail(malformed)
			return
		}
	}
	for _, arg := range args[1:] {
		if err := parseDB(arg); err != nil {
			b.fail(err)
			return
		}
	}
	b.ok()
}
