package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// pair is one entry of a map in a reply.
type pair struct {
	key   string
	value any
}

// pairs reads a reply that RESP3 calls a map: keys and values in turn.
func pairs(reply any) ([]pair, error) {
	items, ok := reply.([]any)
	if !ok || len(items)%2 != 0 {
		return nil, fmt.Errorf("unexpected reply of type %T: is it a dynaring node of this version?", reply)
	}
	var out []pair
	for i := 0; i < len(items); i += 2 {
		key, ok := items[i].(string)
		if !ok {
			return nil, fmt.Errorf("unexpected key of type %T in a reply", items[i])
		}
		out = append(out, pair{key, items[i+1]})
	}
	return out, nil
}

// records reads an array of maps.
func records(reply any) ([][]pair, error) {
	items, ok := reply.([]any)
	if !ok {
		return nil, fmt.Errorf("unexpected reply of type %T: is it a dynaring node of this version?", reply)
	}
	var out [][]pair
	for _, item := range items {
		record, err := pairs(item)
		if err != nil {
			return nil, err
		}
		out = append(out, record)
	}
	return out, nil
}

// get returns the value under key, as text; "" if there is none.
func get(record []pair, key string) string {
	for _, p := range record {
		if p.key == key {
			return text(p.value)
		}
	}
	return ""
}

// text prints a value of a reply in a line: lists with commas between.
func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case []any:
		words := make([]string, len(v))
		for i := range v {
			words[i] = text(v[i])
		}
		return strings.Join(words, ",")
	}
	return fmt.Sprint(value)
}

// wideCell is the length from which on a cell's column stands last, so that it
// does not push the others out of sight.
const wideCell = 48

// table prints records as columns, in the order of the record that has the
// most, wide ones last. Columns that are empty throughout are left out.
func table(w io.Writer, rows [][]pair) error {
	byLength := slices.Clone(rows)
	slices.SortStableFunc(byLength, func(a, b []pair) int { return len(b) - len(a) })
	var columns []string
	for _, row := range byLength {
		for _, p := range row {
			filled := func(row []pair) bool { return get(row, p.key) != "" }
			if !slices.Contains(columns, p.key) && slices.ContainsFunc(rows, filled) {
				columns = append(columns, p.key)
			}
		}
	}
	wide := func(column string) int {
		if slices.ContainsFunc(rows, func(row []pair) bool { return len(get(row, column)) >= wideCell }) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(columns, func(a, b string) int { return wide(a) - wide(b) })
	tw := tabwriter.NewWriter(w, 0, 2, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ToUpper(strings.Join(columns, "\t")))
	for _, row := range rows {
		cells := make([]string, len(columns))
		for i, column := range columns {
			if cells[i] = get(row, column); cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}
