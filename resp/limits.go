package resp

// Limits of the protocol, as in Redis 7 where it has them.
const (
	maxInline      = 64 << 10    // bytes of an inline command, and of a header line
	maxArgs        = 1024 * 1024 // arguments of one command
	maxBulk        = 512 << 20   // bytes of one argument, by the protocol
	maxArgsUnauth  = 10          // the same two before AUTH
	maxBulkUnauth  = 16 << 10
	maxCommand     = 512 << 20 // bytes of one whole command: beyond it the command is refused, not buffered
	maxReply       = 512 << 20 // bytes of a reply that is put together of many keys
	commandOverlap = 64 << 10  // what headers may add to it
)

// Limits of what one connection holds at a time.
const (
	readBufferMin = 4 << 10   // a connection's read buffer, to begin with
	readBufferMax = 64 << 10  // and as long as no single command is larger
	handOver      = 64 << 10  // batches from this size on take the read buffer along, uncopied
	maxBatch      = 1024      // commands of a batch
	replyFlush    = 64 << 10  // bytes of replies that are sent before the batch is answered whole
	replyKeep     = 256 << 10 // capacity of a reply buffer that is kept for the next batch
	marksKeep     = 4096      // arguments of a batch whose places are kept for the next one
	batchKeep     = 4096      // units, steps of a batch that are kept for the next one
	maxOps        = 1024      // operations of one call to the backend
	firstOps      = 64        // of one that a client's first commands come to, whose replies may be any size
	leastOps      = 8         // of one, however large the replies are
	maxReadSize   = 8 << 20   // bytes of the replies of one call, as far as those before tell
	maxWriteSize  = 8 << 20   // bytes of one call that writes, unless one command is larger
	maxReroutes   = 2         // times a command that was certainly not started is tried elsewhere
)
