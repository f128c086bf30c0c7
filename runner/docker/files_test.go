package docker

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

// Files in mounted folders and in the container's own filesystem behave alike.
func TestFiles(t *testing.T) {
	e := needEngine(t, Options{})
	ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageShell}))
	for _, base := range []string{"/__w/demo/demo", "/opt/own"} {
		t.Run(base, func(t *testing.T) {
			ctx := t.Context()
			if err := ws.WriteFile(ctx, base+"/a/b/c.txt", []byte("one"), 0o640); err != nil {
				t.Fatal(err)
			}
			if err := ws.WriteFile(ctx, base+"/a/b/run", []byte("#!/bin/sh\necho ran\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			if out, _ := sh(t, ws, "cd "+base+"/a/b; cat c.txt; stat -c ' %a' c.txt; ./run; ln -s c.txt link; ln -s /etc/passwd out; ln -s nowhere broken"); out != "one 640\nran\n" {
				t.Errorf("got %q", out)
			}
			for p, want := range map[string]string{"c.txt": "one", "link": "one", "out": "root:"} {
				if b, err := ws.ReadFile(ctx, base+"/a/b/"+p, 1000); err != nil || !strings.HasPrefix(string(b), want) {
					t.Errorf("%s: %q, %v", p, b, err)
				}
			}
			if b, err := ws.ReadFile(ctx, base+"/a/b/out", 1000); strings.Contains(string(b), "/bin/sh") != true {
				t.Errorf("a link out of the folder leads to the container's file, got %q, %v", b, err)
			}
			for _, p := range []string{"/missing", "/a/missing/x", "/a/b/broken"} {
				if _, err := ws.ReadFile(ctx, base+p, 10); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %v", p, err)
				}
			}
			if _, err := ws.ReadFile(ctx, base+"/a/b/c.txt", 2); err == nil || !strings.Contains(err.Error(), "too large") {
				t.Errorf("limit: %v", err)
			}
			if _, err := ws.ReadFile(ctx, base+"/a/b", 10); err == nil {
				t.Error("a folder was read")
			}
			if err := ws.WriteFile(ctx, base+"/a/b/c.txt/d", nil, 0o644); err == nil {
				t.Error("a file was a folder")
			}

			host := t.TempDir()
			if err := ws.CopyOut(ctx, base+"/a", filepath.Join(host, "deep", "copy")); err != nil {
				t.Fatal(err)
			}
			if target, err := os.Readlink(filepath.Join(host, "deep/copy/b/link")); target != "c.txt" || err != nil {
				t.Errorf("link %q, %v", target, err)
			}
			if info, err := os.Stat(filepath.Join(host, "deep/copy/b/run")); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("mode: %v %v", info, err)
			}
			if err := os.WriteFile(filepath.Join(host, "deep/copy/b/c.txt"), []byte("two"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := ws.WriteFile(ctx, base+"/new/copy/kept", []byte("k"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := ws.CopyIn(ctx, filepath.Join(host, "deep/copy"), base+"/new/copy"); err != nil {
				t.Fatal(err)
			}
			if out, _ := sh(t, ws, "cd "+base+"/new/copy; cat kept b/link; readlink b/link; stat -c %a b/c.txt b/run"); out != "ktwoc.txt\n640\n755\n" {
				t.Errorf("got %q", out)
			}
			if err := ws.CopyIn(ctx, filepath.Join(host, "deep/copy/b/c.txt"), base+"/one/more/file"); err != nil {
				t.Fatal(err)
			}
			if err := ws.CopyOut(ctx, base+"/one/more/file", filepath.Join(host, "file")); err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(filepath.Join(host, "file")); string(b) != "two" || err != nil {
				t.Errorf("got %q, %v", b, err)
			}
			if err := ws.CopyOut(ctx, base+"/nothing", filepath.Join(host, "nothing")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v", err)
			}
			if err := ws.CopyIn(ctx, filepath.Join(host, "nothing"), base+"/nothing"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLookPath(t *testing.T) {
	e := needEngine(t, Options{})
	ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageShell}))
	for program, want := range map[string]string{"sh": "/bin/sh", "ls": "/bin/ls", "node": ""} {
		if got, ok := ws.LookPath(t.Context(), program, "/nowhere:/etc:/bin"); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", program, got, ok)
		}
	}
	sh(t, ws, "mkdir -p tools; echo 'echo new' >tools/node; chmod +x tools/node")
	if got, ok := ws.LookPath(t.Context(), "node", "/bin:/__w/demo/demo/tools"); !ok || got != "/__w/demo/demo/tools/node" {
		t.Errorf("after it was installed: %q, %v", got, ok)
	}
}
