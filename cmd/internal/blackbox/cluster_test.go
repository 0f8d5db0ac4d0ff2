package blackbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// cluster is some nodes that were started together, n1 first.
type cluster struct {
	t     *testing.T
	nodes []*server
}

// startCluster runs n nodes with the same extra flags, and waits until each
// sees all the others serving. The test's end stops them.
func startCluster(t *testing.T, n int, args ...string) *cluster {
	t.Helper()
	c := &cluster{t: t}
	first := freePorts(t, n)
	for i := range n {
		own := args
		if i > 0 {
			own = append([]string{"--join", c.nodes[0].gossipAddr()}, args...)
		}
		s := newServer(t, fmt.Sprintf("n%d", i+1), first+i, own...)
		if at := slices.Index(args, "--requirepass"); at >= 0 {
			s.pass = args[at+1]
		}
		c.nodes = append(c.nodes, s)
	}
	for _, s := range c.nodes {
		s.start()
	}
	c.waitReady()
	return c
}

// n returns the node of that number, from 1.
func (c *cluster) n(i int) *server { return c.nodes[i-1] }

// waitReady waits until every node serves and sees all members up, with
// nothing left to be taken over.
func (c *cluster) waitReady() {
	c.t.Helper()
	for _, s := range c.nodes {
		eventually(c.t, s.name+" sees the whole cluster", func() error { return s.sees(len(c.nodes)) })
	}
}

// sees returns nil if the node serves, knows so many members, all up, and
// none with slots to be taken over.
func (s *server) sees(members int) error {
	if !s.alive() {
		s.t.Fatalf("%s has ended with exit code %d", s.name, s.wait())
	}
	states, err := s.members()
	if err != nil {
		return err
	}
	if len(states) != members {
		return fmt.Errorf("knows %d members, want %d", len(states), members)
	}
	for name, m := range states {
		if m["state"] != "up" || m["coming"] != "0" {
			return fmt.Errorf("member %s is %v", name, m)
		}
	}
	return nil
}

// members returns the members of DCLUSTER STATUS by name, all as text.
func (s *server) members() (map[string]map[string]string, error) {
	reply, err := s.try("DCLUSTER", "STATUS")
	if err != nil {
		return nil, err
	}
	list, ok := asMap(reply)["members"].([]any)
	if !ok {
		return nil, fmt.Errorf("DCLUSTER STATUS has no members: %v", reply)
	}
	out := map[string]map[string]string{}
	for _, m := range list {
		fields := map[string]string{}
		for k, v := range asMap(m) {
			fields[k] = fmt.Sprint(v)
		}
		out[fields["name"]] = fields
	}
	return out, nil
}

// asMap reads a map of RESP2, a flat array, or of RESP3.
func asMap(reply any) map[string]any {
	out := map[string]any{}
	switch reply := reply.(type) {
	case []any:
		for i := 0; i+1 < len(reply); i += 2 {
			out[fmt.Sprint(reply[i])] = reply[i+1]
		}
	case map[any]any:
		for k, v := range reply {
			out[fmt.Sprint(k)] = v
		}
	}
	return out
}

// sibling is one value of DGET … WITHCLOCKS.
type sibling struct {
	value string
	clock string // as the paper prints it: [(n1,2),(n2,1)]
	ttl   int64
}

func (s sibling) String() string { return s.value + " " + s.clock }

// dget reads a key's siblings with their clocks, and the context.
func (s *server) dget(key string, args ...any) (context string, siblings []sibling) {
	s.t.Helper()
	reply := s.do(append([]any{"DGET", key, "WITHCLOCKS"}, args...)...)
	parts, ok := reply.([]any)
	if !ok || len(parts) != 2 {
		s.t.Fatalf("DGET %s: %v is no array of two", key, reply)
	}
	context, _ = parts[0].(string)
	for _, item := range parts[1].([]any) {
		four, ok := item.([]any)
		if !ok || len(four) != 4 {
			s.t.Fatalf("DGET %s WITHCLOCKS: %v is no array of four", key, item)
		}
		var pairs []string
		for _, p := range four[1].([]any) {
			pair := p.([]any)
			pairs = append(pairs, fmt.Sprintf("(%v,%v)", pair[0], pair[1]))
		}
		ms, ok := four[2].(int64)
		if !ok || ms < 1_600_000_000_000 {
			s.t.Fatalf("DGET %s: %v is no time in ms", key, four[2])
		}
		siblings = append(siblings, sibling{
			value: four[0].(string),
			clock: "[" + strings.Join(pairs, ",") + "]",
			ttl:   four[3].(int64),
		})
	}
	return context, siblings
}

// dput writes a value, with a context or "" for none, and returns the new one.
func (s *server) dput(key, value, context string) string {
	s.t.Helper()
	args := []any{"DPUT", key, value}
	if context != "" {
		args = append(args, "CONTEXT", context)
	}
	reply, ok := s.do(args...).(string)
	if !ok || reply == "" {
		s.t.Fatalf("DPUT %s: no context came back", key)
	}
	return reply
}
