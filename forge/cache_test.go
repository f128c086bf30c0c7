package forge

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// server makes a folder that has repositories as a server has: owner/name.git.
func server(t testing.TB) (base string, r repo) {
	t.Helper()
	r = newRepo(t)
	r.write("action.yml", "1")
	r.commit("one")
	r.git("tag", "-a", "-m", "v1", "v1")
	r.write("action.yml", "2")
	r.commit("two")
	r.git("branch", "topic/x", "HEAD~1")
	base = filepath.Join(filepath.Dir(r.dir), "server")
	r.git("clone", "-q", "--bare", r.dir, filepath.Join(base, "acme", "tool.git"))
	r.git("remote", "add", "origin", filepath.Join(base, "acme", "tool.git"))
	return base, r
}

func TestFetch(t *testing.T) {
	base, r := server(t)
	first, second := r.git("rev-parse", "HEAD~1"), r.git("rev-parse", "HEAD")
	for _, url := range []string{base, "file://" + base, "file://" + base + "/"} {
		c := &Cache{Dir: t.TempDir(), BaseURL: url}
		for _, want := range [][3]string{{"main", second, "2"}, {"v1", first, "1"}, {"topic/x", first, "1"}, {first, first, "1"}, {"refs/heads/main", second, "2"}} {
			dir, commit, err := c.Fetch(context.Background(), "acme/tool", want[0])
			if err != nil || commit != want[1] {
				t.Errorf("%s: %s, %v", want[0], commit, err)
				continue
			}
			if got := tree(t, dir); got != "action.yml="+want[2]+"\n" {
				t.Errorf("%s: %s", want[0], got)
			}
			if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
				t.Error("the files of a commit are a repository")
			}
		}
	}
}

func TestFetchOffline(t *testing.T) {
	base, r := server(t)
	dir := t.TempDir()
	online, offline := &Cache{Dir: dir, BaseURL: base}, &Cache{Dir: dir, BaseURL: base, Offline: true}
	_, _, err := offline.Fetch(context.Background(), "acme/tool", "v1")
	if !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "acme/tool at v1") || !strings.Contains(err.Error(), "without --offline") {
		t.Errorf("empty cache: %v", err)
	}
	want, commit, err := online.Fetch(context.Background(), "acme/tool", "main")
	if err != nil {
		t.Fatal(err)
	}
	// The branch moves, and then the server is gone.
	r.write("action.yml", "3")
	third := r.commit("three")
	r.git("push", "-q", "origin", "main")
	if err := os.Rename(base, base+".away"); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"main", commit} {
		if got, at, err := offline.Fetch(context.Background(), "acme/tool", ref); err != nil || got != want || at != commit {
			t.Errorf("%s: %s, %s, %v", ref, got, at, err)
		}
	}
	if _, err := offline.CheckOut(context.Background(), "acme/tool", filepath.Join(t.TempDir(), "copy"), CheckOut{Ref: "main", Depth: 1}); err != nil {
		t.Errorf("work copy: %v", err)
	}
	if got, _, err := online.Fetch(context.Background(), "acme/tool", commit); err != nil || got != want {
		t.Errorf("a commit that is here needs no server: %v", err)
	}
	for _, ref := range []string{"v1", third} {
		if _, _, err := offline.Fetch(context.Background(), "acme/tool", ref); !errors.Is(err, ErrOffline) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if err := os.Rename(base+".away", base); err != nil {
		t.Fatal(err)
	}
	if got, at, err := online.Fetch(context.Background(), "acme/tool", "main"); err != nil || at != third || tree(t, got) != "action.yml=3\n" {
		t.Errorf("the branch that moved: %s, %v", at, err)
	}
}

