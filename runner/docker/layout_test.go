package docker

import (
	"path/filepath"
	"testing"
)

func TestPathMap(t *testing.T) {
	m := newPathMap(mounted{"/host/jobs", "/__w"}, mounted{"/home/me/repo", "/__w/r/r"}, mounted{"/host/home", "/github/home"})
	for inside, want := range map[string]string{
		"/__w":                   "/host/jobs",
		"/__w/_temp/a":           "/host/jobs/_temp/a",
		"/__w/r":                 "/host/jobs/r",
		"/__w/r/r":               "/home/me/repo",
		"/__w/r/r/":              "/home/me/repo",
		"/__w/r/r/x/../y":        "/home/me/repo/y",
		"/__w/r/rest":            "/host/jobs/r/rest",
		"/github/home/../home/b": "/host/home/b",
		"/__work":                "",
		"/github/workspace":      "",
		"relative":               "",
		"":                       "",
		"/__w/../etc/passwd":     "",
	} {
		got, ok := m.host(inside)
		if filepath.ToSlash(got) != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", inside, got, ok, want)
		}
	}
}

func TestRewritePaths(t *testing.T) {
	moves := []mounted{{"/w/r", "/github/workspace"}, {"/w", "/elsewhere"}, {"/w/t", "/github/runner_temp"}}
	for in, want := range map[string]string{
		"/w/r":              "/github/workspace",
		"/w/r/a:/w/t/b":     "/github/workspace/a:/github/runner_temp/b",
		"--out=/w/r/a":      "--out=/github/workspace/a",
		"a,/w/t,/w/x":       "a,/github/runner_temp,/elsewhere/x",
		"/w/rest":           "/elsewhere/rest",
		"/ww":               "/ww",
		"x/w/r":             "x/w/r",
		"https://h/w/r":     "https://h/w/r",
		`{"f":"/w/r/a b"}`:  `{"f":"/github/workspace/a b"}`,
		"nothing":           "nothing",
		"":                  "",
		"line\n/w/r\n/w/t/": "line\n/github/workspace\n/github/runner_temp/",
	} {
		if got := rewritePaths(in, moves); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestSafeName(t *testing.T) {
	for in, want := range map[string]string{"demo": "demo", "a/b": "a-b", "..": "repository", "": "repository", "a:b\n": "a-b-"} {
		if got := safeName(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
