package storage

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func save(t *testing.T, c *Caches, key string, content []byte) CacheEntry {
	t.Helper()
	s, err := c.Create(CacheEntry{Scope: "acme/app", Key: key, Version: "v"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path(), content, 0o644); err != nil {
		t.Fatal(err)
	}
	e, err := s.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCacheLookup(t *testing.T) {
	k := newClock()
	c := OpenCaches(t.TempDir(), 0, k.now)
	for _, key := range []string{"go-linux-old", "go-linux-new", "go-linux", "npm"} {
		save(t, c, key, []byte(key))
		k.advance(time.Minute)
	}
	for _, tc := range []struct {
		keys []string
		want string
	}{
		{[]string{"go-linux"}, "go-linux"},
		{[]string{"go-linux-old"}, "go-linux-old"},
		{[]string{"go-linux-"}, "go-linux-new"},
		{[]string{"go-mac", "go-"}, "go-linux"},
		{[]string{"go-mac", "npm", "go-"}, "npm"},
		{[]string{"GO-LINUX"}, ""},
		{[]string{"none"}, ""},
	} {
		e, ok, err := c.Lookup("acme/app", tc.keys, "v")
		if err != nil || e.Key != tc.want || ok != (tc.want != "") {
			t.Errorf("%v: %q, %v, %v; want %q", tc.keys, e.Key, ok, err, tc.want)
		}
	}
	if _, ok, _ := c.Lookup("acme/other", []string{"npm"}, "v"); ok {
		t.Error("another repository sees the cache")
	}
	if _, ok, _ := c.Lookup("acme/app", []string{"npm"}, "w"); ok {
		t.Error("another version finds the cache")
	}
	for _, bad := range [][]string{nil, {""}, {"a,b"}, {string(bytes.Repeat([]byte("x"), 513))}, {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"}} {
		if _, _, err := c.Lookup("acme/app", bad, "v"); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestCacheIsImmutable(t *testing.T) {
	dir := t.TempDir()
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		c := OpenCaches(dir, 0, nil)
		wg.Go(func() {
			s, err := c.Create(CacheEntry{Scope: "s", Key: "k", Version: "v"})
			if err == nil {
				os.WriteFile(s.Path(), []byte("x"), 0o644)
				_, err = s.Commit()
			}
			switch {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, ErrCacheExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d have saved the same cache", wins.Load())
	}
}

func TestCacheEviction(t *testing.T) {
	k := newClock()
	c := OpenCaches(t.TempDir(), 250, k.now)
	hundred := bytes.Repeat([]byte("x"), 100)
	save(t, c, "a", hundred)
	k.advance(time.Hour)
	save(t, c, "b", hundred)
	k.advance(time.Hour)
	if _, ok, _ := c.Lookup("acme/app", []string{"a"}, "v"); !ok { // a use
		t.Fatal("a is not there")
	}
	k.advance(time.Hour)
	save(t, c, "c", hundred)
	for key, want := range map[string]bool{"a": true, "b": false, "c": true} {
		if c.Has("acme/app", key, "v") != want {
			t.Errorf("%s is there: %v, want %v", key, !want, want)
		}
	}
	s, err := c.Create(CacheEntry{Scope: "s", Key: "huge", Version: "v"})
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(s.Path(), bytes.Repeat(hundred, 3), 0o644)
	if _, err := s.Commit(); err == nil {
		t.Error("a cache larger than the store was saved")
	}
	if !c.Has("acme/app", "a", "v") {
		t.Error("it has evicted another one")
	}
}

// A store that was damaged gives misses, no faults.
func TestCacheDamaged(t *testing.T) {
	c := OpenCaches(t.TempDir(), 0, nil)
	e := save(t, c, "k", []byte("x"))
	os.WriteFile(filepath.Join(filepath.Dir(e.Path()), entryFile), []byte("{"), 0o644)
	if _, ok, err := c.Lookup("acme/app", []string{"k"}, "v"); ok || err != nil {
		t.Errorf("found %v, %v", ok, err)
	}
}

func TestPackAndUnpack(t *testing.T) {
	for _, compression := range []Compression{Zstd, Gzip} {
		t.Run(string(compression), func(t *testing.T) {
			src := tree(t, "a.txt", "dir/run", "dir/empty/", "dir/link -> run", "dir/gone -> /no/such", "locked/x")
			elsewhere := tree(t, "mod/y")
			when := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
			os.Chmod(filepath.Join(src, "dir/run"), 0o755)
			os.Chtimes(filepath.Join(src, "a.txt"), when, when)
			os.Chmod(filepath.Join(src, "locked"), 0o555)
			t.Cleanup(func() { os.Chmod(filepath.Join(src, "locked"), 0o755) })
			var b bytes.Buffer
			err := Pack(t.Context(), &b, []PackItem{
				{"a.txt", filepath.Join(src, "a.txt")}, {"dir", filepath.Join(src, "dir")}, {"locked", filepath.Join(src, "locked")},
				{elsewhere + "/mod", filepath.Join(elsewhere, "mod")}, {"none", filepath.Join(src, "none")},
			}, compression)
			if err != nil {
				t.Fatal(err)
			}
			os.RemoveAll(filepath.Join(elsewhere, "mod"))
			dest := tree(t, "a.txt", "dir/link")
			t.Cleanup(func() { os.Chmod(filepath.Join(dest, "locked"), 0o755) })
			place := func(name string) (string, error) {
				if filepath.IsAbs(name) {
					return name, nil
				}
				return filepath.Join(dest, name), nil
			}
			if err := Unpack(t.Context(), bytes.NewReader(b.Bytes()), place); err != nil {
				t.Fatal(err)
			}
			want := []string{"a.txt", "dir/gone", "dir/link", "dir/run", "locked/x"}
			if d := cmp.Diff(want, listFiles(t, dest)); d != "" {
				t.Error(d)
			}
			if info, err := os.Stat(filepath.Join(dest, "dir/run")); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("dir/run: %v, %v", info, err)
			}
			if info, _ := os.Stat(filepath.Join(dest, "a.txt")); !info.ModTime().Equal(when) {
				t.Errorf("a.txt is of %v", info.ModTime())
			}
			if info, _ := os.Stat(filepath.Join(dest, "locked")); info.Mode().Perm() != 0o555 {
				t.Errorf("locked has the mode %v", info.Mode())
			}
			if target, _ := os.Readlink(filepath.Join(dest, "dir/link")); target != "run" {
				t.Errorf("dir/link leads to %q", target)
			}
			if _, err := os.Stat(filepath.Join(elsewhere, "mod/y")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUnpackErrors(t *testing.T) {
	place := func(name string) (string, error) { return filepath.Join(t.TempDir(), name), nil }
	for _, in := range []string{"", "abcd", "\x1f\x8b", "\x28\xb5\x2f\xfd"} {
		if err := Unpack(t.Context(), bytes.NewReader([]byte(in)), place); err == nil {
			t.Errorf("%q: no error", in)
		}
	}
}

// The vendor's own figure: sha256 of the paths, the compression and the salt, joined by bars.
func TestCacheVersion(t *testing.T) {
	const want = "470e252814dbffc9524891b17cf4e5749b26c1b5026e63dd3f00972db2393117"
	if got := CacheVersion([]string{"node_modules"}, Zstd); got == CacheVersion([]string{"node_modules"}, Gzip) {
		t.Error("the compression does not count")
	}
	if got := CacheVersion([]string{"node_modules"}, Gzip); got != want {
		t.Errorf("version %s, want %s", got, want)
	}
}

func TestCacheArchiveGone(t *testing.T) {
	c := OpenCaches(t.TempDir(), 0, nil)
	e := save(t, c, "k", []byte("x"))
	os.RemoveAll(filepath.Dir(e.Path()))
	if err := c.Restore(t.Context(), e, func(string) (string, error) { return "", nil }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("restore of an evicted cache: %v", err)
	}
}
