package resp

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Defaults of Options.
const (
	DefaultMaxClients = 10000
	DefaultMaxValue   = 64 << 20
	DefaultMaxKey     = 64 << 10
	DefaultDrain      = 5 * time.Second
)

// RedisVersion is what clients are told: whose commands these are.
const RedisVersion = "7.0.15"

// Options configure a Server.
type Options struct {
	Backend Backend // needed
	Cluster Cluster // needed
	Self    string  // this node's name
	Version string  // dynaring's

	Password string // of the one user, "default"; "": none
	// Unprotected serves clients from beyond loopback although there is no
	// password (--protected-mode no).
	Unprotected bool

	MaxClients int           // connected at a time; 0: DefaultMaxClients
	MaxValue   int           // bytes of an argument; 0: DefaultMaxValue; at most 512 MiB
	MaxKey     int           // bytes of a key; 0: DefaultMaxKey
	PushLimit  OutputLimit   // of clients that are pushed to; zero: DefaultOutputLimit
	Drain      time.Duration // what clients' last commands may take at shutdown; 0: DefaultDrain

	// Fixed are CONFIG's parameters that only a start sets, by name: port, dir,
	// config-file …; Parameters are set at the start as by CONFIG SET.
	Fixed      map[string]string
	Parameters []Parameter
	Process    Process

	Now    func() time.Time // the wall clock; nil: time.Now
	Logger *slog.Logger     // nil: discard
}

// Parameter is one of CONFIG's and its value.
type Parameter struct{ Name, Value string }

// Process is what clients may ask of the process around a Server. Any may be
// nil.
type Process struct {
	// Sync puts everything that has been written on disk.
	Sync func() error
	// Stop begins a clean stop. It returns at once.
	Stop func()
	// Level is the log's, which loglevel sets.
	Level *slog.LevelVar
	// Rewrite writes what CONFIG SET set to the file that the process was
	// configured by; nil: there is none.
	Rewrite func([]Parameter) error
	// OnDisk: when a write is answered it is on this node's disk. AllOnDisk:
	// on that of every node that acknowledged it.
	OnDisk, AllOnDisk bool
	// Executable and ConfigFile are paths; ConfigFile "": none.
	Executable, ConfigFile string
}

// check sets defaults and says what cannot be.
func (o *Options) check() error {
	if o.Backend == nil || o.Cluster == nil {
		return errors.New("resp: Backend and Cluster are needed")
	}
	o.MaxClients = orDefault(o.MaxClients, DefaultMaxClients)
	o.MaxValue = orDefault(o.MaxValue, DefaultMaxValue)
	o.MaxKey = orDefault(o.MaxKey, DefaultMaxKey)
	o.Drain = orDefault(o.Drain, DefaultDrain)
	if o.PushLimit == (OutputLimit{}) {
		o.PushLimit = DefaultOutputLimit
	}
	switch {
	case o.MaxClients < 0 || o.MaxKey < 0 || o.Drain < 0:
		return errors.New("resp: MaxClients, MaxKey and Drain must be positive")
	case o.MaxValue < 0 || o.MaxValue > maxBulk:
		return fmt.Errorf("resp: MaxValue must be between 1 and %d bytes", maxBulk)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func orDefault[T int | time.Duration](n, byDefault T) T {
	if n == 0 {
		return byDefault
	}
	return n
}