func TestFetchRefuses(t *testing.T) {
	base, _ := server(t)
	c := &Cache{Dir: t.TempDir(), BaseURL: base}
	for _, bad := range [][3]string{
		{"acme", "v1", "owner/name"}, {"../tool", "v1", "owner/name"}, {"acme/..", "v1", "owner/name"}, {"-x/tool", "v1", "owner/name"}, {"a/b/c", "v1", "owner/name"}, {"", "v1", "owner/name"},
		{"acme/tool", "", "missing"}, {"acme/tool", "--upload-pack=x", "is not the name"}, {"acme/tool", "a b", "is not the name"}, {"acme/tool", "a..b", "is not the name"},
		{"acme/tool", "nope", `no branch or tag "nope"`}, {"acme/none", "v1", "acme/none"}, {"acme/tool", strings.Repeat("1", 40), strings.Repeat("1", 40)},
	} {
		if _, _, err := c.Fetch(context.Background(), bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), bad[2]) {
			t.Errorf("%q at %q: %v, want %q", bad[0], bad[1], err, bad[2])
		}
	}
	if _, _, err := (&Cache{}).Fetch(context.Background(), "acme/tool", "v1"); err == nil {
		t.Error("a cache without a folder")
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, _, err := c.Fetch(stopped, "acme/tool", "main"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFetchAtTheSameTime(t *testing.T) {
	base, _ := server(t)
	dir := t.TempDir()
	var wg sync.WaitGroup
	for _, ref := range []string{"main", "main", "v1", "topic/x"} {
		wg.Go(func() {
			c := &Cache{Dir: dir, BaseURL: base} // as another process would
			if files, _, err := c.Fetch(context.Background(), "acme/tool", ref); err != nil || !strings.HasPrefix(tree(t, files), "action.yml=") {
				t.Errorf("%s: %v", ref, err)
			}
		})
	}
	wg.Wait()
}

func TestCacheCheckOut(t *testing.T) {
	base, r := server(t)
	c := &Cache{Dir: t.TempDir(), BaseURL: base}
	for _, step := range []struct {
		o                   CheckOut
		branch, count, tags string
	}{
		{CheckOut{Depth: 1}, "main", "1", ""},
		{CheckOut{Ref: "topic/x", Depth: 1}, "topic/x", "1", ""},
		{CheckOut{Ref: "v1", Depth: 1, Tags: true}, "", "1", "v1"},
		{CheckOut{Ref: "main"}, "main", "2", "v1"},
		{CheckOut{Ref: "main", Depth: 2}, "main", "2", ""},
		{CheckOut{Ref: r.git("rev-parse", "HEAD"), Depth: 1}, "", "1", ""},
	} {
		dest := filepath.Join(t.TempDir(), "copy")
		commit, err := c.CheckOut(context.Background(), "acme/tool", dest, step.o)
		if err != nil {
			t.Errorf("%+v: %v", step.o, err)
			continue
		}
		for args, want := range map[string]string{
			"rev-parse HEAD": commit, "branch --show-current": step.branch, "rev-list --count HEAD": step.count,
			"status --porcelain": "", "remote get-url origin": filepath.Join(base, "acme/tool.git"),
		} {
			if got := runGit(t, dest, strings.Fields(args)...); got != want {
				t.Errorf("%+v: git %s: %q, want %q", step.o, args, got, want)
			}
		}
		if got := runGit(t, dest, "tag"); step.o.Tags && got != step.tags {
			t.Errorf("%+v: tags %q", step.o, got)
		}
	}
}

// TestToken looks at what a server gets, and at what a process list would show.
func TestToken(t *testing.T) {
	const token = "ghs_canary"
	var seen atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Basic "+base64.StdEncoding.EncodeToString([]byte("x-access-token:"+token)) {
			seen.Store(true)
		}
		http.Error(w, "no", http.StatusUnauthorized)
	}))
	defer s.Close()
	// A git that keeps its arguments.
	real := runPath(t, "git")
	bin, args := t.TempDir(), filepath.Join(t.TempDir(), "args")
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte("#!/bin/sh\necho \"$@\" >>"+args+"\nexec "+real+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	c := &Cache{Dir: t.TempDir(), BaseURL: s.URL, Token: token}
	_, _, err := c.Fetch(context.Background(), "acme/private", "main")
	if err == nil || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "token") {
		t.Errorf("error: %v", err)
	}
	if !seen.Load() {
		t.Error("the server did not get the token")
	}
	if shown, err := os.ReadFile(args); err != nil || len(shown) == 0 || strings.Contains(string(shown), "canary") {
		t.Errorf("arguments: %q, %v", shown, err)
	}
}

func runPath(t *testing.T, program string) string {
	t.Helper()
	for _, d := range filepath.SplitList(os.Getenv("PATH")) {
		if info, err := os.Stat(filepath.Join(d, program)); err == nil && !info.IsDir() {
			return filepath.Join(d, program)
		}
	}
	t.Fatalf("no %s", program)
	return ""
}
