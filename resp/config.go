package resp

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// parameter is one of CONFIG's.
type parameter struct {
	name, alias string // alias: its name in older versions
	byDefault   string

	kind    kind
	lo      int64  // bounds of numbers and sizes
	hi      uint64 //
	choices string // "a, b, c"
	check   func(old, text string) (value string, err error)
}

type kind uint8

const (
	freeText    kind = iota
	wholeNumber      // of 64 bits
	memorySize       // bytes, or with a unit: 1gb
	boolean          // yes or no
	oneWord          // of choices
	immutable        // set when the process starts
	guarded          // too, in Redis's words unless it is told otherwise
)

// Constructors of parameters, by kind.
func anyText(name, byDefault string) *parameter { return &parameter{name: name, byDefault: byDefault} }
func fixed(name, value string) *parameter {
	return &parameter{name: name, byDefault: value, kind: immutable}
}
func protected(name, value string) *parameter {
	return &parameter{name: name, byDefault: value, kind: guarded}
}
func yesNo(name, byDefault string) *parameter {
	return &parameter{name: name, byDefault: byDefault, kind: boolean}
}
func choice(name, byDefault, choices string) *parameter {
	return &parameter{name: name, byDefault: byDefault, kind: oneWord, choices: choices}
}
func number64(name string, byDefault, lo int64, hi uint64) *parameter {
	return &parameter{name: name, byDefault: strconv.FormatInt(byDefault, 10), kind: wholeNumber, lo: lo, hi: hi}
}
func memory(name string, byDefault, lo int64, hi uint64) *parameter {
	return &parameter{name: name, byDefault: strconv.FormatInt(byDefault, 10), kind: memorySize, lo: lo, hi: hi}
}

// or returns p with its older name.
func (p *parameter) or(alias string) *parameter { p.alias = alias; return p }

// checked returns p with a check of its own, behind that of its kind.
func (p *parameter) checked(check func(old, text string) (string, error)) *parameter {
	p.check = check
	return p
}

// parse returns what a text sets p to.
func (p *parameter) parse(old, text string) (value string, err error) {
	value = text
	switch p.kind {
	case wholeNumber:
		n, err := parseInt([]byte(text))
		if err != nil {
			return "", fault("argument couldn't be parsed into an integer")
		}
		if n < p.lo || n > 0 && uint64(n) > p.hi {
			return "", p.outOfRange()
		}
	case memorySize:
		n, ok := parseMemory(text)
		if !ok {
			return "", fault("argument must be a memory value")
		}
		if n > p.hi || p.lo > 0 && n < uint64(p.lo) {
			return "", p.outOfRange()
		}
		value = strconv.FormatUint(n, 10)
	case boolean:
		if value = strings.ToLower(text); value != yes && value != no {
			return "", fault("argument must be 'yes' or 'no'")
		}
	case oneWord:
		if value = p.choose(text); value == "" {
			return "", fault("argument(s) must be one of the following: " + p.choices)
		}
	}
	if p.check != nil {
		return p.check(old, value)
	}
	return value, nil
}

const yes, no = "yes", "no"

func (p *parameter) outOfRange() fault {
	return fault(fmt.Sprintf("argument must be between %d and %d inclusive", p.lo, p.hi))
}

// choose returns the choice that a text names in any case, or "".
func (p *parameter) choose(text string) string {
	for c := range strings.SplitSeq(p.choices, ", ") {
		if strings.EqualFold(c, text) {
			return c
		}
	}
	return ""
}

// config is the parameters' values. Its methods may be called from any
// goroutine.
type config struct {
	byName map[string]*parameter // older names too
	all    []*parameter
	now    atomic.Pointer[settings]

	mu struct {
		sync.Mutex
		values map[*parameter]string
		set    map[*parameter]bool // by CONFIG SET
	}
}

// newConfig returns the parameters' values at the start: Redis's defaults, and
// what the process was told.
func newConfig(start map[string]string) (*config, error) {
	c := &config{all: parameters(), byName: map[string]*parameter{}}
	c.mu.values, c.mu.set = map[*parameter]string{}, map[*parameter]bool{}
	for _, p := range c.all {
		c.byName[p.name] = p
		if p.alias != "" {
			c.byName[p.alias] = p
		}
		c.mu.values[p] = p.byDefault
	}
	for name, value := range start {
		p := c.byName[name]
		if p == nil {
			return nil, fmt.Errorf("resp: no parameter %q", name)
		}
		c.mu.values[p] = value
	}
	now, err := newSettings(c.value)
	c.now.Store(now)
	return c, err
}

// value is called under the mutex.
func (c *config) value(name string) string { return c.mu.values[c.byName[name]] }

// get returns a parameter's value.
func (c *config) get(p *parameter) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.values[p]
}

// named is get by a name, which has to be one.
func (c *config) named(name string) string { return c.get(c.byName[name]) }

// set sets all the parameters or none, and returns what was in force before and
// is now.
func (c *config) set(list []Parameter) (before, now *settings, err error) {
	params := make([]*parameter, len(list))
	seen := map[*parameter]bool{}
	for i, s := range list {
		p := c.byName[strings.ToLower(s.Name)]
		if p == nil {
			return nil, nil, fault("ERR Unknown option or number of arguments for CONFIG SET - '" + quoteAll(s.Name) + "'")
		}
		switch params[i] = p; {
		case p.kind == immutable:
			return nil, nil, errConfigSet(s.Name, fault("can't set immutable config"))
		case p.kind == guarded:
			return nil, nil, errConfigSet(s.Name, fault("can't set protected config"))
		case seen[p]:
			return nil, nil, errConfigSet(s.Name, fault("duplicate parameter"))
		}
		seen[p] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := maps.Clone(c.mu.values)
	for i, p := range params {
		value, err := p.parse(old[p], list[i].Value)
		if err != nil {
			c.mu.values = old
			return nil, nil, errConfigSet(list[i].Name, err)
		}
		c.mu.values[p] = value
	}
	if now, err = newSettings(c.value); err != nil {
		c.mu.values = old
		return nil, nil, err
	}
	maps.Copy(c.mu.set, seen)
	return c.now.Swap(now), now, nil
}

func errConfigSet(name string, why error) fault {
	return fault(fmt.Sprintf("ERR CONFIG SET failed (possibly related to argument '%s') - %v", strings.ToLower(name), why))
}

// changed returns what CONFIG SET set and the parameters' values, in the
// table's order.
func (c *config) changed() []Parameter {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Parameter
	for _, p := range c.all {
		if c.mu.set[p] {
			out = append(out, Parameter{p.name, c.mu.values[p]})
		}
	}
	return out
}
