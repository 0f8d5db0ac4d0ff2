package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dynaring/dynaring/storage/version"
)

// look reads every key from every node of a cluster that has settled, and
// returns where what it is told is not what the disks held before.
func (r Run) look(c *Cluster, h *History, held Cells) (broken []string, err error) {
	s := NewSession(c.Net.Host("reader", "127.0.2.2"), h, r.R, r.W)
	defer s.Close()
	keys := sortedKeys(byKey(h.Ops()))
	for _, name := range c.Names() {
		s.Use(c.Node(name))
		for _, key := range keys {
			all, plain := &Op{Kind: DGet, Key: key, R: r.N}, &Op{Kind: Get, Key: key}
			before := time.Now().UnixMilli()
			s.Do(all, plain)
			after := time.Now().UnixMilli()
			for _, o := range []*Op{all, plain} {
				if o.Outcome != Acked {
					broken = append(broken, "a key cannot be read when all is well\n    "+o.String())
				} else if !o.shows(held[key], before) && !o.shows(held[key], after) {
					broken = append(broken, fmt.Sprintf("a read is not what the disks held: %s\n    %s", describeCell(held[key]), o))
				}
			}
		}
	}
	scanned, err := keyspace(s.client, keys)
	return append(broken, scanned...), err
}

// shows reports whether a read answers what a cell is at a time, Unix ms. Of a
// dead cell nothing need be left.
func (o *Op) shows(cell *version.Cell, now int64) bool {
	var want []string
	if o.Kind == Get {
		if v, ok := cell.Winner(now); ok {
			want = append(want, string(v.Value))
		}
		return slices.Equal(want, o.Values)
	}
	for _, v := range cell.Siblings(now) {
		want = append(want, string(v.Value))
	}
	slices.Sort(want)
	collected := dead(cell, now) && len(o.Got.Past) == 0
	return slices.Equal(want, slices.Sorted(slices.Values(o.Values))) && (collected || samePast(o.Got.Past, cell.Context().Past))
}

// unchanged returns which cells are not what they were, though nobody has
// written: dead ones may be gone.
func unchanged(before, after Cells, now int64) (broken []string) {
	for _, key := range sortedKeys(before) {
		was, is := before[key], after[key]
		if is == nil && dead(was, now) || is != nil && is.Digest() == was.Digest() {
			continue
		}
		broken = append(broken, fmt.Sprintf("%s has changed without a write:\n    was %s\n    is  %s", key, describeCell(was), describeCell(is)))
	}
	for _, key := range sortedKeys(after) {
		if before[key] == nil {
			broken = append(broken, fmt.Sprintf("%s is back: %s", key, describeCell(after[key])))
		}
	}
	return broken
}

// uncollected returns the dead cells that are still there.
func uncollected(cells Cells, now int64) (broken []string) {
	for _, key := range sortedKeys(cells) {
		if dead(cells[key], now) {
			broken = append(broken, fmt.Sprintf("%s is dead and has not been collected: %s", key, describeCell(cells[key])))
		}
	}
	return broken
}

// keyspace compares what SCAN finds, what DBSIZE counts, and which keys, of
// those given and those found, EXIST.
func keyspace(client *Client, keys []string) (broken []string, err error) {
	found, err := scan(client)
	if err != nil {
		return nil, err
	}
	keys = slices.Compact(slices.Sorted(slices.Values(slices.Concat(keys, found))))
	there := slices.DeleteFunc(keys, func(key string) bool {
		n, e := client.Do("EXISTS", key)
		err = errors.Join(err, e)
		return n != int64(1)
	})
	if !slices.Equal(found, there) {
		broken = append(broken, fmt.Sprintf("SCAN finds %q, but %q are there", found, there))
	}
	size, e := client.Do("DBSIZE")
	if size != int64(len(there)) {
		broken = append(broken, fmt.Sprintf("DBSIZE is %s, but %d keys are there", FormatReply(size, e), len(there)))
	}
	return broken, err
}

// scan returns all keys that SCAN finds, in order.
func scan(client *Client) (found []string, err error) {
	for cursor := "0"; ; {
		reply, err := client.Do("SCAN", cursor, "COUNT", "3")
		page, ok := reply.([]any)
		if err != nil || !ok || len(page) != 2 {
			return nil, fmt.Errorf("SCAN %s: %s", cursor, FormatReply(reply, err))
		}
		keys, _ := page[1].([]any)
		for _, key := range keys {
			found = append(found, FormatReply(key, nil))
		}
		if cursor = FormatReply(page[0], nil); cursor == "0" {
			slices.Sort(found)
			return found, nil
		}
	}
}
