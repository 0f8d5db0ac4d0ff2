package resp

import (
	"fmt"
	"strconv"
	"strings"
)

// memoryUnits are the units of memory sizes, in any case.
var memoryUnits = map[string]uint64{
	"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 1000 * 1000, "mb": 1 << 20, "g": 1000 * 1000 * 1000, "gb": 1 << 30,
}

// parseMemory reads a size as Redis does: nothing is 0, and what is too much
// for 64 bits is cut.
func parseMemory(s string) (uint64, bool) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	unit, ok := memoryUnits[strings.ToLower(s[digits:])]
	if !ok {
		return 0, false
	}
	if digits == 0 {
		return 0, true
	}
	n, _ := strconv.ParseUint(s[:digits], 10, 64) // the most that there is, beyond it
	return n * unit, true
}

// Checks of single parameters, each in Redis's words.

func checkMemoryOrPercent(_, text string) (string, error) {
	if number, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.ParseUint(number, 10, 63)
		switch {
		case err != nil:
			return "", fault("argument must be a memory or percent value")
		case n > 100:
			return "", fault("percentage argument must be less or equal to 100")
		}
		return text, nil
	}
	n, ok := parseMemory(text)
	if !ok {
		return "", fault("argument must be a memory or percent value")
	}
	return strconv.FormatUint(n, 10), nil
}

// checkSave takes pairs of seconds and changes.
func checkSave(_, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	numbers := strings.Split(text, " ")
	for i, s := range numbers {
		if n, err := parseInt([]byte(s)); err != nil || n < int64(1-i%2) {
			return "", fault("Invalid save parameters")
		}
	}
	if len(numbers)%2 != 0 {
		return "", fault("Invalid save parameters")
	}
	return text, nil
}

// bufferClasses are the kinds of clients that have limits, by all their names.
var bufferClasses = map[string]int{"normal": 0, "slave": 1, "replica": 1, "pubsub": 2}

// checkBufferLimit takes fours of class, hard limit, soft limit and seconds; a
// class that is not named keeps its limits.
func checkBufferLimit(old, text string) (string, error) {
	if text == "" {
		return old, nil
	}
	given, result := strings.Split(text, " "), strings.Split(old, " ")
	if len(given)%4 != 0 {
		return "", fault("Wrong number of arguments in buffer limit configuration.")
	}
	for ; len(given) > 0; given = given[4:] {
		class, ok := bufferClasses[strings.ToLower(given[0])]
		if !ok {
			return "", fault("Invalid client class specified in buffer limit configuration.")
		}
		hard, ok1 := parseMemory(given[1])
		soft, ok2 := parseMemory(given[2])
		seconds, err := strconv.ParseUint(given[3], 10, 31)
		if !ok1 || !ok2 || err != nil {
			return "", fault("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
		}
		result[4*class+1], result[4*class+2] = strconv.FormatUint(hard, 10), strconv.FormatUint(soft, 10)
		result[4*class+3] = strconv.FormatUint(seconds, 10)
	}
	return strings.Join(result, " "), nil
}

// eventClasses are the classes of keyspace events that A stands for. K and E
// say where events go; m and n are classes that A leaves out.
const eventClasses = "g$lshzxetd"

// checkEvents orders the classes as Redis does.
func checkEvents(_, text string) (string, error) {
	for _, c := range text {
		if !strings.ContainsRune(eventClasses+"AnKEm", c) {
			return "", fault("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
		}
	}
	text = strings.ReplaceAll(text, "A", eventClasses)
	order, out := eventClasses+"nKEm", ""
	if !strings.ContainsFunc(eventClasses, func(c rune) bool { return !strings.ContainsRune(text, c) }) {
		order, out = "KEm", "A"
	}
	for _, c := range order {
		if strings.ContainsRune(text, c) {
			out += string(c)
		}
	}
	return out, nil
}

func checkOOMValues(_, text string) (string, error) {
	const most = 2000
	values := strings.Split(text, " ")
	if len(values) != 3 {
		return "", fault("wrong number of arguments")
	}
	for _, v := range values {
		if n, err := parseInt([]byte(v)); err != nil || n < -most || n > most {
			return "", fault(fmt.Sprintf("Invalid oom-score-adj-values, elements must be between -%d and %d.", most, most))
		}
	}
	return text, nil
}

func checkPercentiles(_, text string) (string, error) {
	var all []string
	for s := range strings.FieldsSeq(text) {
		p, err := strconv.ParseFloat(s, 64)
		switch {
		case err != nil:
			return "", fault("Invalid latency-tracking-info-percentiles parameters")
		case !(p >= 0 && p <= 100):
			return "", fault("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
		}
		all = append(all, strconv.FormatFloat(p, 'f', -1, 64))
	}
	return strings.Join(all, " "), nil
}

func checkHostname(_, text string) (string, error) {
	for _, c := range text {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
			return "", fault("Hostnames may only contain alphanumeric characters, hyphens or dots")
		}
	}
	return text, nil
}

// checkDefrag refuses what this server's memory cannot do, as Redis refuses it
// where it was built with another allocator than its own.
func checkDefrag(_, text string) (string, error) {
	if text == yes {
		return "", fault("Active defragmentation cannot be enabled: it requires a Redis server compiled with a modified Jemalloc like the one shipped by default with the Redis source distribution")
	}
	return text, nil
}

// clampHz keeps hz in the bounds that Redis keeps it in silently.
func clampHz(_, text string) (string, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	return strconv.FormatInt(min(max(n, 1), 500), 10), err
}
