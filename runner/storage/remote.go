package storage

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/bmatcuk/doublestar/v4"
)

// Remote keeps the artifacts of runs where jobs on other machines find them. It is safe for concurrent use. What it keeps are zip
// archives, so that whoever looks at them elsewhere needs to know nothing of how they were made.
type Remote interface {
	// Put stores a file under a name. It returns [ErrArtifactExists] where another job has stored that name.
	Put(run, name string, size int64, r io.Reader) error
	// Names lists what the run has.
	Names(run string) ([]string, error)
	// Get returns what is stored under a name; fs.ErrNotExist where nothing is.
	Get(run, name string) (io.ReadCloser, error)
}

// rawComment, as the archive's comment, marks one that was made only to carry a file that is no archive.
const rawComment = "gantry: stored without an archive"

// OpenRemoteArtifacts returns a store in a folder whose artifacts are also in r: what is committed goes there before it counts, and what
// is asked for and not in the folder comes from there. What is deleted is deleted here alone. The ID of an artifact depends on its
// content, so that it is the same on all machines.
func OpenRemoteArtifacts(dir string, r Remote) *Artifacts {
	s := OpenArtifacts(dir, nil)
	s.remote = &sharing{Remote: r, gone: map[string]bool{}}
	return s
}

// sharing is what a store knows of its remote.
type sharing struct {
	Remote

	mu sync.Mutex
	// gone are the names, by run, that were deleted here.
	gone map[string]bool
}

// remoteID is an ID that depends on nothing but the artifact, and that JavaScript can count to.
func remoteID(a Artifact) int64 {
	sum := sha256.Sum256([]byte(a.Run + "\x00" + a.Name + "\x00" + a.SHA256))
	return int64(binary.BigEndian.Uint64(sum[:8])>>12) + 1
}

// put stores a finished file at the remote.
func (h *sharing) put(a Artifact, file string) error {
	if !a.Zip {
		wrapped, err := wrapRaw(a, file)
		if err != nil {
			return err
		}
		defer os.Remove(wrapped)
		file = wrapped
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := h.Put(a.Run, a.Name, info.Size(), f); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.gone, a.Run+"\x00"+a.Name)
	return nil
}

// wrapRaw makes an archive beside nothing but the temporary folder, with the one file in it.
func wrapRaw(a Artifact, file string) (wrapped string, err error) {
	in, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.CreateTemp("", "gantry-artifact-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			os.Remove(out.Name())
		}
	}()
	z := zip.NewWriter(out)
	if err := z.SetComment(rawComment); err != nil {
		return "", err
	}
	w, err := z.Create(a.File)
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(w, in); err != nil {
		return "", err
	}
	return out.Name(), z.Close()
}

// bring has the artifacts of a run whose names match come into the folder where they are not in it.
func (s *Artifacts) bring(run, pattern string) error {
	if s.remote == nil {
		return nil
	}
	names, err := s.remote.Names(run)
	if err != nil {
		return fmt.Errorf("list the artifacts of the run: %w", err)
	}
	for _, name := range names {
		if ok, _ := doublestar.Match(pattern, name); pattern != "" && !ok {
			continue
		}
		if err := s.bringOne(run, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// bringOne has one artifact come into the folder; fs.ErrNotExist where it is nowhere.
func (s *Artifacts) bringOne(run, name string) error {
	if s.remote == nil || CheckArtifactName(name) != nil {
		return nil
	}
	s.remote.mu.Lock()
	gone := s.remote.gone[run+"\x00"+name]
	s.remote.mu.Unlock()
	if _, err := os.Lstat(filepath.Join(s.RunDir(run), fileName(name))); err == nil || gone {
		return nil
	}
	r, err := s.remote.Get(run, name)
	if err != nil {
		return fmt.Errorf("fetch the artifact %q: %w", name, err)
	}
	defer r.Close()
	temp, err := os.CreateTemp("", "gantry-artifact-")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = io.Copy(temp, r)
	if err = errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("fetch the artifact %q: %w", name, err)
	}
	return s.takeIn(run, name, temp.Name())
}

// takeIn makes an artifact of what the remote had.
func (s *Artifacts) takeIn(run, name, file string) error {
	var o ArtifactOptions
	content := func() (io.ReadCloser, error) { return os.Open(file) }
	if z, err := zip.OpenReader(file); err == nil {
		defer z.Close()
		o.Files = len(z.File)
		if z.Comment == rawComment && len(z.File) == 1 {
			o.Raw, o.Files = filepath.Base(z.File[0].Name), 0
			content = z.File[0].Open
		}
	}
	u, err := s.Create(run, name, o)
	if errors.Is(err, ErrArtifactExists) {
		return nil // another step was faster
	}
	if err != nil {
		return err
	}
	defer u.Abort()
	u.fetched = true
	r, err := content()
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.OpenFile(u.Path(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("fetch the artifact %q: %w", name, err)
	}
	if _, err := u.Commit(); err != nil && !errors.Is(err, ErrArtifactExists) {
		return err
	}
	return nil
}

// forget hides what was deleted here.
func (h *sharing) forget(run, name string) (known bool, err error) {
	names, err := h.Names(run)
	if err != nil {
		return false, err
	}
	if !slices.Contains(names, name) {
		return false, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone[run+"\x00"+name] = true
	return true, nil
}
