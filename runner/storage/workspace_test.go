package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// place is a workspace that is a folder of the host.
type place struct {
	runner.Workspace // panics where a test needs more
	dir, home        string
	hidden           bool
}

func (p place) Machine() pipeline.Machine        { return pipeline.Machine{Workspace: p.dir} }
func (p place) Environ() []pipeline.EnvVar       { return []pipeline.EnvVar{{Name: "HOME", Value: p.home}} }
func (p place) HostPath(f string) (string, bool) { return f, !p.hidden }

func (p place) CopyOut(_ context.Context, file, host string) error { return copyTree(file, host) }
func (p place) CopyIn(_ context.Context, host, file string) error  { return copyTree(host, file) }

func copyTree(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, b, info.Mode().Perm()))
	}
	return filepath.WalkDir(from, func(f string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(from, f)
		if err != nil || d.IsDir() {
			return errors.Join(err, os.MkdirAll(filepath.Join(to, rel), 0o755))
		}
		return copyTree(f, filepath.Join(to, rel))
	})
}

func TestKeeper(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		k := Keeper{Artifacts: OpenArtifacts(t.TempDir(), nil), Caches: OpenCaches(t.TempDir(), 0, nil), Run: "1", Scope: "acme/app"}
		one := place{dir: tree(t, "dist/a", "dist/.b", "x.log"), home: tree(t, ".cache/m"), hidden: hidden}
		if err := k.SaveArtifact(t.Context(), one, "all", []string{"dist", "*.log"}); err != nil {
			t.Fatal(err)
		}
		if err := k.SaveArtifact(t.Context(), one, "none", []string{"nothing"}); !errors.Is(err, ErrNoFiles) {
			t.Errorf("no files: %v", err)
		}
		if err := k.SaveArtifact(t.Context(), one, "out", []string{"~/.cache"}); err == nil {
			t.Error("files outside of the work folder were stored")
		}
		a, err := k.Artifacts.Get("1", "all")
		if err != nil {
			t.Fatal(err)
		}
		two := place{dir: tree(t), home: tree(t), hidden: hidden}
		if _, err := k.Artifacts.Download(t.Context(), two, a, filepath.Join(two.dir, "in"), false); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"in/dist/.b", "in/dist/a", "in/x.log"}, listFiles(t, two.dir)); d != "" {
			t.Error(d)
		}

		paths := []string{"dist", "~/.cache"}
		if hit, err := k.RestoreCache(t.Context(), two, "k-1", []string{"k-"}, paths); hit != "" || err != nil {
			t.Errorf("%q, %v", hit, err)
		}
		for range 2 { // the second time it is there already
			if err := k.SaveCache(t.Context(), one, "k-1", paths); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.SaveCache(t.Context(), one, "empty", []string{"nothing"}); err != nil {
			t.Error(err)
		}
		os.RemoveAll(filepath.Join(one.home, ".cache"))
		hit, err := k.RestoreCache(t.Context(), two, "k-2", []string{"k-"}, paths)
		if hit != "k-1" || err != nil {
			t.Errorf("%q, %v", hit, err)
		}
		if _, err := os.Stat(filepath.Join(two.dir, "dist/.b")); err != nil {
			t.Error(err)
		}
		// What lies outside of the work folder goes back to where it was.
		if _, err := os.Stat(filepath.Join(one.home, ".cache/m")); err != nil {
			t.Error(err)
		}
	}
}
