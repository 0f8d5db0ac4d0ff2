package antientropy

import "context"

// Pace is what background work asks before each piece that it does, so that
// it yields to requests. *Pacer is one.
type Pace interface {
	// Wait returns when the node has room for work that moves so many bytes,
	// or with ctx's error when that ends first. It never waits for requests
	// alone: some progress is always granted.
	Wait(ctx context.Context, bytes int) error
}
