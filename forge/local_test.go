package forge

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseRemote(t *testing.T) {
	for address, want := range map[string]Remote{
		"https://github.com/acme/shop.git":         {"", "https://github.com", "acme", "shop"},
		"https://github.com/acme/shop/":            {"", "https://github.com", "acme", "shop"},
		"http://git.example.com:3000/acme/shop":    {"", "http://git.example.com:3000", "acme", "shop"},
		"https://u:token@example.com/g/sub/shop":   {"https://example.com/g/sub/shop", "https://example.com", "g/sub", "shop"},
		"https://token@example.com/g/shop.git":     {"https://example.com/g/shop.git", "https://example.com", "g", "shop"},
		"ssh://git@example.com:2222/acme/shop.git": {"", "https://example.com", "acme", "shop"},
		"git@github.com:acme/shop.git":             {"", "https://github.com", "acme", "shop"},
		"example.com:group/sub/shop":               {"", "https://example.com", "group/sub", "shop"},
		"git://example.com/acme/shop.git":          {"", "https://example.com", "acme", "shop"},
		"file:///srv/git/acme/shop.git":            {"", "", "acme", "shop"},
		"/srv/git/acme/shop.git":                   {"", "", "acme", "shop"},
		"../shop":                                  {"", "", "", "shop"},
		"shop":                                     {"", "", "", "shop"},
		"":                                         {},
		"https://example.com":                      {"", "https://example.com", "", ""},
	} {
		if want.URL == "" {
			want.URL = address
		}
		if got := ParseRemote(address); got != want {
			t.Errorf("ParseRemote(%q) = %+v, want %+v", address, got, want)
		}
	}
}

func FuzzParseRemote(f *testing.F) {
	f.Add("git@github.com:acme/shop.git")
	f.Add("https://u:p@h/x")
	f.Fuzz(func(t *testing.T, address string) {
		r := ParseRemote(address)
		if strings.Contains(r.Name, "/") {
			t.Errorf("ParseRemote(%q) = %+v", address, r)
		}
	})
}

func TestOpenLocal(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	r.write("sub/deep/b", "1")
	first := r.commit("first")
	r.write("a", "2")
	head := r.commit("second\n\nwith a body")
	r.git("remote", "add", "origin", "git@github.com:acme/shop.git")
	r.git("update-ref", "refs/remotes/origin/trunk", head)
	r.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
	l := r.open("")
	if l.Commit != head || !slices.Equal(l.Parents, []string{first}) || l.Branch != "main" || l.DefaultBranch != "trunk" || l.Dirty || len(l.Tags) > 0 {
		t.Errorf("%+v", l)
	}
	if l.Author != "Ann Author" || l.Email != "ann@example.com" || l.Message != "second\n\nwith a body" || l.Time.Unix() != 1700000000 {
		t.Errorf("%+v", l)
	}
	if l.Server != "https://github.com" || l.Owner != "acme" || l.Name != "shop" || l.Top != r.dir || l.Prefix != "" {
		t.Errorf("%+v", l)
	}

	r.write("new", "")
	if !r.open("").Dirty {
		t.Error("a new file leaves it clean")
	}
	if sub := r.open("sub/deep"); sub.Dirty || sub.Prefix != "sub/deep" || sub.Top != r.dir {
		t.Errorf("%+v", sub)
	}

	r.git("tag", "v1")
	r.git("tag", "-a", "-m", "two", "v2")
	r.git("checkout", "-q", "--detach")
	if l := r.open(""); l.Branch != "" || l.Commit != head || !slices.Equal(slices.Sorted(slices.Values(l.Tags)), []string{"v1", "v2"}) {
		t.Errorf("detached: %+v", l)
	}

	linked := filepath.Join(filepath.Dir(r.dir), "linked")
	r.git("worktree", "add", "-q", "-b", "other", linked, first)
	l, err := OpenLocal(context.Background(), linked)
	if err != nil || l.Branch != "other" || l.Commit != first || l.Top != linked || l.DefaultBranch != "trunk" || l.Name != "shop" {
		t.Errorf("linked work tree: %+v, %v", l, err)
	}

	shallow := filepath.Join(filepath.Dir(r.dir), "shallow")
	r.git("clone", "-q", "--depth=1", "--branch=main", "file://"+r.dir, shallow)
	if l, err := OpenLocal(context.Background(), shallow); err != nil || l.Commit != head || len(l.Parents) > 0 || !l.shallow() {
		t.Errorf("shallow: %+v, %v", l, err)
	}
}

