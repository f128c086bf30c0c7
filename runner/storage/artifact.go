package storage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// ArtifactOptions say how an artifact is stored.
type ArtifactOptions struct {
	// Job that stores it, for the record.
	Job string
	// Level of compression, 0 to 9. [Artifacts.Save] alone looks at it.
	Level int
	// Retention is how long to keep it, at most MaxRetention; 0: DefaultRetention.
	Retention time.Duration
	// Overwrite replaces an artifact of the same name; it gets a new ID.
	Overwrite bool
	// Raw is the file's name for an artifact that is stored as it is, not as an archive.
	Raw string
	// SHA256, where set, is what the content must have.
	SHA256 string
	// Files is the number of files in the archive, where known.
	Files int
}

// Upload is an artifact in the making. It is not visible until Commit. It must be ended by Commit or Abort.
type Upload struct {
	store   *Artifacts
	run     string
	name    string
	o       ArtifactOptions
	staging *staging
}

// Create begins an artifact. It returns [ErrArtifactExists] at once where that can be told already.
func (s *Artifacts) Create(run, name string, o ArtifactOptions) (*Upload, error) {
	if err := CheckArtifactName(name); err != nil {
		return nil, err
	}
	if run == "" {
		return nil, errors.New("an artifact needs a run")
	}
	if o.Retention < 0 {
		return nil, fmt.Errorf("artifact %q: the retention is negative", name)
	}
	dir := s.RunDir(run)
	if !o.Overwrite {
		if _, err := os.Lstat(filepath.Join(dir, fileName(name))); err == nil {
			return nil, fmt.Errorf("%w: %q", ErrArtifactExists, name)
		}
	}
	s.sweep.Do(s.Sweep)
	sweepStaging(dir)
	st, err := stagingIn(dir)
	if err != nil {
		return nil, fmt.Errorf("store artifact %q: %w", name, err)
	}
	return &Upload{store: s, run: run, name: name, o: o, staging: st}, nil
}

func (u *Upload) fileName() string {
	if u.o.Raw != "" {
		return fileName(u.o.Raw)
	}
	return fileName(u.name) + ".zip"
}

// Path is where the content is to be written.
func (u *Upload) Path() string { return filepath.Join(u.staging.dir, u.fileName()) }

// Dir is a folder for parts of the content; what else than Path is in it at Commit is removed.
func (u *Upload) Dir() string { return u.staging.dir }

// Abort ends the upload without a trace. After Commit it does nothing.
func (u *Upload) Abort() {
	if u.staging != nil {
		u.staging.remove()
		u.staging = nil
	}
}

// Commit makes the artifact visible, as a whole. It returns [ErrArtifactExists] where another one was faster.
func (u *Upload) Commit() (Artifact, error) {
	defer u.Abort()
	entries, err := os.ReadDir(u.staging.dir)
	if err != nil {
		return Artifact{}, err
	}
	for _, e := range entries {
		if e.Name() != u.fileName() {
			os.RemoveAll(filepath.Join(u.staging.dir, e.Name()))
		}
	}
	size, digest, err := digestFile(u.Path())
	if err != nil {
		return Artifact{}, fmt.Errorf("store artifact %q: %w", u.name, err)
	}
	if u.o.SHA256 != "" && u.o.SHA256 != digest {
		return Artifact{}, fmt.Errorf("store artifact %q: its SHA-256 is %s, not %s as announced", u.name, digest, u.o.SHA256)
	}
	now := u.store.now().UTC()
	keep := u.o.Retention
	if keep == 0 {
		keep = DefaultRetention
	}
	a := Artifact{
		ID: newID(now), Run: u.run, Job: u.o.Job, Name: u.name, File: u.fileName(), Zip: u.o.Raw == "", Files: u.o.Files,
		Size: size, SHA256: digest, Created: now, Expires: now.Add(min(keep, MaxRetention)),
	}
	if err := writeJSON(filepath.Join(u.staging.dir, artifactFile), a); err != nil {
		return Artifact{}, fmt.Errorf("store artifact %q: %w", u.name, err)
	}
	target := filepath.Join(u.store.RunDir(u.run), fileName(u.name))
	for {
		err := u.staging.place(target)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return Artifact{}, fmt.Errorf("store artifact %q: %w", u.name, err)
		}
		if !u.o.Overwrite {
			return Artifact{}, fmt.Errorf("%w: %q", ErrArtifactExists, u.name)
		}
		if err := discard(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Artifact{}, fmt.Errorf("replace artifact %q: %w", u.name, err)
		}
	}
	a.path = filepath.Join(target, a.File)
	return a, nil
}

const artifactFile = "artifact.json"

// Save packs files as an artifact.
func (s *Artifacts) Save(ctx context.Context, run, name string, files []File, o ArtifactOptions) (Artifact, error) {
	if o.Raw != "" && len(files) != 1 {
		return Artifact{}, fmt.Errorf("artifact %q: %d files cannot be stored without an archive, only a single one", name, len(files))
	}
	if o.Level < 0 || o.Level > 9 {
		return Artifact{}, fmt.Errorf("artifact %q: the compression level is %d, it must be 0 to 9", name, o.Level)
	}
	o.Files = len(files)
	u, err := s.Create(run, name, o)
	if err != nil {
		return Artifact{}, err
	}
	defer u.Abort()
	f, err := os.OpenFile(u.Path(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return Artifact{}, fmt.Errorf("store artifact %q: %w", name, err)
	}
	if o.Raw != "" {
		err = copyFile(ctx, f, files[0].Path)
	} else {
		err = writeZip(ctx, f, files, o.Level)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return Artifact{}, fmt.Errorf("store artifact %q: %w", name, err)
	}
	return u.Commit()
}

// List returns the artifacts of a run that have not expired, by name. A run without any is no error.
func (s *Artifacts) List(run string) ([]Artifact, error) {
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
	all, err := s.List(run)
	return slices.DeleteFunc(all, func(a Artifact) bool { ok, _ := doublestar.Match(pattern, a.Name); return !ok }), err
}

// Get returns an artifact by name; fs.ErrNotExist where there is none or it has expired.
func (s *Artifacts) Get(run, name string) (Artifact, error) {
	a, err := s.read(filepath.Join(s.RunDir(run), fileName(name)))
	if err == nil && !s.now().Before(a.Expires) {
		err = fmt.Errorf("artifact %q has expired: %w", name, fs.ErrNotExist)
	}
	return a, err
}

// Delete removes an artifact; fs.ErrNotExist where there is none.
func (s *Artifacts) Delete(run, name string) error {
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

func copyFile(ctx context.Context, w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, contextReader{ctx, f})
	return err
}

func digestFile(path string) (size int64, digest string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return size, hex.EncodeToString(h.Sum(nil)), err
}

func digestOf(s string) string {
	d := sha256.Sum256([]byte(s))
	return hex.EncodeToString(d[:])
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

var lastID struct {
	sync.Mutex
	id int64
}

// newID returns a number by the clock in microseconds: growing within a process, below 2^53 for the next two centuries.
// Two processes meet only in the same microsecond, and IDs are looked for within one run, which is one process's.
func newID(now time.Time) int64 {
	lastID.Lock()
	defer lastID.Unlock()
	lastID.id = max(now.UnixMicro(), lastID.id+1)
	return lastID.id
}
