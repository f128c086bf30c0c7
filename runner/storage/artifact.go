package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// DefaultRetention is how long artifacts are kept where nothing is asked for; MaxRetention bounds what can be asked for. Both
// are the vendor's for public repositories.
const (
	DefaultRetention = 90 * 24 * time.Hour
	MaxRetention     = 90 * 24 * time.Hour
)

// ErrArtifactExists: the run has an artifact of that name already, and replacing it was not asked for.
var ErrArtifactExists = errors.New("an artifact with this name exists already in this run")

// Artifact is a named set of files that a run has left, stored as one file.
type Artifact struct {
	// ID is unique in the store, positive, and fits a JavaScript number.
	ID   int64  `json:"id"`
	Run  string `json:"run"`
	Job  string `json:"job,omitempty"`
	Name string `json:"name"`
	// File is the stored file's name: NAME.zip, or for an artifact that is no archive the file's own name.
	File string `json:"file"`
	// Zip: the file is an archive that [Artifacts.Extract] unpacks.
	Zip bool `json:"zip"`
	// Files counts the files in the archive; 0 where it came ready-made.
	Files int `json:"files,omitempty"`
	// Size in bytes and SHA256, in lower-case hexadecimal, of the stored file.
	Size    int64     `json:"size"`
	SHA256  string    `json:"sha256"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`

	path string
}

// Path is where the stored file is on the host.
func (a Artifact) Path() string { return a.path }

// Artifacts is a store of artifacts: DIR/RUN/NAME/{NAME.zip, artifact.json}. It is safe for concurrent use, also by
// several processes.
type Artifacts struct {
	dir   string
	now   func() time.Time
	sweep sync.Once
	// remote is where the artifacts are as well; nil: nowhere, see OpenRemoteArtifacts.
	remote *sharing
}

// OpenArtifacts returns the store in a folder, which is made when something is first stored. now is the clock; nil: time.Now.
func OpenArtifacts(dir string, now func() time.Time) *Artifacts {
	if now == nil {
		now = time.Now
	}
	return &Artifacts{dir: dir, now: now}
}

// Dir returns the folder of the store.
func (s *Artifacts) Dir() string { return s.dir }

// RunDir returns the folder that holds the artifacts of a run.
func (s *Artifacts) RunDir(run string) string { return filepath.Join(s.dir, fileName(run)) }

// List returns the artifacts of a run that have not expired, by name. A run without any is no error.
func (s *Artifacts) List(run string) ([]Artifact, error) {
	if err := s.bring(run, ""); err != nil {
		return nil, err
	}
	return s.listed(run)
}

// listed are those in the folder.
func (s *Artifacts) listed(run string) ([]Artifact, error) {
	dir := s.RunDir(run)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list artifacts: %w", err)
	}
	var out []Artifact
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		a, err := s.read(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // replaced or removed since
		}
		if err != nil {
			return nil, fmt.Errorf("list artifacts: %w", err)
		}
		if s.now().Before(a.Expires) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b Artifact) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// Find returns the artifacts of a run whose names match a pattern.
func (s *Artifacts) Find(run, pattern string) ([]Artifact, error) {
	pattern = strings.NewReplacer("**", "*").Replace(pattern)
	if !doublestar.ValidatePattern(pattern) {
		return nil, fmt.Errorf("pattern %q is not valid", pattern)
	}
	if err := s.bring(run, pattern); err != nil {
		return nil, err
	}
	all, err := s.listed(run)
	return slices.DeleteFunc(all, func(a Artifact) bool { ok, _ := doublestar.Match(pattern, a.Name); return !ok }), err
}

// Get returns an artifact by name; fs.ErrNotExist where there is none or it has expired.
func (s *Artifacts) Get(run, name string) (Artifact, error) {
	if err := s.bringOne(run, name); err != nil {
		return Artifact{}, err
	}
	a, err := s.read(filepath.Join(s.RunDir(run), fileName(name)))
	if err == nil && !s.now().Before(a.Expires) {
		err = fmt.Errorf("artifact %q has expired: %w", name, fs.ErrNotExist)
	}
	return a, err
}

