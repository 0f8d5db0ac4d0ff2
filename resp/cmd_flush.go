package resp

import (
	"github.com/dynaring/dynaring/coordinator"
	"github.com/dynaring/dynaring/replica"
	"github.com/dynaring/dynaring/storage/version"
)

// flushAll is FLUSHALL and FLUSHDB, which are the same with one database. They
// answer when all is done, whatever they are told: what had been acknowledged
// before is gone for every reader then.
func flushAll(b *batch, args [][]byte) {
	if len(args) > 2 || len(args) == 2 && !is(args[1], "ASYNC") && !is(args[1], "SYNC") {
		b.fail(errSyntax)
		return
	}
	if mine := b.mine(); mine == nil || len(mine) > 0 {
		if err := b.s.opts.Cluster.Sweep(b.ctx, mine, b.wipe); err != nil {
			b.fail(err)
			return
		}
	}
	b.ok()
}

// wipe deletes what is known of cells.
func (b *batch) wipe(cells []replica.KeyedCell) error {
	commands := make([][][]byte, len(cells))
	for i := range cells {
		key := cells[i].Key.Key
		commands[i] = [][]byte{[]byte(wipeName), key, []byte(cells[i].Cell.Context().Token(key))}
	}
	_, err := b.ask(commands...)
	return err
}

// writeWipe deletes what a context has seen and all that is there. It writes
// even where nothing is alive: others may hold what is.
func writeWipe(_ *batch, u *unit, w *coordinator.Write) {
	seen := u.opt.ctx
	w.Update.Decide = func(cur *version.Cell, _ int64) (replica.Change, error) {
		all := seen.Union(cur.Context())
		return replica.Change{Kind: replica.Delete, Context: &all}, nil
	}
}
