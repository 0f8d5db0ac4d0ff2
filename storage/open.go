package storage

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dynaring/dynaring/storage/version"
)

// Files of a data directory beside Pebble's own. The format file is written
// first, so a directory without it is not ours. The clean file is there only
// between a clean stop and the next open; it names the actor that stopped and
// seals Pebble's logs (see seal.go). The copied file marks a checkpoint that has
// not been opened yet.
const (
	formatFile = "DYNARING"
	cleanFile  = "CLEAN"
	copiedFile = "COPIED"
	lockFile   = "LOCK" // Pebble's
	tempSuffix = ".tmp"

	formatPrefix = "dynaring data directory, format "
	formatNumber = 2

	formatUnsealed = "1" // of before rows had checksums

	adviceOlder = "replace one node after the other: move its directory away, start it with an empty one, under its name and with --join, " +
		"and wait until DCLUSTER SETTLED says 1; or start the version of dynaring that wrote it"

	maxMarkerBytes = 64 << 10
)

// strangers are files that may lie in an empty directory: what file systems
// and an interrupted first open leave there.
var strangers = []string{lockFile, formatFile + tempSuffix, "lost+found"}

// Open opens the data directory o.Dir, which is made if it is absent or empty.
// It holds the directory until Close.
//
// Before anything can be written, Open checks the seal of a clean stop and
// removes it; if there was none, the incarnation of the directory's actor is
// raised, on disk, before Open returns (law 3).
//
// Errors: ErrInUse, ErrForeign, ErrFormat, ErrDamaged, and those of the file
// system, all naming the directory.
func Open(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := makeDir(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", o.Dir, err)
	}
	lock, err := lockDir(o)
	if err != nil {
		return nil, err
	}
	s, err := openLocked(o, lock)
	if err != nil {
		err = errors.Join(err, lock.Close())
		return nil, fmt.Errorf("data directory %s: %w", o.Dir, err)
	}
	return s, nil
}

// lockDir takes the lock that keeps other processes out.
func lockDir(o Options) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(o.Dir, o.FS)
	if err == nil {
		return lock, nil
	}
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return nil, fmt.Errorf("data directory %s: %w", o.Dir, err)
	}
	return nil, fmt.Errorf("%w: %s cannot be locked (%w); stop the other node, or give this one its own --data-dir", ErrInUse, o.Dir, err)
}

// openLocked opens the directory of which the caller holds the lock.
func openLocked(o Options, lock *pebble.Lock) (_ *Store, err error) {
	s := newStore(o)
	s.lock = lock
	if err := checkFormat(o.FS, o.Dir); err != nil {
		return nil, err
	}
	stopped, err := takeSeal(o.FS, o.Dir)
	if err == nil {
		err = s.openPebble(o, lock)
	}
	if err == nil {
		err = s.load(stopped)
	}
	if err = asDamage(err); errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w; %s", err, adviceDamaged)
	}
	if fault := s.fault.err(); fault != nil {
		err = fault // the first error says more than what followed from it
	}
	if err != nil {
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
		return nil, err
	}
	s.space.check()
	s.guard.impatient.Store(false)
	s.fault.opened.Store(true)
	s.fault.tell() // in case background work failed just now
	return s, nil
}

// openPebble opens the database, the first time only to put what its log holds
// into tables. Where that leaves something to compact, Pebble begins before it
// has opened everything, and should the rest of Open fail, the compaction
// panics; so there is none.
func (s *Store) openPebble(o Options, lock *pebble.Lock) (err error) {
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref() // Pebble holds its own reference
	po := s.pebbleOptions(o, cache, lock)
	po.DisableAutomaticCompactions = true
	db, err := pebble.Open(o.Dir, po)
	if err == nil {
		err = db.Close()
	}
	if err == nil {
		s.db, err = pebble.Open(o.Dir, s.pebbleOptions(o, cache, lock))
	}
	return err
}

// load reads what the store keeps in memory, and settles its identity.
func (s *Store) load(stopped string) error {
	if err := s.loadIdentity(stopped); err != nil {
		return err
	}
	return s.loadFloors()
}

// loadIdentity finds the actor under which this opening mints, and stores it
// before anybody can mint.
func (s *Store) loadIdentity(stopped string) error {
	copied, err := exists(s.fs, s.dir, copiedFile)
	if err != nil {
		return err
	}
	actor, found, err := s.readIdentity()
	switch {
	case err != nil:
		return err
	case !found, copied:
		// A copy mints as somebody else: the original may be alive.
		s.fresh = !found
		actor = version.Actor{ID: newActorID()}
	case stopped == actor.String():
		s.setActor(actor)
		return nil
	default:
		actor.Inc++
		s.logger.Warn("the last stop was not clean: writes are numbered under a new incarnation", "actor", actor)
	}
	if err := s.writeIdentity(actor); err != nil {
		return err
	}
	s.setActor(actor)
	s.copied = copied
	_, err = takeMarker(s.fs, s.dir, copiedFile)
	return err
}

