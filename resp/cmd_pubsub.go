package resp

import (
	"maps"
	"slices"
)

func subscribe(b *batch, args [][]byte)    { b.subscribe(plainChannel, "subscribe", args[1:]) }
func psubscribe(b *batch, args [][]byte)   { b.subscribe(channelPattern, "psubscribe", args[1:]) }
func ssubscribe(b *batch, args [][]byte)   { b.subscribe(shardChannel, "ssubscribe", args[1:]) }
func unsubscribe(b *batch, args [][]byte)  { b.unsubscribe(plainChannel, "unsubscribe", args[1:]) }
func punsubscribe(b *batch, args [][]byte) { b.unsubscribe(channelPattern, "punsubscribe", args[1:]) }
func sunsubscribe(b *batch, args [][]byte) { b.unsubscribe(shardChannel, "sunsubscribe", args[1:]) }

// subscribe says of each channel that it is subscribed to, before any of its
// messages.
func (b *batch) subscribe(kind channelKind, verb string, names [][]byte) {
	o := b.ss.outbox()
	o.hold()
	for _, name := range names {
		if o.subscribe(kind, string(name)) {
			b.s.hub.add(kind, string(name), o)
		}
		b.subscription(verb, name, kind)
	}
	b.sendNow()
	o.release()
	b.modeChanged()
}

// unsubscribe is from all channels if none is named.
func (b *batch) unsubscribe(kind channelKind, verb string, names [][]byte) {
	o := b.ss.client.out.Load()
	if len(names) == 0 && o != nil {
		for _, name := range o.subscriptions(kind) {
			names = append(names, []byte(name))
		}
	}
	for _, name := range names {
		if o != nil && o.unsubscribe(kind, string(name)) {
			b.s.hub.remove(kind, string(name), o)
		}
		b.subscription(verb, name, kind)
	}
	if len(names) == 0 {
		b.subscription(verb, nil, kind)
	}
	b.sendNow()
	b.modeChanged()
}

// subscription is what is said of one channel, with the number of those that
// are left: of shard channels, or of channels and patterns. It is a push, which
// CLIENT REPLY does not silence.
func (b *batch) subscription(verb string, name []byte, kind channelKind) {
	b.push(3)
	b.str(verb)
	if name == nil {
		b.null()
	} else {
		b.bulk(name)
	}
	n := b.ss.client.subscriptions()
	if kind == shardChannel {
		b.int(int64(n[shardChannel]))
	} else {
		b.int(int64(n[plainChannel] + n[channelPattern]))
	}
}

// leaveAll ends every subscription without a word.
func (s *Server) leaveAll(o *outbox) {
	for kind := range channelKinds {
		for _, name := range o.subscriptions(kind) {
			if o.unsubscribe(kind, name) {
				s.hub.remove(kind, name, o)
			}
		}
	}
}

func publish(b *batch, args [][]byte) func(*batch)  { return b.publish(tellPublish, args) }
func spublish(b *batch, args [][]byte) func(*batch) { return b.publish(tellShardPublish, args) }

// publish tells all nodes, and answers with how many subscriptions received the
// message on those that say so in time. It goes to the others first: they
// deliver it while this node does.
func (b *batch) publish(op byte, args [][]byte) func(*batch) {
	answers := b.s.opts.Cluster.Tell(appendParts([]byte{op}, args[1], args[2]))
	n := b.s.hub.publish(kindOf(op), args[1], args[2])
	return func(b *batch) {
		for _, answer := range answers() {
			if parts, ok := splitParts(answer); ok && len(parts) == 1 {
				n += number(parts[0])
			}
		}
		b.int(n)
	}
}

func pubsubChannels(b *batch, args [][]byte)      { b.channels(tellChannels, args) }
func pubsubShardChannels(b *batch, args [][]byte) { b.channels(tellShardChannels, args) }

func (b *batch) channels(op byte, args [][]byte) {
	if len(args) > 3 {
		b.fail(errSubcommandArgs(args))
		return
	}
	names := b.s.namesEverywhere(op, args[2:])
	b.array(len(names))
	for _, name := range names {
		b.str(name)
	}
}

// namesEverywhere returns the names that some node has, sorted.
func (s *Server) namesEverywhere(op byte, parts [][]byte) []string {
	seen := map[string]struct{}{}
	s.everywhere(op, parts, func(names [][]byte) {
		for _, name := range names {
			seen[string(name)] = struct{}{}
		}
	})
	return slices.Sorted(maps.Keys(seen))
}

func pubsubNumSub(b *batch, args [][]byte)      { b.numSub(tellCount, args[2:]) }
func pubsubShardNumSub(b *batch, args [][]byte) { b.numSub(tellShardCount, args[2:]) }

func (b *batch) numSub(op byte, channels [][]byte) {
	sums := make([]int64, len(channels))
	if len(channels) > 0 {
		b.s.everywhere(op, channels, func(counts [][]byte) {
			for i := range min(len(counts), len(sums)) {
				sums[i] += number(counts[i])
			}
		})
	}
	b.array(2 * len(channels))
	for i, c := range channels {
		b.bulk(c)
		b.int(sums[i])
	}
}

func pubsubNumPat(b *batch, _ [][]byte) {
	b.int(int64(len(b.s.namesEverywhere(tellPatterns, nil))))
}

func pubsubHelp(b *batch, _ [][]byte) {
	b.help("PUBSUB",
		"CHANNELS [<pattern>]",
		"    Return the currently active channels matching a <pattern> (default: '*').",
		"NUMPAT",
		"    Return number of subscriptions to patterns.",
		"NUMSUB [<channel> ...]",
		"    Return the number of subscribers for the specified channels, excluding",
		"    pattern subscriptions(default: no channels).",
		"SHARDCHANNELS [<pattern>]",
		"    Return the currently active shard level channels matching a <pattern> (default: '*').",
		"SHARDNUMSUB [<shardchannel> ...]",
		"    Return the number of subscribers for the specified shard level channel(s)")
}
