package forge

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkOut makes a work copy in a new folder and checks that git takes it for a sound one.
func checkOut(t testing.TB, l *Local, o CheckOut) (string, string) {
	t.Helper()
	dest := filepath.Join(t.TempDir(), "copy")
	commit, err := l.CheckOut(context.Background(), dest, o)
	if err != nil {
		t.Fatal(err)
	}
	if l.HasCommit() {
		if got := runGit(t, dest, "rev-parse", "HEAD"); got != commit {
			t.Errorf("HEAD is %s, want %s", got, commit)
		}
		runGit(t, dest, "log", "--oneline")
	}
	return dest, commit
}

// history makes a repository of three commits with a remote.
func history(t testing.TB) repo {
	r := newRepo(t)
	r.git("remote", "add", "origin", "https://github.com/acme/shop.git")
	r.write("a", "1")
	r.write(".gitignore", "ignored\n*.log\n")
	r.write("sub/b", "1")
	r.write("sub/deep/c", "1")
	r.commit("one")
	r.git("tag", "-a", "-m", "first", "v1")
	r.write("a", "2")
	r.commit("two")
	if err := os.Symlink("a", filepath.Join(r.dir, "link")); err != nil {
		t.Fatal(err)
	}
	r.write("run", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(r.dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.commit("three")
	return r
}

const threeFiles = ".gitignore=ignored\n*.log\n\na=2\nlink -> a\nrun*=#!/bin/sh\n\nsub/b=1\nsub/deep/c=1\n"

func TestCheckOut(t *testing.T) {
	r := history(t)
	before := tree(t, filepath.Join(r.dir, ".git"))
	l := r.open("")
	dest, commit := checkOut(t, l, CheckOut{Depth: 1})
	if commit != l.Commit {
		t.Errorf("commit %s, want %s", commit, l.Commit)
	}
	if got := tree(t, dest); got != threeFiles {
		t.Errorf("files:\n%s", got)
	}
	for _, c := range [][2]string{
		{"status --porcelain", ""},
		{"branch --show-current", "main"},
		{"rev-list --count HEAD", "1"},
		{"rev-parse --is-shallow-repository", "true"},
		{"remote get-url origin", "https://github.com/acme/shop.git"},
		{"rev-parse refs/remotes/origin/main", commit},
		{"rev-parse --abbrev-ref main@{upstream}", "origin/main"},
		{"fsck --no-dangling", ""},
		{"tag", ""},
	} {
		if got := runGit(t, dest, strings.Fields(c[0])...); got != c[1] {
			t.Errorf("git %s: %q, want %q", c[0], got, c[1])
		}
	}
	// A commit in the copy is the copy's own.
	runGit(t, dest, "commit", "-q", "--allow-empty", "-m", "here only")
	if after := tree(t, filepath.Join(r.dir, ".git")); after != before {
		t.Error("the repository itself has changed")
	}
}

func TestCheckOutHistory(t *testing.T) {
	l := history(t).open("")
	for _, c := range []struct {
		o           CheckOut
		count, tags string
	}{
		{CheckOut{}, "3", "v1"},
		{CheckOut{Depth: 1, Tags: true}, "1", "v1"},
		{CheckOut{Depth: 2}, "2", ""},
		{CheckOut{Depth: 3}, "3", ""},
		{CheckOut{Depth: 9}, "3", ""},
	} {
		t.Run(fmt.Sprint(c.o), func(t *testing.T) {
			dest, _ := checkOut(t, l, c.o)
			if got := runGit(t, dest, "rev-list", "--count", "HEAD"); got != c.count {
				t.Errorf("%s commits, want %s", got, c.count)
			}
			if got := runGit(t, dest, "tag"); got != c.tags {
				t.Errorf("tags %q, want %q", got, c.tags)
			}
		})
	}
	dest, _ := checkOut(t, l, CheckOut{})
	if got := runGit(t, dest, "describe", "--tags"); !strings.HasPrefix(got, "v1-2-g") {
		t.Errorf("describe: %q", got)
	}
}

func TestCheckOutRef(t *testing.T) {
	r := history(t)
	first := r.git("rev-parse", "HEAD~2")
	r.git("branch", "old", first)
	r.git("update-ref", "refs/remotes/origin/theirs", first)
	r.git("update-ref", "refs/pull/7/merge", first)
	r.write("a", "not committed")
	l := r.open("")
	for ref, want := range map[string]struct{ branch, a string }{
		"":                  {"main", "not committed"},
		"main":              {"main", "not committed"},
		"refs/heads/main":   {"main", "not committed"},
		l.Commit:            {"", "not committed"},
		"old":               {"old", "1"},
		"theirs":            {"theirs", "1"},
		"v1":                {"", "1"},
		"refs/tags/v1":      {"", "1"},
		"refs/pull/7/merge": {"", "1"},
		first:               {"", "1"},
	} {
		t.Run(ref, func(t *testing.T) {
			dest, _ := checkOut(t, l, CheckOut{Ref: ref, Depth: 1})
			if got := runGit(t, dest, "branch", "--show-current"); got != want.branch {
				t.Errorf("branch %q, want %q", got, want.branch)
			}
			if data, _ := os.ReadFile(filepath.Join(dest, "a")); string(data) != want.a {
				t.Errorf("a has %q, want %q", data, want.a)
			}
		})
	}
	for _, ref := range []string{"nope", strings.Repeat("1", 40), "--help", "refs/pull/8/merge"} {
		if _, err := l.CheckOut(context.Background(), t.TempDir(), CheckOut{Ref: ref}); err == nil || !strings.Contains(err.Error(), ref) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestCheckOutChanges(t *testing.T) {
	r := history(t)
	r.write("a", "changed")
	r.write("new\nline \xff", "odd name")
	r.write("new/file", "x")
	r.write("ignored", "x")
	r.write("new/x.log", "x")
	r.write("staged", "x")
	r.git("add", "staged")
	r.git("rm", "-q", "-r", "sub/deep")
	for _, f := range []string{"link", "sub/b"} {
		if err := os.Remove(filepath.Join(r.dir, f)); err != nil {
			t.Fatal(err)
		}
	}
	r.write("link/now/a", "folder")
	if err := os.Remove(filepath.Join(r.dir, "sub")); err != nil {
		if err := os.RemoveAll(filepath.Join(r.dir, "sub")); err != nil {
			t.Fatal(err)
		}
	}
	r.write("sub", "a file now")
	if err := os.Chmod(filepath.Join(r.dir, "run"), 0o644); err != nil {
		t.Fatal(err)
	}
	l := r.open("")
	dest, _ := checkOut(t, l, CheckOut{Depth: 1})
	want := ".gitignore=ignored\n*.log\n\na=changed\nlink/now/a=folder\nnew\nline \xff=odd name\nnew/file=x\nrun=#!/bin/sh\n\nstaged=x\nsub=a file now\n"
	got := tree(t, dest)
	// Walking a tree sorts folders by their names alone.
	if sorted(got) != sorted(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	dest, _ = checkOut(t, l, CheckOut{Depth: 1, Committed: true})
	if got := tree(t, dest); got != threeFiles {
		t.Errorf("committed only:\n%s", got)
	}
}

func sorted(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		for j := i; j > 0 && lines[j] < lines[j-1]; j-- {
			lines[j], lines[j-1] = lines[j-1], lines[j]
		}
	}
	return strings.Join(lines, "\n")
}

func TestCheckOutSubfolder(t *testing.T) {
	r := history(t)
	r.write("sub/deep/new", "x")
	r.write("outside", "x")
	l := r.open("sub")
	dest, commit := checkOut(t, l, CheckOut{Depth: 1, Tags: true})
	if got, want := tree(t, dest), "b=1\ndeep/c=1\ndeep/new=x\n"; got != want {
		t.Errorf("got\n%s", got)
	}
	if got := runGit(t, dest, "log", "--format=%an %s %at"); got != "Ann Author three 1700000000" {
		t.Errorf("log: %q", got)
	}
	if got := runGit(t, dest, "status", "--porcelain"); got != "?? deep/new" {
		t.Errorf("status: %q", got)
	}
	if got := runGit(t, dest, "branch", "--show-current"); got != "main" {
		t.Errorf("branch: %q", got)
	}
	if _, again := checkOut(t, l, CheckOut{}); again != commit {
		t.Error("the commit is another one the second time")
	}
	r.write("fresh/x", "1")
	dest, _ = checkOut(t, r.open("fresh"), CheckOut{})
	if got := tree(t, dest); got != "x=1\n" {
		t.Errorf("a folder that is new:\n%s", got)
	}
}

func TestCheckOutSparse(t *testing.T) {
	r := history(t)
	r.write("sub/b", "changed")
	r.write("sub/deep/c", "changed")
	r.write("other/d", "new")
	l := r.open("")
	for _, c := range []struct {
		o    CheckOut
		want string
	}{
		{CheckOut{Depth: 1, Sparse: []string{"sub/deep"}, Cone: true}, ".gitignore=ignored\n*.log\n\na=2\nlink -> a\nrun*=#!/bin/sh\n\nsub/b=changed\nsub/deep/c=changed\n"},
		{CheckOut{Depth: 1, Sparse: []string{"/a", "/sub/deep/"}}, "a=2\nsub/deep/c=changed\n"},
	} {
		dest, _ := checkOut(t, l, c.o)
		if got := tree(t, dest); got != c.want {
			t.Errorf("%+v:\n%s", c.o, got)
		}
	}
}

func TestCheckOutOntoFiles(t *testing.T) {
	l := history(t).open("")
	dest := t.TempDir()
	for _, f := range []string{"a", "kept"} {
		if err := os.WriteFile(filepath.Join(dest, f), []byte("before"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, clean := range []bool{false, false, true} {
		if _, err := l.CheckOut(context.Background(), dest, CheckOut{Depth: 1, Clean: clean}); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(filepath.Join(dest, "kept"))
		if kept := err == nil; kept == clean {
			t.Errorf("clean %v: the file that was there is kept: %v", clean, kept)
		}
		if data, _ := os.ReadFile(filepath.Join(dest, "a")); string(data) != "2" {
			t.Errorf("a has %q", data)
		}
	}
	if _, err := l.CheckOut(context.Background(), l.Dir, CheckOut{Clean: true}); err == nil {
		t.Error("a work copy was made onto the repository itself")
	}
}

func TestCheckOutWithoutRepository(t *testing.T) {
	dir := t.TempDir()
	r := repo{t, dir}
	r.write("a", "1")
	r.write("sub/b", "1")
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	l := r.open("")
	dest, commit := checkOut(t, l, CheckOut{})
	if got := tree(t, dest); commit != ZeroCommit || got != "a=1\nlink -> nowhere\nsub/b=1\n" {
		t.Errorf("%s\n%s", commit, got)
	}
	inside := filepath.Join(dir, "work", "copy")
	if _, err := l.CheckOut(context.Background(), inside, CheckOut{}); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, inside); got != "a=1\nlink -> nowhere\nsub/b=1\n" {
		t.Errorf("a copy within the folder:\n%s", got)
	}

	unborn := newRepo(t)
	unborn.write("a", "1")
	unborn.write(".gitignore", "b\n")
	unborn.write("b", "1")
	dest, _ = checkOut(t, unborn.open(""), CheckOut{Depth: 1})
	if got := tree(t, dest); got != ".gitignore=b\n\na=1\n" {
		t.Errorf("without commits:\n%s", got)
	}
	if got := runGit(t, dest, "symbolic-ref", "HEAD"); got != "refs/heads/main" {
		t.Errorf("HEAD: %s", got)
	}
}

func TestCheckOutOfAShallowClone(t *testing.T) {
	r := history(t)
	shallow := filepath.Join(t.TempDir(), "shallow")
	r.git("clone", "-q", "--depth=2", "file://"+r.dir, shallow)
	for depth, want := range map[int]string{0: "2", 1: "1", 2: "2", 5: "2"} {
		l := repo{t, shallow}.open("")
		dest, _ := checkOut(t, l, CheckOut{Depth: depth})
		if got := runGit(t, dest, "rev-list", "--count", "HEAD"); got != want {
			t.Errorf("depth %d: %s commits, want %s", depth, got, want)
		}
	}
}

func TestCheckOutOfALinkedWorkTree(t *testing.T) {
	r := history(t)
	linked := filepath.Join(filepath.Dir(r.dir), "linked")
	r.git("worktree", "add", "-q", "-b", "other", linked, "HEAD~1")
	dest, _ := checkOut(t, repo{t, linked}.open(""), CheckOut{})
	if got := runGit(t, dest, "branch", "--show-current"); got != "other" {
		t.Errorf("branch %q", got)
	}
}

func TestCheckOutSubmodules(t *testing.T) {
	library := newRepo(t)
	library.write("lib", "1")
	library.commit("lib")
	r := newRepo(t)
	r.git("submodule", "--quiet", "add", library.dir, "third/lib")
	r.commit("with a submodule")
	// Where the submodule came from is not needed.
	if err := os.Rename(library.dir, library.dir+".away"); err != nil {
		t.Fatal(err)
	}
	l := r.open("")
	dest, _ := checkOut(t, l, CheckOut{Depth: 1})
	if _, err := os.Stat(filepath.Join(dest, "third/lib/lib")); err == nil {
		t.Error("a submodule that nobody asked for")
	}
	for _, mode := range []string{"true", "recursive"} {
		dest, _ = checkOut(t, l, CheckOut{Depth: 1, Submodules: mode})
		if data, err := os.ReadFile(filepath.Join(dest, "third/lib/lib")); err != nil || string(data) != "1" {
			t.Errorf("%s: %q, %v", mode, data, err)
		}
	}
}

func TestCheckOutSHA256(t *testing.T) {
	r := newRepo(t, "--object-format=sha256")
	r.write("a", "1")
	r.commit("one")
	dest, _ := checkOut(t, r.open(""), CheckOut{Depth: 1})
	if got := tree(t, dest); got != "a=1\n" {
		t.Error(got)
	}
}

func BenchmarkOpenLocal(b *testing.B) {
	r := history(b)
	for b.Loop() {
		r.open("")
	}
}

// BenchmarkCheckOut compares the ways to make a work copy of a small repository.
func BenchmarkCheckOut(b *testing.B) {
	r := history(b)
	l := r.open("")
	dir := b.TempDir()
	n := 0
	next := func() string { n++; return filepath.Join(dir, fmt.Sprint(n)) }
	b.Run("skeleton", func(b *testing.B) {
		for b.Loop() {
			if _, err := l.CheckOut(context.Background(), next(), CheckOut{Depth: 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("git clone --shared", func(b *testing.B) {
		for b.Loop() {
			runGit(b, r.dir, "clone", "-q", "--shared", "--template=", r.dir, next())
		}
	})
	b.Run("git worktree", func(b *testing.B) {
		for b.Loop() {
			runGit(b, r.dir, "worktree", "add", "-q", "--detach", next())
		}
	})
	b.Run("one git call", func(b *testing.B) {
		for b.Loop() {
			runGit(b, r.dir, "version")
		}
	})
}
