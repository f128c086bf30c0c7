package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Bundle is a candidate that is there, as a whole.
type Bundle struct {
	// Digest of the artifact: "sha256:" and 64 hexadecimal digits.
	Digest string
	// Dir is the folder that the artifact was unpacked into. Nobody writes there.
	Dir string
	// Format of the artifact: [FormatTar] and its kin.
	Format string
	// Packed and Bytes are its sizes, as it arrived and unpacked.
	Packed, Bytes int64
	// Entries counts files, folders and links.
	Entries int
}

// Options of a store.
type Options struct {
	Limits Limits
}

// Store keeps bundles in a folder: DIR/sha256-DIGITS/{files, manifest.json, bundle.json}. It is safe for concurrent use; on Unix systems
// several processes may use one folder at a time.
type Store struct {
	dir    string
	limits Limits

	mu      sync.Mutex
	flights map[string]*flight
}

// flight is a Put that is under way.
type flight struct {
	done chan struct{}
	// refused is set before done is closed where the same artifact would be refused again.
	refused *Refused
}

// Names within the store. Those with a point are nobody's bundle: being made, and being removed.
const (
	incoming = ".incoming-"
	trash    = ".trash-"
	filesDir = "files"
)

// Open returns the store in a folder, which is made, and sweeps what dead processes have left in it.
func Open(dir string, o Options) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open bundles: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open bundles: %w", err)
	}
	s := &Store{dir: dir, limits: o.Limits.withDefaults(), flights: map[string]*flight{}}
	if err := s.sweepLeftovers(); err != nil {
		return nil, fmt.Errorf("open bundles: %w", err)
	}
	return s, nil
}

// Put stores what r has, and returns the bundle. Where the digest is there already, or another Put stores it meanwhile, r may not be
// read. The errors that a caller may decide by: [ErrDigest] where r has something else, [*Refused] where the artifact is not acceptable.
func (s *Store) Put(ctx context.Context, digest string, r io.Reader) (Bundle, error) {
	digest, err := ParseDigest(digest)
	if err != nil {
		return Bundle{}, err
	}
	for {
		s.mu.Lock()
		f := s.flights[digest]
		if f == nil {
			f = &flight{done: make(chan struct{})}
			s.flights[digest] = f
			s.mu.Unlock()
			b, err := s.put(ctx, digest, r)
			errors.As(err, &f.refused)
			s.mu.Lock()
			delete(s.flights, digest)
			s.mu.Unlock()
			close(f.done)
			if err != nil {
				return Bundle{}, fmt.Errorf("store %s: %w", digest, err)
			}
			return b, nil
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return Bundle{}, fmt.Errorf("store %s: %w", digest, context.Cause(ctx))
		case <-f.done:
			if f.refused != nil {
				return Bundle{}, fmt.Errorf("store %s: %w", digest, f.refused)
			}
			// Stored, or failed for a reason of that caller's own: our turn.
		}
	}
}

func (s *Store) put(ctx context.Context, digest string, r io.Reader) (b Bundle, err error) {
	if b, err := s.Get(digest); !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	temp, release, err := s.temp()
	if err != nil {
		return Bundle{}, err
	}
	defer func() {
		release()
		if removeErr := removeAll(temp); err == nil {
			err = removeErr // renamed away, normally
		}
	}()
	b, err = s.fill(ctx, temp, digest, r)
	if err != nil {
		return Bundle{}, err
	}
	final := filepath.Join(s.dir, folderOf(digest))
	if err := os.Rename(temp, final); err != nil {
		if there, getErr := s.Get(digest); getErr == nil {
			return there, nil // another process was faster
		}
		return Bundle{}, err
	}
	b.Dir = filepath.Join(final, filesDir)
	return b, syncPath(s.dir)
}

// temp makes a folder to work in, which others leave alone until release is called.
func (s *Store) temp() (dir string, release func(), err error) {
	for {
		dir, err = os.MkdirTemp(s.dir, incoming)
		if err != nil {
			return "", nil, err
		}
		release, ok, err := hold(dir)
		if err == nil && ok {
			// A sweep may have taken it before we held it.
			if _, err = os.Stat(dir); err == nil {
				return dir, release, os.Chmod(dir, 0o755)
			}
			release()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", nil, err
		}
	}
}

