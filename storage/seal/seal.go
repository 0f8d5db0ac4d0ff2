package seal

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// MarkerPrefix is how Pebble's markers are named: small files that point to the
// current ones.
const MarkerPrefix = "marker."

// Covers reports whether a file, by its name, is under the seal: Pebble cannot
// go on without it, and does not check all of it.
func Covers(name string) bool {
	return strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "MANIFEST-") ||
		strings.HasPrefix(name, MarkerPrefix)
}

// Text returns the marker of a clean stop of actor, of the files that are in
// dir now.
func Text(fsys vfs.FS, dir, actor string) (string, error) {
	names, err := fsys.List(dir)
	if err != nil {
		return "", err
	}
	slices.Sort(names)
	var b strings.Builder
	fmt.Fprintln(&b, actor)
	for _, name := range names {
		if !Covers(name) {
			continue
		}
		size, hash, err := hashFile(fsys, fsys.PathJoin(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s %d %016x\n", name, size, hash)
	}
	fmt.Fprint(&b, sum(b.String()))
	return b.String(), nil
}

// sumBytes is the length of a marker's last line.
const sumBytes = 17

// sum is the last line of the marker that begins with text.
func sum(text string) string { return fmt.Sprintf("%016x\n", xxhash.Sum64String(text)) }

// Actor returns the actor that a marker names, "" if it is not whole.
func Actor(text string) (actor string, whole bool) {
	at := max(len(text)-sumBytes, 0)
	if text[at:] != sum(text[:at]) {
		return "", false
	}
	actor, _, whole = strings.Cut(text[:at], "\n")
	return actor, whole
}

// Difference returns the first file of which two whole markers do not say the
// same, "" if there is none.
func Difference(sealed, now string) string {
	a, b := strings.Split(sealed[:len(sealed)-sumBytes], "\n"), strings.Split(now[:len(now)-sumBytes], "\n")
	only := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(line string) bool { return slices.Contains(b, line) })
	}
	changed := slices.Concat(only(a, b), only(b, a))
	if len(changed) == 0 {
		return ""
	}
	name, _, _ := strings.Cut(slices.Min(changed), " ")
	return name
}

// hashFile returns a file's size and the hash of its content.
func hashFile(fsys vfs.FS, path string) (size int64, hash uint64, err error) {
	f, err := fsys.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return 0, 0, err
	}
	h := xxhash.New()
	size, err = io.Copy(h, f)
	return size, h.Sum64(), errors.Join(err, f.Close())
}
