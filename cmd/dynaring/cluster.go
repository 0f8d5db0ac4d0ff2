package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/peterbourgon/ff/v3"
	"github.com/peterbourgon/ff/v3/ffcli"
	"github.com/redis/go-redis/v9"
)

// adminTimeout bounds a question to a node.
const adminTimeout = 5 * time.Second

// addrFlag is -a, as in other tools that talk to a server.
const addrFlag = "a"

// target is the node that an admin command talks to.
type target struct {
	addr string
	pass string
}

func (t *target) register(fs *flag.FlagSet) {
	fs.StringVar(&t.addr, addrFlag, "127.0.0.1:6379", "`HOST:PORT` any node, by its address for Redis clients")
	fs.StringVar(&t.pass, "pass", "", "`PASSWORD` where the node has one; better as DYNARING_PASS, unseen")
}

// silent drops what the client library would print beside its errors.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// dial returns a connection to one node. It connects when it is used.
func dial(addr, pass string) *redis.Client {
	redis.SetLogger(silent{})
	return redis.NewClient(&redis.Options{
		Addr:            addr,
		Password:        pass,
		Protocol:        2,
		DisableIdentity: true,
		MaxRetries:      -1,
		DialerRetries:   1,
		PoolSize:        1,
		DialTimeout:     adminTimeout,
		ReadTimeout:     adminTimeout,
	})
}

func (a app) clusterCommand() *ffcli.Command {
	return a.group("dynaring cluster", "Ask a cluster about itself.",
		a.askCommand("status", "Show the members, what they own, who sees whom, and what is not at rest.", printStatus),
		a.settledCommand(),
		a.askCommand("history", "Show the events that the ring was made by.", printHistory),
	)
}

// askCommand returns the command that asks one node and prints its answer.
func (a app) askCommand(name, help string, print func(context.Context, *redis.Client, io.Writer) error) *ffcli.Command {
	var t target
	fs := flag.NewFlagSet("dynaring cluster "+name, flag.ContinueOnError)
	t.register(fs)
	return &ffcli.Command{
		Name:       name,
		ShortUsage: "dynaring cluster " + name + " [-a HOST:PORT]",
		ShortHelp:  help,
		FlagSet:    fs,
		Options:    []ff.Option{ff.WithEnvVarPrefix(envPrefix)},
		Exec: func(ctx context.Context, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			client := dial(t.addr, t.pass)
			defer client.Close()
			ctx, cancel := context.WithTimeout(ctx, adminTimeout)
			defer cancel()
			if err := print(ctx, client, a.stdout); err != nil {
				return fmt.Errorf("%s: %w", t.addr, err)
			}
			return nil
		},
	}
}