// fill spools an artifact into a folder, checks it, and unpacks it there.
func (s *Store) fill(ctx context.Context, dir, digest string, r io.Reader) (Bundle, error) {
	spool, err := os.OpenFile(filepath.Join(dir, "artifact"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Bundle{}, err
	}
	defer spool.Close()
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(spool, hash), io.LimitReader(&cancelReader{ctx, r}, s.limits.Packed+1))
	if err != nil {
		return Bundle{}, fmt.Errorf("receive the artifact: %w", err)
	}
	if size > s.limits.Packed {
		return Bundle{}, &Refused{Reason: fmt.Sprintf("it is larger than %d bytes", s.limits.Packed)}
	}
	if got := digestPrefix + hex.EncodeToString(hash.Sum(nil)); got != digest {
		return Bundle{}, fmt.Errorf("%w: %d bytes with the digest %s", ErrDigest, size, got)
	}
	files := filepath.Join(dir, filesDir)
	if err := os.Mkdir(files, 0o700); err != nil {
		return Bundle{}, err
	}
	root, err := os.OpenRoot(files)
	if err != nil {
		return Bundle{}, err
	}
	defer root.Close()
	format, entries, err := unpack(ctx, spool, size, root, s.limits)
	if err != nil {
		return Bundle{}, err
	}
	spool.Close()
	if err := os.Remove(spool.Name()); err != nil {
		return Bundle{}, err
	}
	b := Bundle{Digest: digest, Format: format, Packed: size, Entries: len(entries)}
	for _, e := range entries {
		b.Bytes += e.Size
	}
	if err := writeManifest(dir, b, entries); err != nil {
		return Bundle{}, err
	}
	return b, syncPath(dir)
}

// Get returns a bundle; fs.ErrNotExist where there is none of that digest.
func (s *Store) Get(digest string) (Bundle, error) {
	digest, err := ParseDigest(digest)
	if err != nil {
		return Bundle{}, err
	}
	dir := filepath.Join(s.dir, folderOf(digest))
	sum, err := readSummary(dir)
	if err != nil {
		return Bundle{}, fmt.Errorf("bundle %s: %w", digest, err)
	}
	if sum.Digest != digest {
		return Bundle{}, fmt.Errorf("bundle %s: %w: its record is of %s", digest, ErrChanged, sum.Digest)
	}
	return sum.bundle(dir), nil
}

// List returns all bundles, by digest. One that cannot be read does not keep the others from being listed: its error is among those
// that are joined to the second result.
func (s *Store) List() ([]Bundle, error) {
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list bundles: %w", err)
	}
	var all []Bundle
	var errs error
	for _, n := range names {
		digest, ok := digestOf(n.Name())
		if !ok {
			continue
		}
		b, err := s.Get(digest)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since
		}
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		all = append(all, b)
	}
	return all, errs
}

// Sweep removes all bundles but those to keep and returns the digests of those that are gone. What is being stored meanwhile stays.
// That nothing runs from what is removed is the caller's to know.
func (s *Store) Sweep(keep []string) (removed []string, err error) {
	kept := map[string]bool{}
	for _, k := range keep {
		digest, err := ParseDigest(k)
		if err != nil {
			return nil, fmt.Errorf("sweep bundles: %w", err)
		}
		kept[digest] = true
	}
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("sweep bundles: %w", err)
	}
	for _, n := range names {
		digest, ok := digestOf(n.Name())
		if !ok || kept[digest] {
			continue
		}
		gone, removeErr := s.remove(digest)
		if gone {
			removed = append(removed, digest)
		}
		err = errors.Join(err, removeErr)
	}
	slices.Sort(removed)
	if err != nil {
		err = fmt.Errorf("sweep bundles: %w", err)
	}
	return removed, err
}

// remove takes a bundle's name away before its files, so that there is never half of one.
func (s *Store) remove(digest string) (gone bool, err error) {
	s.mu.Lock()
	busy := s.flights[digest] != nil
	var dead string
	if !busy {
		dead, err = os.MkdirTemp(s.dir, trash)
		if err == nil {
			err = os.Rename(filepath.Join(s.dir, folderOf(digest)), filepath.Join(dead, "bundle"))
		}
	}
	s.mu.Unlock()
	if busy {
		return false, nil
	}
	gone = err == nil
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if dead != "" {
		err = errors.Join(err, removeAll(dead))
	}
	return gone, err
}

// sweepLeftovers removes what is half made or half removed, and nobody's any longer.
func (s *Store) sweepLeftovers() error {
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		dir := filepath.Join(s.dir, n.Name())
		switch {
		case strings.HasPrefix(n.Name(), trash):
		case strings.HasPrefix(n.Name(), incoming):
			release, ok, err := hold(dir)
			if errors.Is(err, fs.ErrNotExist) || err == nil && !ok {
				continue
			}
			if err != nil {
				return err
			}
			defer release()
		default:
			continue
		}
		if err := removeAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes a folder whose folders may be read-only.
func removeAll(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			os.Chmod(name, 0o700) // called before the folder is read
		} else if d != nil && d.Type().IsRegular() && readOnlyStays {
			os.Chmod(name, 0o600)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

func syncPath(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(f), f.Close())
}

// cancelReader ends with the context's cause.
type cancelReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
