package storage

import (
	"archive/zip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clock is a clock that tests set.
type clock struct{ t atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.t.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.t.Load()) }
func (c *clock) advance(d time.Duration) { c.t.Add(int64(d)) }

func listFiles(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func files(dir string, names ...string) []File {
	var out []File
	for _, n := range names {
		out = append(out, File{Name: n, Path: filepath.Join(dir, n)})
	}
	return out
}

func TestArtifactRoundTrip(t *testing.T) {
	c := newClock()
	s := OpenArtifacts(t.TempDir(), c.now)
	src := tree(t, "a.txt", "sub/b.txt")
	for _, level := range []int{0, 6, 9} {
		a, err := s.Save(t.Context(), "run/1", "bin: no", files(src, "a.txt"), ArtifactOptions{})
		if err == nil {
			t.Fatalf("a name with a colon was stored: %v", a)
		}
		a, err = s.Save(t.Context(), "run/1", "bin", files(src, "a.txt", "sub/b.txt"), ArtifactOptions{Level: level, Overwrite: true, Job: "build"})
		if err != nil {
			t.Fatal(err)
		}
		if a.Files != 2 || a.Size == 0 || len(a.SHA256) != 64 || !a.Expires.Equal(c.now().Add(DefaultRetention)) {
			t.Errorf("level %d: %+v", level, a)
		}
		dest := t.TempDir()
		n, err := s.Extract(t.Context(), a, dest)
		if err != nil || n != 2 {
			t.Fatalf("%d files, %v", n, err)
		}
		if d := cmp.Diff([]string{"a.txt", "sub/b.txt"}, listFiles(t, dest)); d != "" {
			t.Error(d)
		}
	}
	// Nothing but the artifact remains.
	if d := cmp.Diff([]string{"bin/artifact.json", "bin/bin.zip"}, listFiles(t, s.RunDir("run/1"))); d != "" {
		t.Error(d)
	}
}

func TestArtifactNamesAreUnique(t *testing.T) {
	s := OpenArtifacts(t.TempDir(), nil)
	src := tree(t, "a.txt")
	first, err := s.Save(t.Context(), "1", "x", files(src, "a.txt"), ArtifactOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(t.Context(), "1", "x", files(src, "a.txt"), ArtifactOptions{}); !errors.Is(err, ErrArtifactExists) {
		t.Errorf("stored twice: %v", err)
	}
	second, err := s.Save(t.Context(), "1", "x", files(src, "a.txt"), ArtifactOptions{Overwrite: true})
	if err != nil || second.ID == first.ID {
		t.Errorf("overwrite: %v, ID %d after %d", err, second.ID, first.ID)
	}
	if _, err := s.Save(t.Context(), "2", "x", files(src, "a.txt"), ArtifactOptions{}); err != nil {
		t.Errorf("another run: %v", err)
	}
}

func TestArtifactsConcurrently(t *testing.T) {
	dir := t.TempDir()
	src := tree(t, "a.txt")
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		// Each has a store of its own, as processes have.
		s := OpenArtifacts(dir, nil)
		wg.Go(func() {
			_, err := s.Save(t.Context(), "1", "same", files(src, "a.txt"), ArtifactOptions{})
			switch {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, ErrArtifactExists):
				t.Error(err)
			}
			if _, err := s.Save(t.Context(), "1", "over", files(src, "a.txt"), ArtifactOptions{Overwrite: true}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d have stored the same artifact", wins.Load())
	}
	all, err := OpenArtifacts(dir, nil).List("1")
	if err != nil || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestArtifactExpiry(t *testing.T) {
	c := newClock()
	s := OpenArtifacts(t.TempDir(), c.now)
	src := tree(t, "a.txt")
	for name, keep := range map[string]time.Duration{"short": 24 * time.Hour, "long": 1000 * 24 * time.Hour} {
		if _, err := s.Save(t.Context(), "1", name, files(src, "a.txt"), ArtifactOptions{Retention: keep}); err != nil {
			t.Fatal(err)
		}
	}
	c.advance(48 * time.Hour)
	if _, err := s.Get("1", "short"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("expired, but there: %v", err)
	}
	if all, _ := s.List("1"); len(all) != 1 || all[0].Name != "long" {
		t.Errorf("list: %v", all)
	}
	s.Sweep()
	if left := listFiles(t, s.RunDir("1")); len(left) != 2 {
		t.Errorf("left after the sweep: %v", left)
	}
	c.advance(MaxRetention)
	s.Sweep()
	if _, err := os.Stat(s.RunDir("1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the empty folder of the run is there: %v", err)
	}
}

func TestArtifactFind(t *testing.T) {
	s := OpenArtifacts(t.TempDir(), nil)
	src := tree(t, "a.txt", "b.txt")
	for _, n := range []string{"bin-linux", "bin-mac", "docs"} {
		if _, err := s.Save(t.Context(), "1", n, files(src, "a.txt"), ArtifactOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string]int{"*": 3, "bin-*": 2, "**": 3, "docs": 1, "x": 0, "{bin-linux,docs}": 2} {
		if got, err := s.Find("1", pattern); err != nil || len(got) != want {
			t.Errorf("%s: %d artifacts, want %d (%v)", pattern, len(got), want, err)
		}
	}
	if _, err := s.Find("1", "["); err == nil {
		t.Error("no error for an invalid pattern")
	}
	parts, _ := s.Find("1", "bin-*")
	m, err := s.Merge(t.Context(), "1", "all", parts, true, UploadOptions{})
	if err != nil || m.Files != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := s.Delete("1", "all"); err != nil {
		t.Error(err)
	}
	if err := s.Delete("1", "all"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestArtifactChanged(t *testing.T) {
	s := OpenArtifacts(t.TempDir(), nil)
	src := tree(t, "a.txt")
	a, err := s.Save(t.Context(), "1", "x", files(src, "a.txt"), ArtifactOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Verify(); err != nil {
		t.Error(err)
	}
	f, _ := os.OpenFile(a.Path(), os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString("x")
	f.Close()
	if err := a.Verify(); !errors.Is(err, ErrDigest) {
		t.Errorf("a changed file passes: %v", err)
	}
}

func TestExtractRefusesToLeave(t *testing.T) {
	dest := filepath.Join(t.TempDir(), "dest")
	outside := t.TempDir()
	for _, name := range []string{"../x", "/x", "a/../../x", "link/x"} {
		archive := filepath.Join(t.TempDir(), "a.zip")
		f, _ := os.Create(archive)
		z := zip.NewWriter(f)
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte("x"))
		z.Close()
		f.Close()
		os.MkdirAll(dest, 0o755)
		os.Symlink(outside, filepath.Join(dest, "link"))
		if _, err := extractZip(t.Context(), archive, dest); err == nil {
			t.Errorf("%s was extracted", name)
		}
	}
	if left := listFiles(t, outside); len(left) > 0 {
		t.Errorf("written outside: %v", left)
	}
}

func TestSweepLeavesTheLivingAlone(t *testing.T) {
	dir := t.TempDir()
	live, err := newStaging(dir)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := newStaging(dir)
	if err != nil {
		t.Fatal(err)
	}
	dead.lock.Close() // as a kill does
	sweepStaging(dir)
	if _, err := os.Stat(live.dir); err != nil {
		t.Errorf("the folder of a live process is gone: %v", err)
	}
	if _, err := os.Stat(dead.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of a dead process is there: %v", err)
	}
	live.remove()
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestFileName(t *testing.T) {
	names := []string{"a", "a/b", "a%2Fb", ".", "..", ".tmp-x", "ä ö", strings.Repeat("x", 300), strings.Repeat("x", 301), "a\nb", "", "A"}
	seen := map[string]string{}
	for _, n := range names {
		f := fileName(n)
		if other, ok := seen[f]; ok {
			t.Errorf("%q and %q have the same file name %q", n, other, f)
		}
		seen[f] = n
		if strings.HasPrefix(f, ".") || strings.ContainsAny(f, "/\n") || len(f) > 255 || f == "" {
			t.Errorf("%q: file name %q", n, f)
		}
	}
	if !slices.Contains(names, seen["a"]) || fileName("bin-linux (1.26)") != "bin-linux (1.26)" {
		t.Error("a plain name is not readable")
	}
}

func TestCheckNames(t *testing.T) {
	for _, bad := range []string{"", ".", "..", "a/b", `a\b`, "a:b", "a*", "a?", "a|b", "a\"", "<a", "a>", "a\n", "a\r"} {
		if CheckArtifactName(bad) == nil {
			t.Errorf("%q is allowed", bad)
		}
	}
	if CheckArtifactName("bin (linux, 1.26)") != nil || CheckFileName("a/b c.txt") != nil {
		t.Error("a good name is refused")
	}
	if CheckFileName("a:b") == nil {
		t.Error("a:b is allowed as a file")
	}
}