func TestOpenLocalWithoutCommits(t *testing.T) {
	r := newRepo(t)
	r.git("config", "init.defaultBranch", "trunk")
	r.write("a", "1")
	if l := r.open(""); l.HasCommit() || l.Commit != ZeroCommit || l.Branch != "main" || !l.Dirty || l.Name != "shop" || l.DefaultBranch != "trunk" || !l.IsRepository() {
		t.Errorf("%+v", l)
	}
	plain := t.TempDir()
	l, err := OpenLocal(context.Background(), plain)
	if err != nil || l.IsRepository() || l.HasCommit() || l.Name != filepath.Base(plain) || l.Commit != ZeroCommit {
		t.Errorf("%+v, %v", l, err)
	}
	if files, known, err := l.ChangedFiles(context.Background(), ""); known || err != nil {
		t.Errorf("%v, %v, %v", files, known, err)
	}
}

func TestOpenLocalErrors(t *testing.T) {
	r := newRepo(t)
	r.commit("one")
	file := filepath.Join(r.dir, "file")
	r.write("file", "")
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, ".git"), []byte("nonsense"), 0o644); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{file: "not a folder", file + ".missing": "no such file", broken: "gitdir"} {
		if _, err := OpenLocal(context.Background(), dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dir, err, want)
		}
	}
	if os.Getuid() == 0 {
		if err := os.Chown(r.dir, 4242, 4242); err != nil {
			t.Skip(err)
		}
		if _, err := OpenLocal(context.Background(), r.dir); err == nil || !strings.Contains(err.Error(), "safe.directory FOLDER") {
			t.Errorf("of another user: %v", err)
		}
	}
}

func TestGitVariablesOfAHookAreIgnored(t *testing.T) {
	r := newRepo(t)
	head := r.commit("one")
	t.Setenv("GIT_DIR", "/nowhere")
	t.Setenv("GIT_WORK_TREE", "/nowhere")
	t.Setenv("GIT_INDEX_FILE", "/nowhere")
	if l := r.open(""); l.Commit != head {
		t.Errorf("%+v", l)
	}
}

func TestChangedFiles(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	r.write("sub/b", "1")
	root := r.commit("root")
	r.git("checkout", "-q", "-b", "topic")
	r.write("sub/c ö", "1")
	r.commit("topic one")
	r.write("d", "1")
	r.git("rm", "-q", "a")
	r.commit("topic two")
	r.git("checkout", "-q", "main")
	r.write("on main", "1")
	main := r.commit("main moves")
	r.git("checkout", "-q", "topic")
	clean, cleanSub := r.open(""), r.open("sub")
	r.write("sub/b", "changed")
	r.write("new/file", "")
	dirty := r.open("")
	for _, c := range []struct {
		name  string
		l     *Local
		base  string
		want  string
		known bool
	}{
		{"the parent", clean, "", "a,d", true},
		{"a commit", clean, root, "a,d,sub/c ö", true},
		{"another line of history", clean, main, "a,d,on main,sub/c ö", true},
		{"a branch", clean, "main", "a,d,sub/c ö", true},
		{"within a folder", cleanSub, root, "c ö", true},
		{"with changes", dirty, "", "a,d,new/file,sub/b", true},
		{"no such branch", clean, "nope", "", false},
		{"no such commit", clean, strings.Repeat("1", 40), "", false},
		{"something nasty", clean, "--output=x", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, known, err := c.l.ChangedFiles(context.Background(), c.base)
			if err != nil || known != c.known || strings.Join(files, ",") != c.want {
				t.Errorf("%q, %v, %v", files, known, err)
			}
		})
	}
	r.git("stash", "-q", "-u")
	r.git("checkout", "-q", root)
	if files, known, err := r.open("").ChangedFiles(context.Background(), ""); err != nil || !known || strings.Join(files, ",") != "a,sub/b" {
		t.Errorf("first commit: %q, %v, %v", files, known, err)
	}
}
