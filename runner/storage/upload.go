package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

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
	// fetched: it comes from the remote, and is not put there.
	fetched bool
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
	if h := u.store.remote; h != nil {
		a.ID = remoteID(a)
		if !u.fetched {
			if err := h.put(a, u.Path()); err != nil {
				return Artifact{}, fmt.Errorf("store artifact %q: %w", u.name, err)
			}
		}
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
