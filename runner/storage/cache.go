package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultCacheSize is how many bytes the caches of all scopes together may take: the vendor's bound for a repository.
const DefaultCacheSize = 10 << 30

// MaxKeyLength is the longest key, in characters, and MaxKeys how many keys one restore may name; both are the vendor's.
const (
	MaxKeyLength = 512
	MaxKeys      = 10
)

// ErrCacheExists: there is an entry for the key and version already; entries never change.
var ErrCacheExists = errors.New("a cache with this key exists already")

// CacheEntry is a stored archive.
type CacheEntry struct {
	// ID is unique in the store, positive, and fits a JavaScript number.
	ID int64 `json:"id"`
	// Scope is the repository: others never see the entry.
	Scope string `json:"scope"`
	Key   string `json:"key"`
	// Version tells apart entries of one key that have different paths or another compression; see [CacheVersion].
	Version string `json:"version"`
	// Alias is the version of the same paths with the other compression, where it is known. Who asks for it gets the entry
	// too, and has to look at Compression.
	Alias string `json:"alias,omitempty"`
	// Compression of the archive; empty where it came ready-made and the version tells.
	Compression Compression `json:"compression,omitempty"`
	Size        int64       `json:"size"`
	SHA256      string      `json:"sha256"`
	Created     time.Time   `json:"created"`

	dir string
}

// Path is where the archive is on the host. It may go at any time, when the entry is evicted.
func (e CacheEntry) Path() string { return filepath.Join(e.dir, archiveFile) }

const (
	entryFile   = "entry.json"
	archiveFile = "archive"
)

// Caches is a store of caches: DIR/SCOPE/HASH/{archive, entry.json}, where the time of entry.json is the last use. It is safe
// for concurrent use, also by several processes.
type Caches struct {
	dir     string
	maxSize int64
	now     func() time.Time
	sweep   sync.Once
}

// OpenCaches returns the store in a folder, which is made when something is first stored. maxSize bounds the bytes of all
// entries together, 0 means DefaultCacheSize. now is the clock; nil: time.Now.
func OpenCaches(dir string, maxSize int64, now func() time.Time) *Caches {
	if maxSize <= 0 {
		maxSize = DefaultCacheSize
	}
	if now == nil {
		now = time.Now
	}
	return &Caches{dir: dir, maxSize: maxSize, now: now}
}

// Dir returns the folder of the store.
func (c *Caches) Dir() string { return c.dir }

// CheckKey returns an error for a key that the vendor refuses.
func CheckKey(key string) error {
	switch {
	case key == "":
		return errors.New("a cache needs a key")
	case len([]rune(key)) > MaxKeyLength:
		return fmt.Errorf("cache key %.40q… is longer than %d characters", key, MaxKeyLength)
	case strings.Contains(key, ","):
		return fmt.Errorf("cache key %q has a comma, which is not allowed", key)
	}
	return nil
}

func (c *Caches) entryDir(scope, key, version string) string {
	return filepath.Join(c.dir, fileName(scope), digestOf(key + "\x00" + version)[:32])
}

// Lookup finds an entry: the one with exactly the first key, then for each key in order the newest whose key begins with it.
// versions are those that the caller can read, the preferred first. It counts as a use. ok is false where there is none.
func (c *Caches) Lookup(scope string, keys []string, versions ...string) (e CacheEntry, ok bool, err error) {
	if len(keys) == 0 || len(keys) > MaxKeys {
		return e, false, fmt.Errorf("a cache is looked for by 1 to %d keys, not %d", MaxKeys, len(keys))
	}
	for _, k := range keys {
		if err := CheckKey(k); err != nil {
			return e, false, err
		}
	}
	for _, v := range versions {
		e, err := readEntry(c.entryDir(scope, keys[0], v))
		if err == nil && e.Key == keys[0] && e.Version == v {
			c.touch(e)
			return e, true, nil
		}
	}
	entries, err := c.List(scope)
	if err != nil {
		return e, false, err
	}
	for i, k := range keys {
		var best *CacheEntry
		for j := range entries {
			e := &entries[j]
			if !strings.HasPrefix(e.Key, k) || !slices.Contains(versions, e.Version) && (e.Alias == "" || !slices.Contains(versions, e.Alias)) {
				continue
			}
			// The whole first key wins over a newer one that only begins with it.
			exact := i == 0 && e.Key == k
			switch {
			case best == nil, exact && best.Key != k:
				best = e
			case i == 0 && best.Key == k && !exact:
			case e.Created.After(best.Created):
				best = e
			}
		}
		if best != nil {
			c.touch(*best)
			return *best, true, nil
		}
	}
	return e, false, nil
}

// touch records a use. A fault only makes the eviction less just.
func (c *Caches) touch(e CacheEntry) {
	now := c.now()
	os.Chtimes(filepath.Join(e.dir, entryFile), now, now)
}

// Has reports whether there is an entry with exactly this key and version.
func (c *Caches) Has(scope, key, version string) bool {
	_, err := os.Stat(filepath.Join(c.entryDir(scope, key, version), entryFile))
	return err == nil
}

// List returns the entries of a scope, the oldest first. A scope without any is no error.
func (c *Caches) List(scope string) ([]CacheEntry, error) {
	dir := filepath.Join(c.dir, fileName(scope))
	dirs, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list caches: %w", err)
	}
	var out []CacheEntry
	for _, d := range dirs {
		if !d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			continue
		}
		// One that is unreadable is a miss, never a reason for a job to fail: caches can be made again.
		if e, err := readEntry(filepath.Join(dir, d.Name())); err == nil && e.Scope == scope {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b CacheEntry) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

