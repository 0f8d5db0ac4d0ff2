package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"
)

// status is a node's answer to DCLUSTER STATUS.
type status struct {
	about   []pair
	members [][]pair
}

// membersKey holds the list of members in a status; the other entries are
// about the node that answered and its cluster.
const membersKey = "members"

func clusterStatus(ctx context.Context, client *redis.Client) (status, error) {
	reply, err := client.Do(ctx, "DCLUSTER", "STATUS").Result()
	if err != nil {
		return status{}, err
	}
	entries, err := pairs(reply)
	if err != nil {
		return status{}, err
	}
	var s status
	for _, p := range entries {
		if p.key != membersKey {
			s.about = append(s.about, p)
		} else if s.members, err = records(p.value); err != nil {
			return status{}, err
		}
	}
	return s, nil
}

// serving returns nil if at least want members are known and up, and none of
// them is still to take over slots; else what is missing.
func (s status) serving(want int) error {
	if len(s.members) < want {
		return fmt.Errorf("knows %d of %d members", len(s.members), want)
	}
	up := 0
	for _, m := range s.members {
		if get(m, "state") != "up" {
			continue
		}
		up++
		if coming := get(m, "coming"); coming != "" && coming != "0" {
			return fmt.Errorf("%s has yet to take over %s slots", get(m, "name"), coming)
		}
	}
	if up < want {
		return fmt.Errorf("sees %d of %d members up", up, want)
	}
	return nil
}

func printStatus(ctx context.Context, client *redis.Client, w io.Writer) error {
	s, err := clusterStatus(ctx, client)
	if err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 2, 2, ' ', 0)
	for _, p := range s.about {
		fmt.Fprintf(tw, "%s\t%s\n", p.key, text(p.value))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, rows := range [][][]pair{s.places(), s.settling(), s.sights(), s.hints()} {
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintln(w)
		if err := table(w, rows); err != nil {
			return err
		}
	}
	return nil
}

func printHistory(ctx context.Context, client *redis.Client, w io.Writer) error {
	reply, err := client.Do(ctx, "DCLUSTER", "HISTORY").Result()
	if err != nil {
		return err
	}
	events, err := records(reply)
	if err != nil {
		return err
	}
	for _, event := range events {
		for i, p := range event {
			if ms, err := strconv.ParseInt(text(p.value), 10, 64); p.key == "time" && err == nil {
				event[i].value = time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
			}
		}
	}
	return table(w, events)
}
