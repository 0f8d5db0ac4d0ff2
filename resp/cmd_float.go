package resp

import (
	"bytes"
	"math/big"
	"regexp"
	"strings"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

const (
	errNotFloat = fault("ERR value is not a valid float")
	errInfinite = fault("ERR increment would produce NaN or Infinity")
)

// A float is what C's long double is on the machines that Redis mostly runs on:
// 64 bits of mantissa, exponents of 15 bits.
const (
	floatBits        = 64
	floatMaxExponent = 16384
	floatExponent    = 6          // digits of one: no mantissa that is short enough makes up for more
	floatDigits      = 17         // behind the point, as they are printed
	floatText        = 5*1024 - 1 // bytes of one, at most
)

// floatNothing is the highest number that becomes zero: half of the lowest.
var floatNothing = new(big.Float).SetMantExp(big.NewFloat(1), -16446)

// floatForm is a number as strtold reads it, hexadecimal ones included.
var floatForm = regexp.MustCompile(`^[+-]?(?:(?:(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d+))?)|0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP]([+-]?\d+))?)$`)

var infiniteForm = regexp.MustCompile(`^(?i)[+-]?inf(inity)?$`)

// parseFloat reads a float. A nil one, without an error, is infinite.
func parseFloat(b []byte) (*big.Float, error) {
	if len(b) > floatText {
		return nil, errNotFloat
	}
	if infiniteForm.Match(b) {
		return nil, nil
	}
	m := floatForm.FindSubmatch(b)
	if m == nil {
		return nil, errNotFloat
	}
	mantissa, exponent, base := m[1], m[2], 10
	if mantissa == nil {
		mantissa, exponent, base = m[3], m[4], 0
	}
	switch {
	case len(bytes.Trim(mantissa, "0.")) == 0:
		return new(big.Float).SetPrec(floatBits), nil
	case len(bytes.TrimLeft(exponent, "+-0")) > floatExponent:
		return nil, errNotFloat // 10^(10^9) would be worked out
	}
	f, _, err := big.ParseFloat(string(b), base, floatBits, big.ToNearestEven)
	if err != nil || f.MantExp(nil) > floatMaxExponent || new(big.Float).Abs(f).Cmp(floatNothing) <= 0 {
		return nil, errNotFloat
	}
	return f, nil
}

// formatFloat prints a float as Redis does for people: without an exponent,
// without trailing zeros.
func formatFloat(f *big.Float) []byte {
	s := f.Text('f', floatDigits)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if s == "-0" || s == "" {
		s = "0"
	}
	return []byte(s)
}

func writeIncrByFloat(_ *batch, u *unit, w *coordinator.Write) {
	arg := u.args[2]
	decide(u, w, func(o *outcome, s version.Sibling, ok bool, now int64) (replica.Change, error) {
		current := new(big.Float).SetPrec(floatBits)
		var err error
		if ok {
			if current, err = parseFloat(s.Value); err != nil {
				return replica.Change{}, err
			}
		}
		by, err := parseFloat(arg)
		switch {
		case err != nil:
			return replica.Change{}, err
		case current == nil || by == nil:
			return replica.Change{}, errInfinite
		}
		sum := new(big.Float).SetPrec(floatBits).Add(current, by)
		if sum.Sign() != 0 && sum.MantExp(nil) > floatMaxExponent {
			return replica.Change{}, errInfinite
		}
		o.had, o.old = true, formatFloat(sum)
		return replica.Change{Kind: replica.Put, Value: o.old, Expiry: keptExpiry(s, ok, now)}, nil
	})
}
