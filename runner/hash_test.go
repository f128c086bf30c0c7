package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

func TestHashFiles(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.sum": "one", "sub/go.sum": "two", "sub/deep/x.lock": "three", "vendor/go.sum": "no", "a-b/z.txt": "dash", "a/z.txt": "plain",
	} {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The rule: SHA-256 over the binary SHA-256 of each file.
	hash := func(texts ...string) string {
		all := sha256.New()
		for _, s := range texts {
			one := sha256.Sum256([]byte(s))
			all.Write(one[:])
		}
		return hex.EncodeToString(all.Sum(nil))
	}
	for _, c := range []struct {
		name     string
		patterns []string
		want     string
	}{
		{"one file", []string{"go.sum"}, hash("one")},
		{"any depth, in the order of the paths", []string{"**/go.sum"}, hash("one", "two", "no")},
		{"taken out again", []string{"**/go.sum", "!vendor/**"}, hash("one", "two")},
		{"and in again", []string{"**/go.sum", "!vendor/**", "vendor/go.sum"}, hash("one", "two", "no")},
		{"a folder means what is in it", []string{"sub"}, hash("three", "two")},
		{"several lines in one text", []string{"go.sum\n# comment\n\n**/*.lock"}, hash("one", "three")},
		{"absolute, as the job sees it", []string{"/ws/go.sum"}, hash("one")},
		{"names sort by folder, not by byte", []string{"a*/z.txt"}, hash("plain", "dash")},
		{"nothing", []string{"*.none"}, ""},
		{"outside", []string{"../*"}, ""},
		{"no pattern", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := hashFiles(root, "/ws", c.patterns)
			if err != nil || got != c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
		})
	}
	if _, err := hashFiles(root, "/ws", []string{"[a"}); err == nil {
		t.Error("a pattern that is none was taken")
	}
}

func FuzzMatchers(f *testing.F) {
	f.Add(`{"problemMatcher":[{"owner":"x","pattern":[{"regexp":"^(.+):(\\d+): (.*)$","file":1,"line":2,"message":3}]}]}`, "a.go:3: bad\nb")
	f.Add(`{"problemMatcher":[{"owner":"x","pattern":[{"regexp":"a"},{"regexp":"(b)","message":1,"loop":true}]}]}`, "a\nb\nb")
	f.Fuzz(func(t *testing.T, file, output string) {
		ms, err := parseMatchers([]byte(file))
		if err != nil {
			return
		}
		var w watcher
		for _, a := range w.line(ms, output) {
			if a.Level != "error" && a.Level != "warning" && a.Level != "notice" {
				t.Errorf("level %q", a.Level)
			}
		}
	})
}
