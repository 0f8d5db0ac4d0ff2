package storage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/storage/seal"
)

// newest returns the path of the data directory's last file whose name begins
// and ends like that, and what is in it.
func newest(t testing.TB, fs *vfs.MemFS, prefix, suffix string) (path string, data []byte) {
	t.Helper()
	names, err := fs.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasPrefix(name, prefix) || !strings.HasSuffix(name, suffix)
	})
	if len(names) == 0 {
		t.Fatalf("no file %s…%s", prefix, suffix)
	}
	path = fs.PathJoin(testDir, slices.Max(names))
	if data, err = fs.UnsafeGetFileDataBuffer(path); err != nil {
		t.Fatal(err)
	}
	return path, slices.Clone(data)
}

func putFile(t testing.TB, fs vfs.FS, path string, data []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestDamageBehindACleanStop: whatever is wrong with the end of a log, or of the
// MANIFEST, after a clean stop, where nothing can be unfinished, is damage, and
// is so at every open until it is undone.
func TestDamageBehindACleanStop(t *testing.T) {
	cut := func(n int) func([]byte) []byte {
		return func(data []byte) []byte { return data[:len(data)-n] }
	}
	flip := func(n int) func([]byte) []byte {
		return func(data []byte) []byte { data[len(data)-n] ^= 1; return data }
	}
	for _, k := range []struct {
		name, prefix, suffix string
		damage               func([]byte) []byte // nil: the file is gone
	}{
		{"the log lacks its last bytes", "", ".log", cut(40)},
		{"the log lacks its last byte", "", ".log", cut(1)},
		{"the log is empty", "", ".log", func([]byte) []byte { return nil }},
		{"the log's last row is another", "", ".log", flip(40)},
		{"the log is gone", "", ".log", nil},
		{"the MANIFEST lacks its last bytes", "MANIFEST-", "", cut(5)},
		{"the MANIFEST's last bytes are others", "MANIFEST-", "", flip(5)},
		{"the marker of the MANIFEST is gone", seal.MarkerPrefix + "manifest.", "", nil},
	} {
		t.Run(k.name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := open(t, small(fs))
			actor := s.Actor()
			for i := range 20 {
				put(t, s, fmt.Sprint("k", i), "v", true)
			}
			closeStore(t, s)
			path, sound := newest(t, fs, k.prefix, k.suffix)
			if k.damage == nil {
				if err := fs.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else {
				putFile(t, fs, path, k.damage(slices.Clone(sound)))
			}
			for range 2 {
				s, err := Open(small(fs))
				if err == nil {
					closeStore(t, s)
				}
				if !errors.Is(err, ErrDamaged) {
					t.Fatalf("opened with %v, want ErrDamaged", err)
				}
				wantText(t, err, testDir, fs.PathBase(path), adviceDamaged)
			}
			putFile(t, fs, path, sound)
			s = opened(t, small(fs))
			if a := s.Actor(); a != actor {
				t.Errorf("undone: %v, was %v", a, actor)
			}
			for i := range 20 {
				want(t, s, fmt.Sprint("k", i), "v")
			}
		})
	}
}

// A seal that is not whole promises nothing: the stop was not a clean one.
func TestSealThatIsNotWhole(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, small(fs))
	first := s.Actor()
	closeStore(t, s)
	path, sound := newest(t, fs, cleanFile, "")
	for at := range sound {
		broken := slices.Clone(sound)
		broken[at] ^= 1
		for _, text := range []string{string(broken), string(sound[:at])} {
			if actor, whole := seal.Actor(text); whole || actor != "" {
				t.Fatalf("%q is whole, of %q", text, actor)
			}
		}
	}
	putFile(t, fs, path, sound[:len(sound)-1])
	s = opened(t, small(fs))
	if a := s.Actor(); a.ID != first.ID || a.Inc != first.Inc+1 {
		t.Fatalf("%v, was %v", a, first)
	}
}
