package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3"
	"github.com/peterbourgon/ff/v3/ffcli"
	"github.com/redis/go-redis/v9"
)

// settledEvery is how often a cluster is asked whether it has settled.
const settledEvery = 250 * time.Millisecond

// errUnsettled ends the command where the time is over; the reasons are printed.
var errUnsettled = errors.New("the cluster is not at rest")

// settledCommand waits until all owners of every key hold the same.
func (a app) settledCommand() *ffcli.Command {
	var t target
	var wait time.Duration
	fs := flag.NewFlagSet("dynaring cluster settled", flag.ContinueOnError)
	t.register(fs)
	fs.DurationVar(&wait, "wait", 0, "`DURATION` how long to wait for it; 0s: ask once")
	return &ffcli.Command{
		Name:       "settled",
		ShortUsage: "dynaring cluster settled [-a HOST:PORT] [--wait 30s]",
		ShortHelp:  "Wait until all owners of every key hold the same.",
		FlagSet:    fs,
		Options:    []ff.Option{ff.WithEnvVarPrefix(envPrefix)},
		Exec: func(ctx context.Context, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			client := dial(t.addr, t.pass)
			defer client.Close()
			reasons, err := awaitSettled(ctx, client, time.Now().Add(wait))
			if err != nil {
				return fmt.Errorf("%s: %w", t.addr, err)
			}
			if len(reasons) > 0 {
				return fmt.Errorf("%w: %s", errUnsettled, strings.Join(reasons, "; "))
			}
			fmt.Fprintln(a.stdout, "settled")
			return nil
		},
	}
}

// awaitSettled asks until the cluster is at rest or the time is over, and
// returns why it is not.
func awaitSettled(ctx context.Context, client *redis.Client, until time.Time) ([]string, error) {
	for {
		once, cancel := context.WithTimeout(ctx, adminTimeout)
		reasons, err := settled(once, client)
		cancel()
		if err != nil || len(reasons) == 0 || !time.Now().Before(until) {
			return reasons, err
		}
		select {
		case <-time.After(settledEvery):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// settled asks once, and returns why the cluster is not at rest.
func settled(ctx context.Context, client *redis.Client) ([]string, error) {
	reply, err := client.Do(ctx, "DCLUSTER", "SETTLED").Slice()
	if err != nil {
		return nil, err
	}
	if len(reply) == 0 {
		return nil, errors.New("unexpected empty reply: is it a dynaring node of this version?")
	}
	if text(reply[0]) == "1" {
		return nil, nil
	}
	var reasons []string
	for _, r := range reply[1:] {
		reasons = append(reasons, text(r))
	}
	if len(reasons) == 0 {
		reasons = []string{"no reason was given"}
	}
	return reasons, nil
}
