package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// yesNo is a flag in redis.conf's spelling.
type yesNo bool

func (v *yesNo) String() string {
	if *v {
		return "yes"
	}
	return "no"
}

func (v *yesNo) Set(s string) error {
	switch strings.ToLower(s) {
	case "yes", "true", "on", "1":
		*v = true
	case "no", "false", "off", "0":
		*v = false
	default:
		return errors.New("use yes or no")
	}
	return nil
}

// number is a flag of a whole number.
type number int

func (v *number) String() string { return strconv.Itoa(int(*v)) }

func (v *number) Set(s string) error {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return errors.New("write a whole number")
	}
	*v = number(n)
	return nil
}

// period is a flag of a time span.
type period time.Duration

func (v *period) String() string { return time.Duration(*v).String() }

func (v *period) Set(s string) error {
	d, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return errors.New("write a time as 500ms or 2s")
	}
	*v = period(d)
	return nil
}

// periodOrOff is a period, or 0, written as off.
type periodOrOff time.Duration

const off = "off"

func (v *periodOrOff) String() string {
	if *v == 0 {
		return off
	}
	return (*period)(v).String()
}

func (v *periodOrOff) Set(s string) error {
	if strings.TrimSpace(s) == off {
		*v = 0
		return nil
	}
	if (*period)(v).Set(s) != nil {
		return errors.New("write a time as 500us or 10ms, or off")
	}
	return nil
}

// list is a flag of comma separated words, which may also be repeated. An
// empty value empties it.
type list []string

func (v *list) String() string { return strings.Join(*v, ",") }

func (v *list) Set(s string) error {
	if s == "" {
		*v = nil
	}
	for word := range strings.SplitSeq(s, ",") {
		if word = strings.TrimSpace(word); word != "" {
			*v = append(*v, word)
		}
	}
	return nil
}

// size is a flag of bytes: a number, or a number with a unit of 1024 steps.
type size int64

// units are sorted so that the first that divides a size is printed.
var units = []struct {
	name, short string
	bytes       int64
}{
	{"GiB", "gb", 1 << 30},
	{"MiB", "mb", 1 << 20},
	{"KiB", "kb", 1 << 10},
}

func (v *size) String() string {
	for _, u := range units {
		if n := int64(*v); n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(*v), 10)
}

func (v *size) Set(s string) error {
	number, scale := strings.ToLower(strings.TrimSpace(s)), int64(1)
	for _, u := range units {
		for _, name := range []string{strings.ToLower(u.name), u.short} {
			if rest, ok := strings.CutSuffix(number, name); ok {
				number, scale = strings.TrimSpace(rest), u.bytes
			}
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/scale {
		return fmt.Errorf("write a size as 65536, 64KiB, 64MiB or 1GiB")
	}
	*v = size(n * scale)
	return nil
}
