package version

import "errors"

// Errors of client writes and of decoding. They are wrapped with the details.
var (
	// ErrTooManySiblings: the write would leave more siblings than allowed.
	ErrTooManySiblings = errors.New("too many siblings: read them with DGET and write the merged value with its context")
	// ErrNotInteger: the value is not a 64-bit signed decimal integer.
	ErrNotInteger = errors.New("value is not an integer or out of range")
	// ErrOverflow: the increment would leave the range of 64 bits.
	ErrOverflow = errors.New("increment or decrement would overflow")
	// ErrBadContext: a context token that is damaged or of another key.
	ErrBadContext = errors.New("bad context")
	// ErrCorrupt: bytes that are not a cell's encoding.
	ErrCorrupt = errors.New("corrupt cell encoding")
)
