package forge

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func openMirror(t testing.TB, address string) *Mirror {
	t.Helper()
	m, err := OpenMirror(filepath.Join(t.TempDir(), "mirror"), address, "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (r repo) head() string { return r.git("rev-parse", "HEAD") }

func snapshot(t testing.TB, m *Mirror, ref, folder string) *MirrorSnapshot {
	t.Helper()
	s, release, err := m.Snapshot(t.Context(), ref, folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return s
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMirrorHeads(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	first := r.commit("one")
	r.git("tag", "-a", "-m", "annotated", "v1")
	r.git("branch", "feature/x")
	r.git("update-ref", "refs/pull/7/head", first)
	m := openMirror(t, r.dir)
	refs, branch, err := m.Heads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if branch != "main" {
		t.Errorf("default branch %q", branch)
	}
	for _, ref := range []string{"refs/heads/main", "refs/heads/feature/x", "refs/tags/v1", "refs/pull/7/head"} {
		if refs[ref] != r.head() {
			t.Errorf("%s is %q, want %s", ref, refs[ref], r.head())
		}
	}
	if _, _, err := openMirror(t, filepath.Join(t.TempDir(), "nothing")).Heads(t.Context()); err == nil {
		t.Error("a repository that is not there has branches")
	}
}

func TestMirrorSnapshot(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	r.write("sub/b", "2")
	r.commit("one")
	first := r.head()
	m := openMirror(t, r.dir)

	s := snapshot(t, m, "", "")
	if got := readFile(t, filepath.Join(s.Dir, "sub/b")); got != "2" {
		t.Errorf("sub/b is %q", got)
	}
	if s.Local.Commit != first || s.Local.Branch != "main" || s.Local.Author != "Ann Author" || s.Local.Message != "one" {
		t.Errorf("the facts: %+v", s.Local)
	}
	r.write("a", "3")
	r.commit("two")
	if got := snapshot(t, m, "refs/heads/main", ""); got.Local.Commit != r.head() || !slices.Equal(got.Local.Parents, []string{first}) {
		t.Errorf("main is %s with parents %q", got.Local.Commit, got.Local.Parents)
	}
	part := snapshot(t, m, first, "sub")
	if got := readFile(t, filepath.Join(part.Dir, "b")); got != "2" {
		t.Errorf("b is %q", got)
	}

	// Work copies come out of the mirror, with the history.
	dest := filepath.Join(t.TempDir(), "copy")
	if _, err := snapshot(t, m, "main", "").Local.CheckOut(t.Context(), dest, CheckOut{}); err != nil {
		t.Fatal(err)
	}
	if got := runGit(t, dest, "log", "--format=%s"); got != "two\none" {
		t.Errorf("the history: %q", got)
	}
	if got := runGit(t, dest, "status", "--porcelain"); got != "" {
		t.Errorf("the work copy is dirty: %q", got)
	}
	dest = filepath.Join(t.TempDir(), "old")
	if _, err := snapshot(t, m, "main", "").Local.CheckOut(t.Context(), dest, CheckOut{Ref: first, Depth: 1}); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, filepath.Join(dest, "a")); got != "1" {
		t.Errorf("a is %q", got)
	}
	dest = filepath.Join(t.TempDir(), "part")
	if _, err := part.Local.CheckOut(t.Context(), dest, CheckOut{}); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, filepath.Join(dest, "b")); got != "2" {
		t.Errorf("b of the part is %q", got)
	}
}

func TestMirrorSingleCommits(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	r.commit("one")
	r.git("checkout", "-q", "-b", "gone")
	r.write("a", "2")
	r.commit("two")
	lost := r.head()
	r.git("update-ref", "refs/pull/3/head", lost)
	r.git("checkout", "-q", "main")
	r.git("branch", "-q", "-D", "gone")
	r.git("config", "uploadpack.allowAnySHA1InWant", "true")
	if got := snapshot(t, openMirror(t, r.dir), lost, ""); got.Local.Commit != lost {
		t.Errorf("got %s", got.Local.Commit)
	}
	if got := snapshot(t, openMirror(t, r.dir), "refs/pull/3/head", ""); got.Local.Commit != lost || got.Local.Branch != "" {
		t.Errorf("got %s on %q", got.Local.Commit, got.Local.Branch)
	}
}

func TestMirrorChangedFiles(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	r.write("sub/b", "1")
	r.commit("one")
	first := r.head()
	r.git("checkout", "-q", "-b", "topic")
	r.write("sub/b", "2")
	r.commit("topic")
	topic := r.head()
	r.git("checkout", "-q", "main")
	r.write("a", "2")
	r.commit("two")
	m := openMirror(t, r.dir)
	if _, err := m.Fetch(t.Context(), "main"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, base, head, path string
		merge, known           bool
		want                   string
	}{
		{"a push", first, r.head(), "", false, true, "a"},
		{"a pull request", r.head(), topic, "", true, true, "sub/b"},
		{"both ways", r.head(), topic, "", false, true, "a sub/b"},
		{"in a folder", first, topic, "sub", false, true, "b"},
		{"outside of the folder", first, r.head(), "sub", false, true, ""},
		{"a new branch", ZeroCommit, topic, "", false, false, ""},
		{"a base that is not here", strings.Repeat("1", 40), topic, "", false, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files, known, err := m.ChangedFiles(t.Context(), tt.base, tt.head, tt.path, tt.merge)
			if err != nil || known != tt.known || strings.Join(files, " ") != tt.want {
				t.Errorf("got %q, known %v, error %v; want %q", files, known, err, tt.want)
			}
		})
	}
}

func TestMirrorRefuses(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	r.write("deep/b", "1")
	if err := os.Symlink("/", filepath.Join(r.dir, "out")); err != nil {
		t.Fatal(err)
	}
	r.commit("one")
	m := openMirror(t, r.dir)
	for _, tt := range []struct{ ref, folder, want string }{
		{"--upload-pack=x", "", "no such branch, tag or commit"},
		{"main@{1}", "", "no such branch, tag or commit"},
		{"nope", "", "no such branch, tag or commit"},
		{"main", "../..", "is not one of the repository"},
		{"main", "out/etc", "has no folder"},
		{"main", "a", "has no folder"},
		{"main", "nope", "has no folder"},
	} {
		_, _, err := m.Snapshot(t.Context(), tt.ref, tt.folder)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: got %v, want %q", tt.ref, tt.folder, err, tt.want)
		}
	}
	if _, err := OpenMirror(t.TempDir(), "--upload-pack=x", ""); err == nil {
		t.Error("an option was taken for an address")
	}
}

