package gossip

import (
	"context"
	"log"
	"log/slog"
	"strings"
)

// memberlistLogger passes memberlist's lines on at level debug: what an
// operator should know is said by this package.
func memberlistLogger(l *slog.Logger) *log.Logger { return log.New(logWriter{l}, "", 0) }

type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(line []byte) (int, error) {
	if w.log.Enabled(context.Background(), slog.LevelDebug) {
		w.log.Debug(strings.TrimSpace(string(line)))
	}
	return len(line), nil
}
