package resp

import (
	"strconv"
	"time"
)

func dbSize(b *batch, _ [][]byte) {
	k, err := b.countKeys(b.ctx)
	if err != nil {
		b.fail(err)
		return
	}
	b.int(k.Live)
}

// role answers what a server without replicas does: every node takes writes.
func role(b *batch, _ [][]byte) {
	b.array(3)
	b.str("master")
	b.int(0)
	b.array(0)
}

func timeNow(b *batch, _ [][]byte) {
	now := b.s.opts.Now()
	b.array(2)
	b.str(strconv.FormatInt(now.Unix(), 10))
	b.str(strconv.FormatInt(int64(now.Nanosecond())/int64(time.Microsecond), 10))
}

// waitTimeout reads the time that WAIT may take. What it asks for is so already
// when it is asked, or never will be, so the time is not taken.
func waitTimeout(arg []byte) error {
	n, err := parseInt(arg)
	switch {
	case err != nil:
		return fault("ERR timeout is not an integer or out of range")
	case n < 0:
		return fault("ERR timeout is negative")
	}
	return nil
}

// copies returns how many nodes have a write of this connection when it is
// answered.
func (b *batch) copies() int64 {
	_, _, w := b.s.opts.Cluster.Quorum()
	if b.ss.w > 0 {
		w = b.ss.w
	}
	return int64(min(w, b.s.opts.Cluster.Members()))
}

// wait answers how many nodes besides the first have acknowledged this
// connection's writes.
func wait(b *batch, args [][]byte) {
	_, err := parseInt(args[1])
	if err == nil {
		err = waitTimeout(args[2])
	}
	if err != nil {
		b.fail(err)
		return
	}
	b.int(max(b.copies()-1, 0))
}

// waitAOF answers the same for those that have it on disk. It is of Redis 7.2.
func waitAOF(b *batch, args [][]byte) {
	local, err := parseInt(args[1])
	if err == nil && (local < 0 || local > 1) {
		err = fault("ERR value is out of range, must be between 0 and 1")
	}
	if err == nil {
		var others int64
		if others, err = parseInt(args[2]); err == nil && others < 0 {
			err = fault("ERR value is out of range, must be positive")
		}
	}
	if err == nil {
		err = waitTimeout(args[3])
	}
	if err != nil {
		b.fail(err)
		return
	}
	b.array(2)
	b.bool(b.s.opts.Process.OnDisk)
	if b.s.opts.Process.AllOnDisk {
		b.int(max(b.copies()-1, 0))
	} else {
		b.int(0)
	}
}

func replicaOf(b *batch, _ [][]byte) { b.error("ERR REPLICAOF not allowed in cluster mode.") }
