package storage

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// This file is the seal that a clean stop puts on Pebble's logs and MANIFESTs.
//
// Pebble takes whatever it cannot read at the end of one of them for the last
// write of a crash, which nobody had been promised, and goes on without it and
// without a word. Behind a crash it can do no better; behind a clean stop all
// of it was promised, and a store without it would, under an actor that it
// believes to know, use dots again (law 3). So the marker of a clean stop says
// what is in these files. Tables need no seal: their blocks have checksums, and
// the MANIFEST has their sizes.
//
// The marker is text: the actor that stopped, a line for each file (name, size,
// hash), and the hash of all that. One that is not whole is none: it promises
// nothing, as after a crash.
//
// A seal is checked before it is removed, and stays where it does not fit, so
// that the next open refuses the directory too. A crash behind the removal, and
// before anything was written, leaves files that have just been found whole.

// errSealBroken is why a sealed file is a damaged one.
var errSealBroken = errors.New("it is not as the last clean stop has left it")

// leaveSeal leaves the marker of a clean stop of actor. Pebble has been closed,
// and what it wrote is synced.
func leaveSeal(fsys vfs.FS, dir, actor string) error {
	// What Pebble has removed must not be back, after a power cut, beside a
	// seal that does not know it.
	if err := syncDir(fsys, dir); err != nil {
		return err
	}
	text, err := sealText(fsys, dir, actor)
	if err != nil {
		return err
	}
	return writeMarker(fsys, dir, cleanFile, text)
}

// takeSeal removes the marker of a clean stop, durably, and returns the actor
// that stopped, "" if there was none. Where the files are not what the marker
// says, it stays, and the error is ErrDamaged.
func takeSeal(fsys vfs.FS, dir string) (actor string, err error) {
	content, err := readMarker(fsys, dir, cleanFile)
	if err != nil || content == nil {
		return "", err
	}
	actor, whole := readSeal(string(content))
	if whole {
		now, err := sealText(fsys, dir, actor)
		if err != nil {
			return "", err
		}
		if file := firstChange(string(content), now); file != "" {
			return "", &damagedError{file: file, cause: errSealBroken}
		}
	}
	_, err = takeMarker(fsys, dir, cleanFile)
	return actor, err
}

// sealText returns what the marker of a clean stop of actor says of the files
// that are there now.
func sealText(fsys vfs.FS, dir, actor string) (string, error) {
	names, err := fsys.List(dir)
	if err != nil {
		return "", err
	}
	slices.Sort(names)
	var b strings.Builder
	fmt.Fprintln(&b, actor)
	for _, name := range names {
		if !vitalName(name) {
			continue
		}
		size, sum, err := hashFile(fsys, fsys.PathJoin(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s %d %016x\n", name, size, sum)
	}
	fmt.Fprint(&b, sealSum(b.String()))
	return b.String(), nil
}

// sealBytes is the length of a marker's last line.
const sealBytes = 17

// sealSum is the last line of the marker that begins with text.
func sealSum(text string) string { return fmt.Sprintf("%016x\n", xxhash.Sum64String(text)) }

// readSeal returns the actor that a marker names, "" if it is not whole.
func readSeal(text string) (actor string, whole bool) {
	at := max(len(text)-sealBytes, 0)
	if text[at:] != sealSum(text[:at]) {
		return "", false
	}
	actor, _, whole = strings.Cut(text[:at], "\n")
	return actor, whole
}

// firstChange returns the first file of which two seals do not say the same, ""
// if there is none.
func firstChange(sealed, now string) string {
	a, b := strings.Split(sealed[:len(sealed)-sealBytes], "\n"), strings.Split(now[:len(now)-sealBytes], "\n")
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
func hashFile(fsys vfs.FS, path string) (size int64, sum uint64, err error) {
	f, err := fsys.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return 0, 0, err
	}
	h := xxhash.New()
	size, err = io.Copy(h, f)
	return size, h.Sum64(), errors.Join(err, f.Close())
}
