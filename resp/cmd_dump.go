package resp

import (
	"errors"
	"fmt"
	"math"

	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/resp/rdb"
	"github.com/dynaring/dynaring/storage/version"
)

const errBusyKey = fault("BUSYKEY Target key name already exists.")

func dump(b *batch, u *unit) {
	if s, ok := b.found(u); ok {
		b.bulk(rdb.Append(nil, s.Value))
	} else {
		b.null()
	}
}

// Flags of RESTORE.
const (
	restoreReplace uint16 = 1 << iota
	restoreAbsTTL
)

// planRestore reads RESTORE's options. IDLETIME and FREQ are for caches that
// evict, and change nothing here.
func planRestore(_ *batch, u *unit) error {
	idle, freq := false, false
	for i := 4; i < len(u.args); i++ {
		more := i+1 < len(u.args)
		switch {
		case is(u.args[i], "REPLACE"):
			u.opt.flags |= restoreReplace
		case is(u.args[i], "ABSTTL"):
			u.opt.flags |= restoreAbsTTL
		case is(u.args[i], "IDLETIME") && more && !freq:
			i++
			n, err := parseInt(u.args[i])
			if err != nil {
				return err
			}
			if n < 0 {
				return fault("ERR Invalid IDLETIME value, must be >= 0")
			}
			idle = true
		case is(u.args[i], "FREQ") && more && !idle:
			i++
			n, err := parseInt(u.args[i])
			if err != nil {
				return err
			}
			if n < 0 || n > math.MaxUint8 {
				return fault("ERR Invalid FREQ value, must be >= 0 and <= 255")
			}
			freq = true
		default:
			return errSyntax
		}
	}
	return nil
}

// restored is what RESTORE's arguments come to: a value and when it expires.
func (b *batch) restored(u *unit) (value []byte, expiry int64, err error) {
	ttl, err := parseInt(u.args[2])
	switch {
	case err != nil:
		return nil, 0, err
	case ttl < 0:
		return nil, 0, fault("ERR Invalid TTL value, must be >= 0")
	case ttl > 0 && u.opt.flags&restoreAbsTTL == 0:
		ttl += b.now // negative: beyond the end of time
	}
	value, err = rdb.Parse(u.args[3], b.s.settings().maxValue)
	var size *rdb.SizeError
	switch {
	case errors.As(err, &size):
		err = fault(fmt.Sprintf("ERR %v, longer than the limit of %d bytes (--max-value)", err, b.s.settings().maxValue))
	case errors.Is(err, rdb.ErrFormat):
		err = fault("ERR Bad data format")
	case err != nil:
		err = fault("ERR " + err.Error())
	case ttl < 0:
		err = errExpire(u.row.name)
	}
	return value, ttl, err
}

// writeRestore writes the value of a payload. That the key is there already
// counts before anything that is wrong with the payload.
func writeRestore(b *batch, u *unit, w *coordinator.Write) {
	value, expiry, bad := b.restored(u)
	replace := u.opt.flags&restoreReplace != 0
	decide(u, w, func(o *outcome, _ version.Sibling, ok bool, now int64) (replica.Change, error) {
		switch {
		case ok && !replace:
			return replica.Change{}, errBusyKey
		case bad != nil:
			return replica.Change{}, bad
		case expiry != 0 && expiry <= now:
			if !ok {
				return replica.Change{}, nil
			}
			return replica.Change{Kind: replica.Delete}, nil
		}
		return replica.Change{Kind: replica.Put, Value: value, Expiry: expiry}, nil
	})
}
