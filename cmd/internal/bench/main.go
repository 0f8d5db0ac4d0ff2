package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// Defaults of a run: 50 connections are redis-benchmark's own default.
const (
	defaultRounds  = 5
	defaultClients = 50
	defaultSeconds = 1.0
)

type options struct {
	binary   string
	rounds   int
	clients  int
	seconds  float64
	markdown bool
	only     string
	answer   string
	refill   bool
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/dynaring", "the dynaring binary to measure")
	flag.IntVar(&o.rounds, "rounds", defaultRounds, "rounds; figures are medians over them")
	flag.IntVar(&o.clients, "clients", defaultClients, "connections of the load")
	flag.Float64Var(&o.seconds, "seconds", defaultSeconds, "aimed-at length of one measurement")
	flag.BoolVar(&o.markdown, "markdown", false, "print the tables as Markdown")
	flag.StringVar(&o.only, "only", "", "measure only the systems whose name contains this (redcon always runs)")
	flag.StringVar(&o.answer, "answer-from-nothing", "", "internal: be the redcon server on this address")
	flag.BoolVar(&o.refill, "refill", false, "measure instead what clients feel while a wiped node is refilled")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.answer != "" {
		return answerFromNothing(ctx, o.answer)
	}
	if o.refill {
		return refill(ctx, o)
	}
	systems, stop, err := startAll(ctx, o)
	defer stop()
	if err != nil {
		return err
	}
	began := time.Now()
	results := results{}
	for round := range o.rounds {
		for _, l := range append(loads(oneKey), loads(manyKeys)...) {
			for _, s := range systems {
				rps, err := l.run(ctx, o, s, results.median(s.name, l))
				if err != nil {
					return fmt.Errorf("%s, %s, %v: %w", s.name, l, l.keys, err)
				}
				results.add(s.name, l, rps)
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d done after %v\n", round+1, o.rounds, time.Since(began).Round(time.Second))
	}
	results.print(os.Stdout, systems, o.markdown)
	return nil
}
