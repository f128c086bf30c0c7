package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/runner"
)

// view shows files of a workspace to the host: as they are where the host sees them, copied out or in where not.
type view struct {
	ws   runner.Workspace
	temp string
	n    int
	// staged are the job's paths that were unpacked on the host and have to be copied in, with where they are.
	staged []PackItem
}

func (v *view) close() {
	if v.temp != "" {
		os.RemoveAll(v.temp)
	}
}

func (v *view) tempDir() (string, error) {
	if v.temp == "" {
		dir, err := os.MkdirTemp("", "gantry-copy-")
		if err != nil {
			return "", err
		}
		v.temp = dir
	}
	v.n++
	return filepath.Join(v.temp, strconv.Itoa(v.n)), nil
}

// out returns the host path of a job's file or folder; empty where it does not exist.
func (v *view) out(ctx context.Context, file string) (string, error) {
	if host, ok := v.ws.HostPath(file); ok {
		return host, nil
	}
	dir, err := v.tempDir()
	if err != nil {
		return "", err
	}
	if err := v.ws.CopyOut(ctx, file, dir); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("copy %s out of the job: %w", file, err)
	}
	return dir, nil
}

// place returns where to unpack a job's file.
func (v *view) place(file string) (string, error) {
	if host, ok := v.ws.HostPath(file); ok {
		return host, nil
	}
	for _, s := range v.staged {
		if within(s.Name, file) {
			return filepath.Join(s.Path, strings.TrimPrefix(file, s.Name)), nil
		}
	}
	dir, err := v.tempDir()
	if err != nil {
		return "", err
	}
	v.staged = append(v.staged, PackItem{Name: file, Path: dir})
	return dir, nil
}

// in copies what was staged into the job.
func (v *view) in(ctx context.Context) error {
	for _, s := range v.staged {
		if err := v.ws.CopyIn(ctx, s.Path, s.Name); err != nil {
			return fmt.Errorf("copy %s into the job: %w", s.Name, err)
		}
	}
	return nil
}

// find searches in a job's files.
func (v *view) find(ctx context.Context, lines []string, descendants bool, o FindOptions) (Patterns, []Match, error) {
	m := v.ws.Machine()
	home := m.Home
	for _, e := range v.ws.Environ() {
		if e.Name == "HOME" {
			home = cmp.Or(home, e.Value)
		}
	}
	p, err := ParsePatterns(lines, m.Workspace, home, descendants)
	if err != nil {
		return p, nil, err
	}
	o.Host = func(root string) (string, error) { return v.out(ctx, root) }
	matches, err := p.Find(ctx, o)
	return p, matches, err
}

// UploadOptions say what to store as an artifact of a job's files.
type UploadOptions struct {
	ArtifactOptions
	// Hidden: files and folders whose names begin with a dot count too.
	Hidden bool
	// KeepPaths names files relative to the work folder; otherwise [Patterns.CommonRoot] is what they are relative to.
	KeepPaths bool
	// Unpacked stores a single file as it is; the artifact is named like the file then.
	Unpacked bool
}

// ErrNoFiles: the patterns match no file, and nothing was stored.
var ErrNoFiles = errors.New("no file matches")

// Upload stores the files of a workspace that match patterns (see [ParsePatterns]) as an artifact. It returns
// [ErrNoFiles] where there are none.
func (s *Artifacts) Upload(ctx context.Context, ws runner.Workspace, run, name string, patterns []string, o UploadOptions) (Artifact, error) {
	v := &view{ws: ws}
	defer v.close()
	p, matches, err := v.find(ctx, patterns, true, FindOptions{Hidden: o.Hidden, FollowLinks: true})
	if err != nil {
		return Artifact{}, err
	}
	if len(matches) == 0 {
		return Artifact{}, ErrNoFiles
	}
	root := p.CommonRoot(matches)
	if o.KeepPaths {
		root = ws.Machine().Workspace
		for _, m := range matches {
			if !within(root, m.Path) {
				return Artifact{}, fmt.Errorf("%s lies outside of the work folder", m.Path)
			}
		}
	}
	files, err := named(matches, root)
	if err != nil {
		return Artifact{}, err
	}
	if len(files) == 0 {
		return Artifact{}, ErrNoFiles
	}
	if o.Unpacked {
		if len(files) != 1 {
			return Artifact{}, fmt.Errorf("%d files match; only a single one can be stored without an archive", len(files))
		}
		o.Raw = filepath.Base(files[0].Name)
		name = o.Raw
	}
	return s.Save(ctx, run, name, files, o.ArtifactOptions)
}

