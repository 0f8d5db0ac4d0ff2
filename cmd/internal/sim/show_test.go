package sim

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/dynaring/dynaring/ring"
	"github.com/dynaring/dynaring/storage/version"
)

// contextOf returns the context that a reply brought.
func contextOf(args []string, reply any) (string, bool) {
	if list, ok := reply.([]any); ok && args[0] == "DGET" {
		reply = list[0]
	}
	token, ok := reply.(string)
	return token, ok && strings.HasPrefix(args[0], "D") && args[0] != "DEL"
}

// show prints a reply without what differs from run to run: contexts and
// timestamps.
func show(args []string, reply any, err error) string {
	list, isList := reply.([]any)
	switch {
	case err != nil:
	case args[0] == "DPUT" || args[0] == "DDEL":
		return "a context"
	case args[0] == "DGET" && isList && list[0] == nil:
		return "never written"
	case args[0] == "DGET" && isList:
		siblings, _ := list[1].([]any)
		words := make([]string, len(siblings))
		for i, v := range siblings {
			words[i] = showSibling(v)
		}
		return "[" + strings.Join(words, " ") + "]"
	}
	return FormatReply(reply, err)
}

// showSibling prints a value, and its clock if it came along.
func showSibling(v any) string {
	detail, ok := v.([]any)
	if !ok {
		return FormatReply(v, nil)
	}
	pairs, _ := detail[1].([]any)
	words := make([]string, len(pairs))
	for i, p := range pairs {
		pair, _ := p.([]any)
		words[i] = fmt.Sprintf("(%v,%v)", pair...)
	}
	return fmt.Sprintf("%s [%s]", FormatReply(detail[0], nil), strings.Join(words, ","))
}

func (s *scenario) local(key string) string {
	var out strings.Builder
	for _, name := range s.cluster.Names() {
		n := s.cluster.Node(name)
		if !n.Running() {
			continue
		}
		c := NewClient(s.cluster.Net.Host("local", "127.0.2.3"), n.Addr(), requestTimeout)
		reply, err := c.Do("DGET", key, "LOCAL", "WITHCLOCKS")
		fmt.Fprintf(&out, "%s: %s\n", name, show([]string{"DGET"}, reply, err))
		c.Close()
	}
	return out.String()
}

// held shows a key's cells on all disks.
func (s *scenario) held(key string) (string, error) {
	var out strings.Builder
	for _, name := range s.cluster.Names() {
		disk, err := readDisk(s.cluster.Node(name).Disk)
		if err != nil {
			return "", err
		}
		r, err := ring.Replay(disk.History)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "%s (%v): %s", name, r.Lookup(ring.Slot([]byte(key))).Role(name), showCell(r, disk.Cells[key]))
		for _, owner := range sortedKeys(disk.Hints) {
			if cell := disk.Hints[owner][key]; cell != nil {
				fmt.Fprintf(&out, ", for %s: %s", owner, showCell(r, cell))
			}
		}
		out.WriteString("\n")
	}
	return out.String(), nil
}

// showCell prints a cell's versions with their clocks.
func showCell(r *ring.Ring, cell *version.Cell) string {
	if cell == nil {
		return "-"
	}
	names := make(map[uint64]string)
	for _, m := range r.Members() {
		names[m.Actor] = m.Name
	}
	var words []string
	for i := range cell.Versions {
		v := &cell.Versions[i]
		value := string(v.Value)
		if v.Flags&version.Tombstone != 0 {
			value = "deleted"
		}
		words = append(words, value+" "+version.FormatClock(v.Clock(), func(a version.Actor) string {
			name := cmp.Or(names[a.ID], "gone")
			if a.Inc > 0 {
				name += fmt.Sprintf("/%d", a.Inc)
			}
			return name
		}))
	}
	for _, t := range cell.Totals {
		words = append(words, fmt.Sprintf("+%d by %s", t.Sum, names[t.Actor.ID]))
	}
	return strings.Join(words, " ")
}

func someOrNo(n int) string {
	if n > 0 {
		return "some"
	}
	return "no"
}

// stores counts what is on all disks. After a load, whose clients do not do
// exactly the same in every run, it tells only whether there is something.
func (s *scenario) stores() (string, error) {
	loaded := s.loads > 0
	var out strings.Builder
	now := time.Now().UnixMilli()
	for _, name := range s.cluster.Names() {
		disk, err := readDisk(s.cluster.Node(name).Disk)
		if err != nil {
			return "", err
		}
		buried, hints := 0, 0
		for _, cell := range disk.Cells {
			if dead(cell, now) {
				buried++
			}
		}
		for _, cells := range disk.Hints {
			hints += len(cells)
		}
		if loaded {
			fmt.Fprintf(&out, "%s: %s cells, %s dead, %s hints\n", name, someOrNo(len(disk.Cells)-buried), someOrNo(buried), someOrNo(hints))
			continue
		}
		fmt.Fprintf(&out, "%s: %d cells, %d dead, %d hints\n", name, len(disk.Cells), buried, hints)
	}
	return out.String(), nil
}

// ask sends one command of the scenario's own to a node.
func (s *scenario) ask(name string, args ...string) (any, error) {
	n := s.cluster.Node(name)
	if n == nil {
		return nil, fmt.Errorf("there is no node %s", name)
	}
	c := NewClient(s.cluster.Net.Host("asks", "127.0.2.5"), n.Addr(), requestTimeout)
	defer c.Close()
	return c.Do(args...)
}

func (s *scenario) explain(name, key string) (string, error) {
	reply, err := s.ask(name, "DEXPLAIN", key)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	replicas, _ := fields(reply)["replicas"].([]any)
	for _, r := range replicas {
		f := fields(r)
		fmt.Fprintf(&out, "%v %v %v: %s, hints %s\n", f["name"], f["role"], f["state"], FormatReply(f["clocks"], nil), FormatReply(f["hints"], nil))
	}
	return out.String(), nil
}

func (s *scenario) info(args []datadriven.CmdArg) (string, error) {
	reply, err := s.ask(args[0].Key, "INFO")
	if err != nil {
		return "", err
	}
	text, _ := reply.(string)
	var out strings.Builder
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, ":")
		for _, word := range args[1:] {
			if strings.Contains(name, word.Key) {
				out.WriteString(strings.TrimSpace(line) + "\n")
				break
			}
		}
	}
	if out.Len() == 0 {
		return "no such lines\n", nil
	}
	return out.String(), nil
}
