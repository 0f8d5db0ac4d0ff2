package coordinator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/replica/peer"
	"github.com/dynaring/dynaring/storage/version"
)

// slow delays what carries values: longer than the bound of a small request.
func slow(_, _ string, kind uint8) fate {
	if kind == replica.KindApply || kind == replica.KindExec {
		return fate{delay: DefaultTimeout * 6 / 10} // each way
	}
	return fate{}
}

// The bound of a request grows with what has to be carried: a large value is
// not uncertain because its bytes take their time.
func TestLargeWriteHasItsTime(t *testing.T) {
	large := strings.Repeat("v", 6<<20)
	bubble(t, 3, Options{}, func(r *rig) {
		r.setFate(slow)
		n := r.nodes["n1"]
		var u *UncertainError
		if w := n.write(put("small", "v")); !errors.As(w[0].Err, &u) {
			t.Fatal(w[0].Err)
		}
		if w := n.write(put("large", large)); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
	})
	bubble(t, 5, Options{}, func(r *rig) { // passed on, too
		out, _ := r.outsider("k")
		r.setFate(slow)
		if _, err := out.set("k", large); err != nil {
			t.Fatal(err)
		}
	})
}

// One owner's refusal settles that W is missed, not on how many it is.
func TestUncertainCountsAfterRefusal(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		r.setFate(only("n2", replica.KindApply, fate{refuse: peer.ErrOverloaded}))
		op := put("k", "v")
		op.W = 3
		began := time.Now()
		w := r.nodes["n1"].write(op)
		var u *UncertainError
		if !errors.As(w[0].Err, &u) || u.K != 2 || u.W != 3 {
			t.Fatal(w[0].Err)
		}
		if took := time.Since(began); took > DefaultTimeout/2 {
			t.Fatalf("took %v: nobody was left to be waited for", took)
		}
	})
}

// What is small beside a large value takes that value's time: every owner
// reads and stores the cell whole.
func TestSmallWriteToLargeCellHasItsTime(t *testing.T) {
	bubble(t, 3, Options{}, func(r *rig) {
		n := r.nodes["n1"]
		if w := n.write(put("k", strings.Repeat("v", 6<<20))); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		time.Sleep(time.Second)
		r.setFate(func(string, string, uint8) fate { return fate{delay: DefaultTimeout * 6 / 10} })
		if _, err := n.read("k", 3); err != nil {
			t.Fatal(err)
		}
		sibling := put("k", "s")
		sibling.Update.Change.Context = &version.Context{}
		if w := n.write(sibling); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
		r.setFate(func(_, _ string, kind uint8) fate {
			if kind == replica.KindRead {
				return fate{delay: DefaultTimeout * 6 / 10}
			}
			return fate{}
		})
		if w := n.write(Write{CheckFirst: true, Update: replica.Update{Key: key("k"), Change: replica.Change{Kind: replica.Delete}}}); w[0].Err != nil {
			t.Fatal(w[0].Err)
		}
	})
}