// Delete removes an artifact; fs.ErrNotExist where there is none.
func (s *Artifacts) Delete(run, name string) error {
	if s.remote != nil {
		known, err := s.remote.forget(run, name)
		if err != nil {
			return fmt.Errorf("delete artifact %q: %w", name, err)
		}
		if err := discard(filepath.Join(s.RunDir(run), fileName(name))); !known || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return discard(filepath.Join(s.RunDir(run), fileName(name)))
}

// Verify returns ErrDigest where the stored file is not what it was when it was stored.
func (a Artifact) Verify() error {
	_, digest, err := digestFile(a.path)
	if err != nil {
		return fmt.Errorf("verify artifact %q: %w", a.Name, err)
	}
	if digest != a.SHA256 {
		return ErrDigest
	}
	return nil
}

// Extract unpacks an artifact into a folder, which is made; one that is no archive is copied there under its own name. It
// returns how many files the artifact has.
func (s *Artifacts) Extract(ctx context.Context, a Artifact, dest string) (files int, err error) {
	if !a.Zip {
		return 1, s.CopyTo(ctx, a, dest)
	}
	files, err = extractZip(ctx, a.path, dest)
	if err != nil {
		return files, fmt.Errorf("extract artifact %q: %w", a.Name, err)
	}
	return files, nil
}

// Merge stores the files of artifacts as a new one: all together, where later ones win, or each in a folder by its name.
func (s *Artifacts) Merge(ctx context.Context, run, name string, parts []Artifact, separate bool, o UploadOptions) (Artifact, error) {
	dir, err := os.MkdirTemp("", "gantry-merge-")
	if err != nil {
		return Artifact{}, err
	}
	defer os.RemoveAll(dir)
	for _, p := range parts {
		to := dir
		if separate {
			to = filepath.Join(dir, fileName(p.Name))
		}
		if _, err := s.Extract(ctx, p, to); err != nil {
			return Artifact{}, err
		}
	}
	all, err := ParsePatterns([]string{escapeGlob(dir)}, dir, "", true)
	if err != nil {
		return Artifact{}, err
	}
	matches, err := all.Find(ctx, FindOptions{Hidden: o.Hidden})
	if err != nil {
		return Artifact{}, err
	}
	files, err := named(matches, dir)
	if err != nil {
		return Artifact{}, err
	}
	return s.Save(ctx, run, name, files, o.ArtifactOptions)
}

// ErrDigest: a stored file is not what it was when it was stored.
var ErrDigest = errors.New("the stored file's SHA-256 is not the recorded one")

// CopyTo copies the stored file into a folder, which is made, without unpacking it.
func (s *Artifacts) CopyTo(ctx context.Context, a Artifact, dest string) error {
	if err := os.MkdirAll(dest, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dest)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(a.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(a.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(copyFile(ctx, f, a.path), f.Close())
}

// Sweep removes the artifacts that have expired, and what killed processes have left. Creating an artifact does it, once.
func (s *Artifacts) Sweep() {
	runs, _ := os.ReadDir(s.dir)
	for _, run := range runs {
		dir := filepath.Join(s.dir, run.Name())
		if !run.IsDir() {
			continue
		}
		sweepStaging(dir)
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if a, err := s.read(filepath.Join(dir, e.Name())); err == nil && !s.now().Before(a.Expires) {
				discard(filepath.Join(dir, e.Name()))
			}
		}
		// Only an empty folder goes. A fresh one may be about to be used; its user makes it again then.
		if len(entries) > 0 {
			os.Remove(dir)
		}
	}
}

func (s *Artifacts) read(dir string) (Artifact, error) {
	var a Artifact
	if err := readJSON(filepath.Join(dir, artifactFile), &a); err != nil {
		return a, err
	}
	if a.File == "" || a.File != filepath.Base(a.File) {
		return a, fmt.Errorf("%s: the file's name %q is not valid", filepath.Join(dir, artifactFile), a.File)
	}
	a.path = filepath.Join(dir, a.File)
	return a, nil
}
