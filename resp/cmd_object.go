package resp

import (
	"github.com/dynaring/dynaring/storage"
	"github.com/dynaring/dynaring/storage/version"
)

// Redis's limits of what it keeps how.
const (
	embedded     = 44    // bytes of a string that lies beside its header
	sharedBelow  = 10000 // integers from 0 on that all keys share
	sharedCount  = 1<<31 - 1
	errNotLFU    = fault("ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
	objectPartly = "values are not kept as Redis keeps them: the answer is how Redis would keep one that was just set"
)

// encodingOf returns how Redis would keep a value.
func encodingOf(value []byte) string {
	_, number := version.ParseInteger(value)
	switch {
	case number:
		return "int"
	case len(value) <= embedded:
		return "embstr"
	}
	return "raw"
}

func objectEncoding(b *batch, u *unit) {
	if s, ok := b.found(u); ok {
		b.str(encodingOf(s.Value))
	} else {
		b.null()
	}
}

func objectRefCount(b *batch, u *unit) {
	s, ok := b.found(u)
	if !ok {
		b.null()
		return
	}
	if n, number := version.ParseInteger(s.Value); number && n >= 0 && n < sharedBelow {
		b.int(sharedCount)
		return
	}
	b.int(1)
}

// objectIdleTime answers 0: reads leave no trace here, so a key that is asked
// about has just been read.
func objectIdleTime(b *batch, u *unit) {
	if _, ok := b.found(u); ok {
		b.int(0)
	} else {
		b.null()
	}
}

func objectFreq(b *batch, u *unit) {
	if _, ok := b.found(u); ok {
		b.fail(errNotLFU)
	} else {
		b.null()
	}
}

// planMemoryUsage reads how many nested values are to be looked at: there are
// none.
func planMemoryUsage(_ *batch, u *unit) error {
	for i := 3; i < len(u.args); i += 2 {
		if !is(u.args[i], "SAMPLES") || i+1 == len(u.args) {
			return errSyntax
		}
		n, err := parseInt(u.args[i+1])
		switch {
		case err != nil:
			return err
		case n < 0:
			return errSyntax
		}
	}
	return nil
}

// memoryUsage answers the size of what an owner stores of a key.
func memoryUsage(b *batch, u *unit) {
	if _, ok := b.found(u); !ok {
		b.null()
		return
	}
	row := storage.AppendRow(nil, u.key.Slot, u.key.Key, u.key.Field)
	b.int(int64(len(row) + len(u.cell.Bytes())))
}

func objectHelp(b *batch, _ [][]byte) {
	b.help("OBJECT",
		"ENCODING <key>",
		"    Return the kind of internal representation used in order to store the value",
		"    associated with a <key>.",
		"FREQ <key>",
		"    Return the access frequency index of the <key>. The returned integer is",
		"    proportional to the logarithm of the recent access frequency of the key.",
		"IDLETIME <key>",
		"    Return the idle time of the <key>, that is the approximated number of",
		"    seconds elapsed since the last access to the key.",
		"REFCOUNT <key>",
		"    Return the number of references of the value associated with the specified",
		"    <key>.")
}
