package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/ring"
)

func drawMeta(t *rapid.T) Meta {
	text := rapid.StringN(0, 20, 20)
	addr := rapid.Custom(func(t *rapid.T) string {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return ""
		case 1:
			return text.Draw(t, "text")
		}
		host := rapid.SampledFrom([]string{"10.0.0.1", "node-7.example.org", "::1", "", "%"}).Draw(t, "host")
		return joinAddr(host, rapid.Uint16().Draw(t, "port"))
	})
	m := Meta{Name: text.Draw(t, "name"), Actor: rapid.Uint64().Draw(t, "actor"), Cluster: rapid.Uint64().Draw(t, "cluster"), Version: text.Draw(t, "version")}
	for _, a := range m.addrs() {
		*a = addr.Draw(t, "addr")
	}
	return m
}

func TestMetaRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMeta(t)
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := DecodeMeta(b); err != nil || back != m {
			t.Fatalf("wrote %+v, read %+v, %v", m, back, err)
		}
		if later, err := DecodeMeta(append(b, "of a later day"...)); err != nil || later != m {
			t.Fatalf("with more after it: %+v, %v", later, err)
		}
	})
}

// Long host names fit: each is written once.
func TestMetaIsCompact(t *testing.T) {
	host := strings.Repeat("node.", 50) + "org"
	m := Meta{Name: "n1", Actor: 1, Cluster: 2, Version: "v0.1.0-123-gabcdef"}
	for i, a := range m.addrs() {
		*a = joinAddr(host, uint16(7000+i))
	}
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	t.Log(len(b), "bytes")
}

func TestMembersRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := map[string]Meta{}
		for _, m := range rapid.SliceOfN(rapid.Custom(drawMeta), 0, 5).Draw(t, "members") {
			members[m.Name] = m
		}
		b, err := encodeMembers(members)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeMembers(b)
		if err != nil || fmt.Sprint(back) != fmt.Sprint(members) {
			t.Fatalf("wrote %v, read %v, %v", members, back, err)
		}
	})
}

func FuzzMeta(f *testing.F) {
	for _, m := range []Meta{
		{},
		{Name: "n1", Actor: 7, Cluster: 9, Addr: "127.0.0.1:7001", ClusterAddr: "127.0.0.1:10001", PeerAddr: "127.0.0.1:17001", GossipAddr: "127.0.0.1:8001", HTTPAddr: "127.0.0.1:9001", Version: "v1"},
		{Name: "n2", Addr: "[::1]:1", PeerAddr: "not an address"},
	} {
		b, err := m.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeMeta(b)
		if err != nil {
			if !errors.Is(err, ErrBadMeta) || m != (Meta{}) {
				t.Fatalf("%+v with %v", m, err)
			}
			return
		}
		again, err := m.Encode()
		if err != nil {
			return // a longer form of what another program wrote shorter
		}
		if back, err := DecodeMeta(again); err != nil || back != m {
			t.Fatalf("read %+v, wrote and read %+v, %v", m, back, err)
		}
	})
}

func FuzzState(f *testing.F) {
	h, err := ring.NewHistory(
		ring.Event{ID: 1, Time: 1, Kind: ring.Found, Config: &ring.Config{Cluster: 9, N: 3, Placement: ring.PlacementEqual, Partitions: 256}},
		ring.Event{ID: 2, Time: 2, Kind: ring.Join, Name: "n1", Actor: 1, Weight: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodeState(0, nil))
	f.Add(encodeState(9, h))
	f.Add(encodeState(8, h))
	f.Fuzz(func(t *testing.T, b []byte) {
		cluster, h, err := decodeState(b)
		switch {
		case err != nil:
			if !errors.Is(err, ring.ErrBadHistory) && !errors.Is(err, ring.ErrForeignCluster) {
				t.Fatalf("untyped error %v", err)
			}
		case !bytes.Equal(encodeState(cluster, h), b):
			t.Fatalf("read %x, writes %x", b, encodeState(cluster, h))
		}
	})
}
