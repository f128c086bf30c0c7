package storage

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree makes files, with their own names as content, and returns the folder. A name with " -> " is a link.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	addTree(t, dir, names...)
	return dir
}

func addTree(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, n := range names {
		n, target, link := strings.Cut(n, " -> ")
		p := filepath.Join(dir, filepath.FromSlash(n))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case link:
			err = os.Symlink(target, p)
		case strings.HasSuffix(n, "/"):
			err = os.MkdirAll(p, 0o755)
		default:
			err = os.WriteFile(p, []byte(n), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestFind(t *testing.T) {
	files := []string{
		"a.txt", "b.log", "dist/app", "dist/sub/lib.so", "dist/.hidden", "dist/.cache/x", ".env", "we[i]rd/{a}.txt", "empty/", "up -> dist",
		"loop/self -> ..", "gone -> nowhere",
	}
	for _, tc := range []struct {
		name        string
		lines       []string
		descendants bool
		o           FindOptions
		want        []string
		root        string
	}{
		{name: "one file", lines: []string{"a.txt"}, descendants: true, want: []string{"a.txt"}, root: "."},
		{name: "folder", lines: []string{"dist"}, descendants: true, want: []string{"dist/app", "dist/sub/lib.so"}, root: "dist"},
		{name: "folder with a slash", lines: []string{"dist/"}, descendants: true, want: []string{"dist/app", "dist/sub/lib.so"}, root: "dist"},
		{name: "folder alone", lines: []string{"dist"}, o: FindOptions{Directories: true}, want: []string{"dist"}, root: "dist"},
		{name: "hidden", lines: []string{"dist"}, descendants: true, o: FindOptions{Hidden: true}, want: []string{"dist/.cache/x", "dist/.hidden", "dist/app", "dist/sub/lib.so"}, root: "dist"},
		{name: "wildcard", lines: []string{"*.txt"}, descendants: true, want: []string{"a.txt"}, root: "."},
		{name: "wildcard for folders", lines: []string{"d*"}, descendants: true, want: []string{"dist/app", "dist/sub/lib.so"}, root: "."},
		{name: "any depth", lines: []string{"**/*.so"}, want: []string{"dist/sub/lib.so"}, root: "."},
		{name: "through links", lines: []string{"**/*.so"}, o: FindOptions{FollowLinks: true}, want: []string{"dist/sub/lib.so", "up/sub/lib.so"}, root: "."},
		{name: "excluded", lines: []string{"dist/**", "!dist/sub/**"}, want: []string{"dist/app"}, root: "dist"},
		{name: "excluded folder", lines: []string{"dist", "!dist/sub"}, descendants: true, want: []string{"dist/app"}, root: "dist"},
		{name: "let in again", lines: []string{"dist/**", "!dist/**", "dist/app"}, want: []string{"dist/app"}, root: "dist"},
		{name: "two roots", lines: []string{"a.txt", "dist/sub"}, descendants: true, want: []string{"a.txt", "dist/sub/lib.so"}, root: "."},
		{name: "two files", lines: []string{"dist/app", "dist/sub/lib.so"}, want: []string{"dist/app", "dist/sub/lib.so"}, root: "dist"},
		{name: "comment", lines: []string{"# nothing", "", "a.txt"}, want: []string{"a.txt"}, root: "."},
		{name: "literal braces", lines: []string{"we*/{a}.txt"}, want: []string{"we[i]rd/{a}.txt"}, root: "."},
		{name: "escaped brackets", lines: []string{`we\[i\]rd/*`}, want: []string{"we[i]rd/{a}.txt"}, root: "we[i]rd"},
		{name: "home", lines: []string{"~/b.log"}, want: []string{"b.log"}, root: "."},
		{name: "link that leads nowhere", lines: []string{"gone"}, o: FindOptions{FollowLinks: true}, want: nil, root: "gone"},
		{name: "missing", lines: []string{"no/such"}, want: nil, root: "no/such"},
		{name: "hidden root", lines: []string{".env"}, want: nil, root: ".env"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tree(t, files...)
			p, err := ParsePatterns(tc.lines, dir, dir, tc.descendants)
			if err != nil {
				t.Fatal(err)
			}
			found, err := p.Find(t.Context(), tc.o)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range found {
				rel, _ := filepath.Rel(dir, m.Path)
				got = append(got, filepath.ToSlash(rel))
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("found (-want +got):\n%s", d)
			}
			root, _ := filepath.Rel(dir, p.CommonRoot(found))
			if root != tc.root {
				t.Errorf("root is %q, want %q", root, tc.root)
			}
		})
	}
}

func TestParsePatternsErrors(t *testing.T) {
	for _, lines := range [][]string{nil, {""}, {"# only a comment"}, {"!all/out"}, {"!"}, {"a[b"}} {
		if _, err := ParsePatterns(lines, "/work", "", true); err == nil {
			t.Errorf("%q: no error", lines)
		}
	}
	if _, err := ParsePatterns([]string{"~/x"}, "/work", "", true); err == nil {
		t.Error("no error for ~ without a home folder")
	}
}

func TestMatchSegments(t *testing.T) {
	for _, tc := range []struct {
		pattern, path string
		want          bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"**", "", true}, {"**", "a/b", true}, {"a/**", "a", true}, {"a/**", "a/b/c", true}, {"a/**", "b", false},
		{"**/b", "b", true}, {"**/b", "a/b", true}, {"**/b", "a/b/c", false}, {"a/**/b/**/c", "a/x/b/y/b/z/c", true}, {"a/**/b/**/c", "a/x/y/c", false},
		{"**/**/a", "a", true}, {"*/b", "a/b", true}, {"*", "a/b", false}, {"**/a/b/**/d", "a/a/b/c/c/d", true},
	} {
		if got := matchSegments(split(tc.pattern), split(tc.path)); got != tc.want {
			t.Errorf("%s on %s: %v", tc.pattern, tc.path, got)
		}
	}
	// Many wildcards take no time.
	if matchSegments(split(strings.Repeat("**/a/", 200)+"b"), split(strings.Repeat("a/", 400)+"c")) {
		t.Error("a match")
	}
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "/")
}

func FuzzParsePatterns(f *testing.F) {
	for _, s := range []string{"a", "!a", "**/x", "a[", "{", "~", "../x", "a\\", "/", "**", "a/**/b/**"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		p, err := ParsePatterns([]string{line, "x"}, "/ws", "/home", true)
		if err != nil {
			return
		}
		for _, file := range []string{"/ws/x", "/ws/a/b"} {
			p.match(strings.Split(file, "/"))
		}
		if slices.Contains(p.Roots(), "") {
			t.Error("an empty root")
		}
	})
}
