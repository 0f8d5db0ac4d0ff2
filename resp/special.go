package resp

// What only some connections and some moments need is kept out of the way of
// all others: a batch is special while its client is subscribed or a monitor,
// while there are monitors, or a pause. Then each of its commands comes through
// here.

// modeChanged looks anew at whether the batch is special, and makes the mode
// known.
func (b *batch) modeChanged() {
	n := b.ss.client.subscriptions()
	b.ss.subscribed = n[plainChannel]+n[channelPattern]+n[shardChannel] > 0
	b.ss.client.show(b.ss.profile)
	b.special = b.isSpecial()
}

func (b *batch) isSpecial() bool {
	return b.ss.subscribed || b.ss.monitor || b.s.monitors.on.Load() || b.s.pause.on.Load()
}

// screen is what a special batch does before a command: it returns why the
// command may not be carried out, and waits as long as clients are paused.
func (b *batch) screen(r *row, args [][]byte) error {
	if b.ss.client == nil {
		return nil // of another node: all this is about this one's clients
	}
	switch {
	case b.ss.subscribed && b.proto < resp3 && !r.subscriber:
		return fault("ERR Can't execute '" + r.name + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
	case b.ss.monitor && (r.writes || contains(r.flags, "readonly")):
		return errMonitorKeys
	case !b.ss.monitor && b.s.pause.on.Load():
		b.flush()
		b.sendNow()
		b.s.pause.wait(b.ctx, b.ss.client.gone, r.writes)
		b.special = b.isSpecial()
	}
	return nil
}

// shown is what a special batch does after a command, or before it where it is
// planned: monitors see it. What administers is not theirs to see.
func (b *batch) shown(r *row, args [][]byte) {
	if b.ss.client == nil || !b.s.monitors.on.Load() || contains(r.flags, "admin") {
		return
	}
	if b.ss.monitor { // its own reply comes first
		b.flush()
		b.sendNow()
	}
	b.s.monitors.feed(b.s.opts.Now(), b.ss.client, args)
}

// sendNow sends the replies that there are, where the batch has a client.
func (b *batch) sendNow() {
	if b.send == nil || len(b.buf) == 0 {
		return
	}
	b.show()
	if b.send(b.buf) != nil {
		b.ss.closed = true
	}
	b.buf = b.buf[:0]
}

// show has CLIENT LIST name the last command, which it must from when the client
// may have an answer to it.
func (b *batch) show() { b.ss.last.Store(b.last) }

// mute is what CLIENT REPLY says about the replies to come.
type mute uint8

const (
	muteNone mute = iota
	muteSkip      // CLIENT REPLY SKIP's own
	muteNext      // the next one
	muteAll
)

// muted drops a reply, which began at start, where it is not wanted.
func (b *batch) muted(start int) {
	switch b.ss.mute {
	case muteSkip:
		b.ss.mute = muteNext
	case muteNext:
		b.ss.mute = muteNone
	}
	b.buf = b.buf[:min(start, len(b.buf))]
}
