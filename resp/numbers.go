package resp

import (
	"math"
	"strings"

	"github.com/dynaring/dynaring/storage/version"
)

// parseInt reads a 64-bit decimal as Redis does.
func parseInt(b []byte) (int64, error) {
	n, ok := version.ParseInteger(b)
	if !ok {
		return 0, errNotInteger
	}
	return n, nil
}

// parseInt32 reads a decimal that Redis keeps in 32 bits.
func parseInt32(b []byte) (int64, error) {
	n, err := parseInt(b)
	if err == nil && (n < math.MinInt32 || n > math.MaxInt32) {
		err = errInt32
	}
	return n, err
}

// is reports whether an option's word is w, given in upper case.
func is(arg []byte, w string) bool {
	if len(arg) != len(w) {
		return false
	}
	for i := range arg {
		c := arg[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != w[i] {
			return false
		}
	}
	return true
}

// timeUnit is how an expiry is given.
type timeUnit uint8

const (
	inSeconds timeUnit = iota
	inMillis
	atSecond
	atMilli
)

// timeUnits are the words of SET and DPUT.
var timeUnits = [...]string{inSeconds: "EX", inMillis: "PX", atSecond: "EXAT", atMilli: "PXAT"}

// timeUnitOf returns the unit that a word names.
func timeUnitOf(arg []byte) (timeUnit, bool) {
	for u, w := range timeUnits {
		if is(arg, w) {
			return timeUnit(u), true
		}
	}
	return 0, false
}

// parseExpiry reads the expiry of a write as SET does: in Unix ms, and
// positive before the present is added.
func parseExpiry(name string, arg []byte, unit timeUnit, now int64) (int64, error) {
	n, err := parseInt(arg)
	if err != nil {
		return 0, err
	}
	seconds := unit == inSeconds || unit == atSecond
	if n <= 0 || seconds && n > math.MaxInt64/1000 {
		return 0, errExpire(name)
	}
	if seconds {
		n *= 1000
	}
	if unit == inSeconds || unit == inMillis {
		if n > math.MaxInt64-now {
			return 0, errExpire(name)
		}
		n += now
	}
	return n, nil
}

// upper returns a word for a message.
func upper(b []byte) string { return strings.ToUpper(string(b)) }
