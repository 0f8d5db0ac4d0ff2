package resp

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// configure sets up CONFIG's parameters.
func (s *Server) configure() (err error) {
	start := map[string]string{
		"requirepass": s.opts.Password, "protected-mode": yes,
		"maxclients": strconv.Itoa(s.opts.MaxClients), "proto-max-bulk-len": strconv.Itoa(s.opts.MaxValue),
		"client-output-buffer-limit": "normal 0 0 0 slave 268435456 67108864 60 pubsub " + s.opts.PushLimit.String(),
	}
	if s.opts.Unprotected {
		start["protected-mode"] = no
	}
	if s.opts.Process.Level != nil {
		start["loglevel"] = LogLevel(s.opts.Process.Level.Level())
	}
	for name, value := range s.opts.Fixed {
		start[name] = value
	}
	if s.config, err = newConfig(start); err != nil {
		return err
	}
	for _, p := range s.opts.Parameters {
		if err := s.set([]Parameter{p}); err != nil {
			return fmt.Errorf("parameter %q: %w", p.Name+" "+p.Value, err)
		}
	}
	return nil
}

// set sets parameters, and does what has to be done about it.
func (s *Server) set(list []Parameter) error {
	before, now, err := s.config.set(list)
	if err != nil {
		return err
	}
	if s.opts.Process.Level != nil && now.level != before.level {
		s.opts.Process.Level.Set(now.level)
	}
	if now.slowMost < before.slowMost {
		s.slowLog.shrink(now.slowMost)
	}
	return nil
}

// settings returns what is in force.
func (s *Server) settings() *settings { return s.config.now.Load() }

// configGet answers the parameters that patterns name, each under every name of
// its that does.
func configGet(b *batch, args [][]byte) {
	c := b.s.config
	var names []string
	for _, a := range args[2:] {
		pattern := appendLower(nil, a)
		if !slices.ContainsFunc(pattern, func(c byte) bool { return strings.IndexByte(`*?[\`, c) >= 0 }) {
			if c.byName[string(pattern)] != nil && !slices.Contains(names, string(a)) {
				names = append(names, string(a)) // as it was asked for
			}
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(c.byName)) {
			if glob(pattern, []byte(name)) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	b.mapping(len(names))
	for _, name := range names {
		b.field(name, c.get(c.byName[strings.ToLower(name)]))
	}
}

// configSet sets all that it is given or nothing.
func configSet(b *batch, args [][]byte) {
	if len(args)%2 != 0 {
		b.fail(errSyntax)
		return
	}
	var list []Parameter
	for i := 2; i < len(args); i += 2 {
		list = append(list, Parameter{string(args[i]), string(args[i+1])})
	}
	if err := b.s.set(list); err != nil {
		b.fail(err)
		return
	}
	b.ok()
}

// configRewrite writes what CONFIG SET changed to the process's file.
func configRewrite(b *batch, _ [][]byte) {
	rewrite := b.s.opts.Process.Rewrite
	if rewrite == nil {
		b.error("ERR The server is running without a config file")
		return
	}
	if err := rewrite(b.s.config.changed()); err != nil {
		b.error("ERR Rewriting config file: " + err.Error())
		return
	}
	b.ok()
}

// configResetStat forgets what INFO counts.
func configResetStat(b *batch, _ [][]byte) {
	b.s.stats.reset()
	b.s.errors.reset()
	for _, r := range b.s.table.byName {
		r.meter.reset()
	}
	b.ok()
}

func configHelp(b *batch, _ [][]byte) {
	b.help("CONFIG",
		"GET <pattern>",
		"    Return parameters matching the glob-like <pattern> and their values.",
		"SET <directive> <value>",
		"    Set the configuration <directive> to <value>.",
		"RESETSTAT",
		"    Reset statistics reported by the INFO command.",
		"REWRITE",
		"    Rewrite the configuration file.")
}
