package resp

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// settings are the parameters that this server acts on, as the paths that many
// commands take read them. They are never changed: CONFIG SET puts others in
// their place.
type settings struct {
	password    string
	unprotected bool
	maxClients  int64
	maxValue    int
	idle        time.Duration // that a client may be silent; 0: for ever
	pushes      OutputLimit   // of connections that are pushed to for the first time

	slowerThan  time.Duration // of what the slow log takes; negative: nothing
	slowMost    int64         // its entries
	deniedMost  int64         // entries of ACL LOG
	spike       time.Duration // from which on a latency is an event; 0: never
	histograms  bool
	percentiles []percentile

	level slog.Level
}

// percentile is one of those that INFO latencystats shows.
type percentile struct {
	text string // "99.9"
	p    float64
}

// logLevels are loglevel's choices.
var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "verbose": slog.LevelInfo - 1, "notice": slog.LevelInfo, "warning": slog.LevelWarn,
}

// LevelOf returns the level of the log that a value of loglevel means.
func LevelOf(name string) slog.Level { return logLevels[name] }

// LogLevel returns the name that CONFIG has for a level of the log.
func LogLevel(l slog.Level) string {
	switch {
	case l < logLevels["verbose"]:
		return "debug"
	case l < logLevels["notice"]:
		return "verbose"
	case l < logLevels["warning"]:
		return "notice"
	}
	return "warning"
}

// newSettings makes settings of the parameters' values, which have been
// checked one by one.
func newSettings(value func(name string) string) (*settings, error) {
	var err error
	number := func(name string) int64 {
		n, e := strconv.ParseInt(value(name), 10, 64)
		if e != nil && err == nil {
			err = fmt.Errorf("resp: parameter %s: %w", name, e)
		}
		return n
	}
	s := &settings{
		password: value("requirepass"), unprotected: value("protected-mode") == no,
		maxClients: number("maxclients"), maxValue: int(min(number("proto-max-bulk-len"), maxBulk)),
		idle:       time.Duration(number("timeout")) * time.Second,
		slowerThan: atMost(number("slowlog-log-slower-than"), time.Microsecond), slowMost: number("slowlog-max-len"),
		deniedMost: number("acllog-max-len"),
		spike:      atMost(number("latency-monitor-threshold"), time.Millisecond),
		histograms: value("latency-tracking") == yes, level: logLevels[value("loglevel")],
	}
	if err != nil {
		return nil, err
	}
	if s.pushes, err = pushLimit(value("client-output-buffer-limit")); err != nil {
		return nil, err
	}
	for text := range strings.FieldsSeq(value("latency-tracking-info-percentiles")) {
		p, e := strconv.ParseFloat(text, 64)
		if e != nil {
			return nil, e
		}
		s.percentiles = append(s.percentiles, percentile{text, p})
	}
	return s, err
}

// atMost returns n units, or the longest time that there is.
func atMost(n int64, unit time.Duration) time.Duration {
	const longest = time.Duration(1<<63 - 1)
	if n > int64(longest/unit) {
		return longest
	}
	return time.Duration(n) * unit
}

// pushLimit reads the limit of subscribers in client-output-buffer-limit, whose
// last class they are.
func pushLimit(text string) (l OutputLimit, err error) {
	const each = 4 // class, hard, soft, seconds
	numbers := strings.Fields(text)
	var n [each - 1]int
	for i := range n {
		v, err := strconv.ParseUint(numbers[len(numbers)-len(n)+i], 10, 64)
		if err != nil {
			return l, fmt.Errorf("resp: client-output-buffer-limit: %w", err)
		}
		if n[i] = int(min(v, math.MaxInt)); v == 0 && i < len(n)-1 {
			n[i] = math.MaxInt // no limit
		}
	}
	return OutputLimit{n[0], n[1], time.Duration(n[2]) * time.Second}, nil
}

func (l OutputLimit) String() string {
	return fmt.Sprintf("%d %d %d", l.Hard, l.Soft, l.SoftFor/time.Second)
}