// Files that are in use stay, the newest few too; what an export that was killed has left goes.
func TestMirrorPrunes(t *testing.T) {
	r := newRepo(t)
	m := openMirror(t, r.dir)
	trees := filepath.Join(m.dir, "trees")
	if err := os.MkdirAll(filepath.Join(trees, ".new-left"), 0o755); err != nil {
		t.Fatal(err)
	}
	var held string
	past := time.Now().Add(-time.Hour)
	for i := range keptTrees + 4 {
		r.write("a", strings.Repeat("x", i+1))
		r.commit("next")
		s, release, err := m.Snapshot(t.Context(), "main", "")
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			held = s.Dir
			defer release()
		} else {
			release()
		}
		past = past.Add(time.Minute)
		if err := os.Chtimes(s.Dir, past, past); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(trees)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > keptTrees+2 {
		t.Errorf("%d trees are kept", len(entries))
	}
	if _, err := os.Stat(filepath.Join(held, "a")); err != nil {
		t.Errorf("files in use: %v", err)
	}
	if _, err := os.Stat(filepath.Join(trees, ".new-left")); err == nil {
		t.Error("what a killed export has left is still there")
	}
}

func TestMirrorRecordsFolder(t *testing.T) {
	for _, kind := range []string{"plain", "repository", "part"} {
		t.Run(kind, func(t *testing.T) {
			r := newRepo(t)
			dir := r.dir
			if kind == "plain" {
				if err := os.RemoveAll(filepath.Join(dir, ".git")); err != nil {
					t.Fatal(err)
				}
			}
			if kind == "part" {
				dir = filepath.Join(r.dir, "part")
				r.write("outside", "x")
			}
			at := repo{t, dir}
			at.write("a", "1")
			at.write(".gitignore", "*.log\n")
			at.write("b.log", "not this")
			if kind != "plain" {
				r.git("checkout", "-q", "-b", "topic")
				r.commit("subject")
				at.write("new", "not committed")
			}
			m := openMirror(t, "")
			first, branch, err := m.RecordFolder(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			again, _, err := m.RecordFolder(t.Context(), dir)
			if err != nil || again != first {
				t.Errorf("the same files gave %s and %s, %v", first, again, err)
			}
			at.write("a", "2")
			before := ""
			if kind != "plain" {
				before = r.git("status", "--porcelain")
			}
			second, _, err := m.RecordFolder(t.Context(), dir)
			if err != nil || second == first {
				t.Fatalf("other files gave %s again, %v", second, err)
			}
			files, known, err := m.ChangedFiles(t.Context(), first, second, "", false)
			if err != nil || !known || !slices.Equal(files, []string{"a"}) {
				t.Errorf("changed: %q, %v, %v", files, known, err)
			}
			s := snapshot(t, m, second, "")
			if got := readFile(t, filepath.Join(s.Dir, "a")); got != "2" {
				t.Errorf("a is %q", got)
			}
			if _, err := os.Stat(filepath.Join(s.Dir, "b.log")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a file that is ignored: %v", err)
			}
			if _, err := os.Stat(filepath.Join(s.Dir, "outside")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a file of outside: %v", err)
			}
			wantBranch, wantMessage := "topic", "subject\n\nWith changes that are not committed, on top of "
			if kind == "plain" {
				wantBranch, wantMessage = "main", "Files of shop"
			} else if got := r.git("status", "--porcelain"); got != before {
				t.Errorf("the repository was touched: %q before, %q after", before, got)
			}
			if branch != wantBranch || !strings.HasPrefix(s.Local.Message, wantMessage) {
				t.Errorf("branch %q, message %q", branch, s.Local.Message)
			}
			if got := snapshot(t, m, "refs/heads/"+branch, ""); got.Local.Commit != second || got.Local.Branch != branch {
				t.Errorf("the branch is at %s (%q)", got.Local.Commit, got.Local.Branch)
			}
		})
	}
	if _, _, err := openMirror(t, "").RecordFolder(t.Context(), filepath.Join(t.TempDir(), "no")); !errors.Is(err, errNoFolder) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestMirrorBundle(t *testing.T) {
	r := newRepo(t)
	r.write("a", strings.Repeat("text\n", 1000))
	r.commit("one")
	first := r.head()
	m := openMirror(t, r.dir)
	var whole bytes.Buffer
	if err := m.Bundle(t.Context(), first, nil, &whole); err != nil {
		t.Fatal(err)
	}
	there := openMirror(t, "")
	if there.Has(t.Context(), first) {
		t.Error("an empty mirror has the commit")
	}
	if err := there.Unbundle(t.Context(), &whole); err != nil {
		t.Fatal(err)
	}
	if s := snapshot(t, there, first, ""); s.Local.Message != "one" {
		t.Errorf("message %q", s.Local.Message)
	}
	r.write("b", "2")
	r.commit("two")
	var rest bytes.Buffer
	if err := m.Bundle(t.Context(), r.head(), []string{first, strings.Repeat("2", 40)}, &rest); err != nil {
		t.Fatal(err)
	}
	if err := there.Unbundle(t.Context(), &rest); err != nil {
		t.Fatal(err)
	}
	s := snapshot(t, there, r.head(), "")
	dest := filepath.Join(t.TempDir(), "copy")
	if _, err := s.Local.CheckOut(t.Context(), dest, CheckOut{}); err != nil {
		t.Fatal(err)
	}
	if got := runGit(t, dest, "log", "--format=%s"); got != "two\none" {
		t.Errorf("the history: %q", got)
	}
	if err := there.Unbundle(t.Context(), strings.NewReader("no bundle")); err == nil {
		t.Error("garbage was taken in")
	}
}

func TestMirrorTogether(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	r.commit("one")
	dir := filepath.Join(t.TempDir(), "mirror")
	var wg sync.WaitGroup
	for range 6 {
		m, err := OpenMirror(dir, r.dir, "")
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			s, release, err := m.Snapshot(t.Context(), "main", "")
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			if b, err := os.ReadFile(filepath.Join(s.Dir, "a")); err != nil || string(b) != "1" {
				t.Errorf("a is %q, %v", b, err)
			}
		})
	}
	wg.Wait()
}