// Download unpacks an artifact into a folder of a workspace; raw copies the stored file there instead.
func (s *Artifacts) Download(ctx context.Context, ws runner.Workspace, a Artifact, dest string, raw bool) (files int, err error) {
	v := &view{ws: ws}
	defer v.close()
	host, err := v.place(dest)
	if err != nil {
		return 0, err
	}
	if raw {
		files, err = 1, s.CopyTo(ctx, a, host)
	} else {
		files, err = s.Extract(ctx, a, host)
	}
	if err != nil {
		return files, err
	}
	return files, v.in(ctx)
}

// SaveFrom packs the files of a workspace that match paths and stores them under e's scope and key. It fills in the
// version and compression. It returns [ErrNoFiles] where nothing matches, [ErrCacheExists] where nothing is to be done.
func (c *Caches) SaveFrom(ctx context.Context, ws runner.Workspace, scope, key string, paths []string) (CacheEntry, error) {
	e := CacheEntry{Scope: scope, Key: key, Version: CacheVersion(paths, Zstd), Alias: CacheVersion(paths, Gzip), Compression: Zstd}
	if err := CheckKey(key); err != nil {
		return e, err
	}
	if c.Has(scope, key, e.Version) || c.Has(scope, key, e.Alias) {
		return e, fmt.Errorf("%w: %q", ErrCacheExists, key)
	}
	v := &view{ws: ws}
	defer v.close()
	_, matches, err := v.find(ctx, paths, false, FindOptions{Hidden: true, Directories: true})
	if err != nil {
		return e, err
	}
	if len(matches) == 0 {
		return e, ErrNoFiles
	}
	return c.Save(ctx, e, items(matches, ws.Machine().Workspace))
}

// LookupFor finds an entry for paths, whatever its compression; see [Caches.Lookup].
func (c *Caches) LookupFor(scope string, keys, paths []string) (CacheEntry, bool, error) {
	return c.Lookup(scope, keys, CacheVersion(paths, Zstd), CacheVersion(paths, Gzip))
}

// RestoreTo unpacks an entry into a workspace.
func (c *Caches) RestoreTo(ctx context.Context, ws runner.Workspace, e CacheEntry) error {
	v := &view{ws: ws}
	defer v.close()
	work := ws.Machine().Workspace
	err := c.Restore(ctx, e, func(name string) (string, error) {
		file := filepath.FromSlash(name)
		if !filepath.IsAbs(file) {
			file = filepath.Join(work, file)
		}
		return v.place(filepath.Clean(file))
	})
	if err != nil {
		return err
	}
	return v.in(ctx)
}

// Keeper serves a run's own artifacts and caches, those that the pipeline's model names.
type Keeper struct {
	Artifacts *Artifacts
	Caches    *Caches
	// Run and Scope are where artifacts and caches belong: the run's ID and the repository.
	Run, Scope string
}

var _ runner.Keeper = Keeper{}

// RestoreCache implements [runner.Keeper].
func (k Keeper) RestoreCache(ctx context.Context, ws runner.Workspace, key string, restoreKeys, paths []string) (string, error) {
	e, ok, err := k.Caches.LookupFor(k.Scope, append([]string{key}, restoreKeys...), paths)
	if err != nil || !ok {
		return "", err
	}
	if err := k.Caches.RestoreTo(ctx, ws, e); err != nil {
		return "", err
	}
	return e.Key, nil
}

// SaveCache implements [runner.Keeper]. An entry that exists stays, and paths that match nothing store nothing.
func (k Keeper) SaveCache(ctx context.Context, ws runner.Workspace, key string, paths []string) error {
	_, err := k.Caches.SaveFrom(ctx, ws, k.Scope, key, paths)
	if errors.Is(err, ErrCacheExists) || errors.Is(err, ErrNoFiles) {
		return nil
	}
	return err
}

// SaveArtifact implements [runner.Keeper]. Files keep their paths in the work folder.
func (k Keeper) SaveArtifact(ctx context.Context, ws runner.Workspace, name string, paths []string) error {
	_, err := k.Artifacts.Upload(ctx, ws, k.Run, name, paths, UploadOptions{ArtifactOptions: ArtifactOptions{Level: DefaultLevel}, Hidden: true, KeepPaths: true})
	return err
}
