package storage

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const testDir = "data"

// small are options under which a few hundred kilobytes make Pebble flush.
func small(fs vfs.FS) Options {
	return Options{Dir: testDir, FS: fs, CacheBytes: 1 << 20, MemTableBytes: minMemTableBytes}
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// opened opens a store that is closed, cleanly, when the test ends.
func opened(t testing.TB, o Options) *Store {
	t.Helper()
	s := open(t, o)
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func row(key string) []byte { return AppendRow(nil, uint16(len(key)), []byte(key), nil) }

// put applies one row and waits.
func put(t testing.TB, s *Store, key, value string, sync bool) {
	t.Helper()
	if err := tryPut(s, key, value, sync); err != nil {
		t.Fatal(err)
	}
}

func tryPut(s *Store, key, value string, sync bool) error {
	b := s.NewBatch()
	b.Set(row(key), []byte(value))
	c, err := s.Apply(b, sync)
	if err != nil {
		return err
	}
	return c.Wait()
}

// want checks a row's value; "" is an absent row.
func want(t testing.TB, s *Store, key, value string) {
	t.Helper()
	got, err := s.Get(row(key))
	if err != nil || string(got) != value || (got == nil) != (value == "") {
		t.Fatalf("%s is %q, %v; want %q", key, got, err, value)
	}
}

func testLog(w *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func wantText(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Fatalf("error %v should say %q", err, part)
		}
	}
}
