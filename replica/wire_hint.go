package replica

// KindHint asks for cells to be kept for an owner that could not be reached.
// The answer is empty, and comes when they are as durable as the mode asks of
// a replica.
//
//	request  flags 1 (1: beyond the bound too), bytes owner, n, n × (key, cell)
const flagMust = 1

// AppendHint appends a KindHint request to dst.
func AppendHint(dst []byte, owner string, must bool, cells []KeyedCell) []byte {
	flags := byte(0)
	if must {
		flags = flagMust
	}
	dst = appendBytes(append(dst, flags), []byte(owner))
	return appendCells(dst, cells)
}
