package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/fstest"
)

func TestBuildContext(t *testing.T) {
	src := fstest.MapFS{}
	for _, f := range []string{"Dockerfile", "main.go", "a.md", "README.md", "docs/a.md", "docs/keep/b.md", "node_modules/x/y.js", "deep/node_modules/z.js", "build/Dockerfile", "build/out"} {
		src[f] = &fstest.MapFile{Data: []byte(f), Mode: 0o644}
	}
	for _, tt := range []struct {
		name, ignore, dockerfile, want string
	}{
		{"nothing", "", "Dockerfile", "Dockerfile README.md a.md build/ build/Dockerfile build/out deep/ deep/node_modules/ deep/node_modules/z.js docs/ docs/a.md docs/keep/ docs/keep/b.md main.go node_modules/ node_modules/x/ node_modules/x/y.js"},
		{"rooted", "# all\n\nnode_modules\n*.md\nbuild\n", "Dockerfile", ".dockerignore Dockerfile deep/ deep/node_modules/ deep/node_modules/z.js docs/ docs/a.md docs/keep/ docs/keep/b.md main.go"},
		{"anywhere", "**/node_modules\n**/*.md\nbuild/", "Dockerfile", ".dockerignore Dockerfile deep/ docs/ docs/keep/ main.go"},
		{"brought back", "*\n!docs/keep\n!main.go", "Dockerfile", ".dockerignore Dockerfile docs/ docs/keep/ docs/keep/b.md main.go"},
		{"the last decides", "*.md\n!*.md\na.md\nnode_modules\ndeep\nbuild\ndocs", "Dockerfile", ".dockerignore Dockerfile README.md main.go"},
		{"a Dockerfile left out", "*", "build/Dockerfile", ".dockerignore build/ build/Dockerfile"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if delete(src, ".dockerignore"); tt.ignore != "" {
				src[".dockerignore"] = &fstest.MapFile{Data: []byte(tt.ignore), Mode: 0o644}
			}
			c, err := newBuildContext(src, tt.dockerfile)
			if err != nil {
				t.Fatal(err)
			}
			var b, again bytes.Buffer
			if err := errors.Join(c.write(t.Context(), &b), c.write(t.Context(), &again)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), again.Bytes()) {
				t.Error("the same files gave other bytes")
			}
			var names []string
			for r := tar.NewReader(&b); ; {
				h, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				names = append(names, h.Name)
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	if _, err := newBuildContext(src, "Missing"); err == nil {
		t.Error("a missing Dockerfile is no error")
	}
	src[".dockerignore"] = &fstest.MapFile{Data: []byte("ok\n[a-"), Mode: 0o644}
	if _, err := newBuildContext(src, "Dockerfile"); err == nil || !strings.Contains(err.Error(), ".dockerignore: line 2") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseIgnore(f *testing.F) {
	f.Add("*.md\n!README.md", "docs/README.md")
	f.Add("**/x\n/a//b/..", "a")
	f.Fuzz(func(t *testing.T, text, name string) {
		l, err := parseIgnore(text)
		if err != nil {
			return
		}
		l.excludes(name)
		l.mayReturn(name)
	})
}