func readEntry(dir string) (CacheEntry, error) {
	e := CacheEntry{dir: dir}
	err := readJSON(filepath.Join(dir, entryFile), &e)
	return e, err
}

// Saving is a cache entry in the making. It is not visible until Commit. It must be ended by Commit or Abort.
type Saving struct {
	caches  *Caches
	entry   CacheEntry
	staging *staging
}

// Create begins an entry. It returns [ErrCacheExists] at once where that can be told already. e needs Scope, Key and
// Version, and may have Alias and Compression.
func (c *Caches) Create(e CacheEntry) (*Saving, error) {
	if err := CheckKey(e.Key); err != nil {
		return nil, err
	}
	if e.Version == "" || e.Scope == "" {
		return nil, errors.New("a cache needs a version and a scope")
	}
	if c.Has(e.Scope, e.Key, e.Version) {
		return nil, fmt.Errorf("%w: %q", ErrCacheExists, e.Key)
	}
	dir := filepath.Join(c.dir, fileName(e.Scope))
	st, err := stagingIn(dir)
	if err != nil {
		return nil, fmt.Errorf("save cache %q: %w", e.Key, err)
	}
	return &Saving{caches: c, entry: e, staging: st}, nil
}

// Path is where the archive is to be written.
func (s *Saving) Path() string { return filepath.Join(s.staging.dir, archiveFile) }

// Dir is a folder for parts of the archive; what else than Path is in it at Commit is removed.
func (s *Saving) Dir() string { return s.staging.dir }

// Abort ends the saving without a trace. After Commit it does nothing.
func (s *Saving) Abort() {
	if s.staging != nil {
		s.staging.remove()
		s.staging = nil
	}
}

// Commit makes the entry visible and evicts others where the store has become too large. It returns [ErrCacheExists] where
// another one was faster.
func (s *Saving) Commit() (CacheEntry, error) {
	defer s.Abort()
	e := s.entry
	fail := func(err error) (CacheEntry, error) { return CacheEntry{}, fmt.Errorf("save cache %q: %w", e.Key, err) }
	entries, err := os.ReadDir(s.staging.dir)
	if err != nil {
		return fail(err)
	}
	for _, f := range entries {
		if f.Name() != archiveFile {
			os.RemoveAll(filepath.Join(s.staging.dir, f.Name()))
		}
	}
	if e.Size, e.SHA256, err = digestFile(s.Path()); err != nil {
		return fail(err)
	}
	if e.Size > s.caches.maxSize {
		return fail(fmt.Errorf("its %d bytes are more than the %d that all caches together may take", e.Size, s.caches.maxSize))
	}
	now := s.caches.now()
	e.Created = now.UTC()
	e.ID = newID(now)
	if err := writeJSON(filepath.Join(s.staging.dir, entryFile), e); err != nil {
		return fail(err)
	}
	os.Chtimes(filepath.Join(s.staging.dir, entryFile), now, now)
	e.dir = s.caches.entryDir(e.Scope, e.Key, e.Version)
	if err := s.staging.place(e.dir); errors.Is(err, fs.ErrExist) {
		return CacheEntry{}, fmt.Errorf("%w: %q", ErrCacheExists, e.Key)
	} else if err != nil {
		return fail(err)
	}
	s.caches.evict(e.dir)
	return e, nil
}

// evict removes the entries that were not used for the longest time until all fit, keep aside, and what killed processes
// have left. Faults are left to the next one.
func (c *Caches) evict(keep string) {
	type aged struct {
		dir  string
		size int64
		used time.Time
	}
	var all []aged
	var total int64
	scopes, _ := os.ReadDir(c.dir)
	for _, scope := range scopes {
		dir := filepath.Join(c.dir, scope.Name())
		sweepStaging(dir)
		entries, _ := os.ReadDir(dir)
		for _, d := range entries {
			path := filepath.Join(dir, d.Name())
			info, err := os.Stat(filepath.Join(path, entryFile))
			if err != nil || strings.HasPrefix(d.Name(), ".") {
				continue
			}
			a := aged{dir: path, used: info.ModTime()}
			if archive, err := os.Stat(filepath.Join(path, archiveFile)); err == nil {
				a.size = archive.Size()
			}
			total += a.size
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b aged) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.dir, b.dir)) })
	for _, a := range all {
		if total <= c.maxSize {
			return
		}
		if a.dir != keep && discard(a.dir) == nil {
			total -= a.size
		}
	}
}

// Save packs what patterns match, as [Pack] does, and stores it.
func (c *Caches) Save(ctx context.Context, e CacheEntry, items []PackItem) (CacheEntry, error) {
	s, err := c.Create(e)
	if err != nil {
		return CacheEntry{}, err
	}
	defer s.Abort()
	f, err := os.OpenFile(s.Path(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return CacheEntry{}, fmt.Errorf("save cache %q: %w", e.Key, err)
	}
	if err := errors.Join(Pack(ctx, f, items, e.Compression), f.Close()); err != nil {
		return CacheEntry{}, fmt.Errorf("save cache %q: %w", e.Key, err)
	}
	return s.Commit()
}

// Restore unpacks an entry; place says where each name goes, see [Unpack].
func (c *Caches) Restore(ctx context.Context, e CacheEntry, place func(name string) (string, error)) error {
	f, err := os.Open(e.Path())
	if err != nil {
		return fmt.Errorf("restore cache %q: %w", e.Key, err)
	}
	defer f.Close()
	if err := Unpack(ctx, f, place); err != nil {
		return fmt.Errorf("restore cache %q: %w", e.Key, err)
	}
	return nil
}
