package sim

import (
	"slices"
	"strings"
	"sync"
)

// Log keeps the last lines that the nodes have logged.
type Log struct {
	mu    sync.Mutex
	lines []string
}

// Write takes one line, as slog's handlers write it.
func (l *Log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) >= maxLogLines {
		l.lines = slices.Delete(l.lines, 0, maxLogLines/2)
	}
	l.lines = append(l.lines, string(line))
	return len(line), nil
}

// Tail returns the last n lines that contain all the given words.
func (l *Log) Tail(n int, words ...string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var tail []string
	for _, line := range slices.Backward(l.lines) {
		if len(tail) == n {
			break
		}
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			tail = append(tail, line)
		}
	}
	slices.Reverse(tail)
	return strings.Join(tail, "")
}