func (s *Store) setActor(a version.Actor) {
	s.actorID = a.ID
	s.incarnation.Store(a.Inc)
}

// readIdentity reads the actor that last opened the directory.
func (s *Store) readIdentity() (actor version.Actor, found bool, err error) {
	v, err := s.read([]byte{kindIdentity})
	if err != nil || v == nil {
		return actor, false, err
	}
	if len(v) != 12 {
		return actor, false, fmt.Errorf("%w: the identity has %d bytes", ErrForeign, len(v))
	}
	actor.ID = binary.BigEndian.Uint64(v)
	actor.Inc = binary.BigEndian.Uint32(v[8:])
	return actor, true, nil
}

// writeIdentity stores actor durably.
func (s *Store) writeIdentity(actor version.Actor) error {
	v := binary.BigEndian.AppendUint64(nil, actor.ID)
	v = binary.BigEndian.AppendUint32(v, actor.Inc)
	if err := s.db.Set([]byte{kindIdentity}, v, pebble.Sync); err != nil {
		return err
	}
	return s.fault.err()
}

// newActorID returns 64 random bits, never 0.
func newActorID() uint64 {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails
		if id := binary.BigEndian.Uint64(b[:]); id != 0 {
			return id
		}
	}
}

// checkFormat makes sure that dir is a data directory that this program reads,
// and makes an empty one into one.
func checkFormat(fsys vfs.FS, dir string) error {
	content, err := readMarker(fsys, dir, formatFile)
	if err != nil {
		return err
	}
	if content == nil {
		names, err := fsys.List(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !slices.Contains(strangers, name) {
				return fmt.Errorf("%w: it holds %s but no %s file; give an empty directory", ErrForeign, name, formatFile)
			}
		}
		return writeMarker(fsys, dir, formatFile, formatLine())
	}
	number, ok := strings.CutPrefix(string(bytes.TrimSpace(content)), formatPrefix)
	switch {
	case !ok:
		return fmt.Errorf("%w: its %s file says %.40q", ErrForeign, formatFile, content)
	case number == formatUnsealed:
		return fmt.Errorf("%w: it is in format %s, whose rows have no checksums, and this program reads format %d; %s",
			ErrFormat, number, formatNumber, adviceOlder)
	case number != fmt.Sprint(formatNumber):
		return fmt.Errorf("%w: it is in format %.20s and this program reads format %d; start the version of dynaring that wrote it, or a newer one",
			ErrFormat, number, formatNumber)
	}
	return nil
}

func formatLine() string { return fmt.Sprintf("%s%d\n", formatPrefix, formatNumber) }

// makeDir makes dir and syncs the directories that hold the new names.
func makeDir(fsys vfs.FS, dir string) error {
	var parents []string
	for path := dir; ; path = fsys.PathDir(path) {
		if _, err := fsys.Stat(path); err == nil || fsys.PathDir(path) == path {
			break
		}
		parents = append(parents, fsys.PathDir(path))
	}
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := syncDir(fsys, parent); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func exists(fsys vfs.FS, dir, name string) (bool, error) {
	_, err := fsys.Stat(fsys.PathJoin(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// readMarker returns a small file's content, nil if there is none.
func readMarker(fsys vfs.FS, dir, name string) ([]byte, error) {
	f, err := fsys.Open(fsys.PathJoin(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxMarkerBytes))
	if err == nil && content == nil {
		content = []byte{}
	}
	return content, errors.Join(err, f.Close())
}

// takeMarker removes a small file durably and returns its content, nil if there
// was none.
func takeMarker(fsys vfs.FS, dir, name string) ([]byte, error) {
	content, err := readMarker(fsys, dir, name)
	if err != nil || content == nil {
		return nil, err
	}
	if err := fsys.Remove(fsys.PathJoin(dir, name)); err != nil {
		return nil, err
	}
	return content, syncDir(fsys, dir)
}

// writeMarker writes a small file durably, whole or not at all.
func writeMarker(fsys vfs.FS, dir, name, content string) error {
	temp := fsys.PathJoin(dir, name+tempSuffix)
	f, err := fsys.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(temp, fsys.PathJoin(dir, name)); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}
