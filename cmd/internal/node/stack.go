package node

import (
	"context"
	"errors"
	"fmt"
)

// stack runs a node's parts: each stands on those started before it, so they
// are stopped newest first, and each is waited for before the next.
type stack struct {
	parts  []part
	failed chan error // of room for every part
}

type part struct {
	stop context.CancelFunc
	done chan struct{}
}

// maxParts bounds a stack, so that a part that fails never waits to say so.
const maxParts = 32

func newStack() *stack { return &stack{failed: make(chan error, maxParts)} }

// start runs a part until the stack is stopped. A part that ends earlier with
// an error is reported on failed; one that ends without may.
func (s *stack) start(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := part{stop: cancel, done: make(chan struct{})}
	s.parts = append(s.parts, p)
	go func() {
		defer close(p.done)
		if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			s.failed <- fmt.Errorf("%s: %w", name, err)
		}
	}()
}

// stop ends every part, the newest first, and returns what went wrong.
func (s *stack) stop() error {
	for i := len(s.parts) - 1; i >= 0; i-- {
		s.parts[i].stop()
		<-s.parts[i].done
	}
	close(s.failed)
	var errs []error
	for err := range s.failed {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
