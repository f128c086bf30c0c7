package bundle

import (
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
	"runtime"
	"slices"
	"strings"
)

// ErrChanged: a bundle is not what it was when it was unpacked.
var ErrChanged = errors.New("the bundle was changed")

// readOnlyStays: a file that is read-only cannot be removed on this system.
const readOnlyStays = runtime.GOOS == "windows"

const (
	summaryFile  = "bundle.json"
	manifestFile = "manifest.json"
	version      = 1
)

// summary is what is known of a bundle without reading its manifest.
type summary struct {
	Version  int    `json:"version"`
	Digest   string `json:"digest"`
	Format   string `json:"format"`
	Packed   int64  `json:"packed"`
	Bytes    int64  `json:"bytes"`
	Entries  int    `json:"entries"`
	Manifest string `json:"manifest"` // SHA-256 of the manifest, in hexadecimal
}

func (s summary) bundle(dir string) Bundle {
	return Bundle{Digest: s.Digest, Dir: filepath.Join(dir, filesDir), Format: s.Format, Packed: s.Packed, Bytes: s.Bytes, Entries: s.Entries}
}

func writeManifest(dir string, b Bundle, entries []Entry) error {
	manifest, err := json.Marshal(entries)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(manifest)
	head, err := json.Marshal(summary{version, b.Digest, b.Format, b.Packed, b.Bytes, b.Entries, hex.EncodeToString(hash[:])})
	if err != nil {
		return err
	}
	return errors.Join(writeSynced(filepath.Join(dir, manifestFile), manifest), writeSynced(filepath.Join(dir, summaryFile), head))
}

func writeSynced(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func readSummary(dir string) (summary, error) {
	var s summary
	data, err := os.ReadFile(filepath.Join(dir, summaryFile))
	if err != nil {
		// A folder without a record is nothing that Put has made: to say that it is not there would have it made again, and fail.
		if _, statErr := os.Stat(dir); statErr == nil && errors.Is(err, fs.ErrNotExist) {
			return s, fmt.Errorf("%w: its record is missing", ErrChanged)
		}
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%w: its record cannot be read: %w", ErrChanged, err)
	}
	if s.Version != version {
		return s, fmt.Errorf("its record is of version %d; this program knows %d", s.Version, version)
	}
	return s, nil
}

// maxFindings bounds how many differences Verify tells.
const maxFindings = 20

// Verify compares what is on disk with what was unpacked: names, kinds, modes, sizes and contents. It returns an error that is
// [ErrChanged] and names the differences, up to 20 of them; fs.ErrNotExist where there is no such bundle.
func (s *Store) Verify(ctx context.Context, digest string) error {
	digest, err := ParseDigest(digest)
	if err != nil {
		return err
	}
	dir := filepath.Join(s.dir, folderOf(digest))
	sum, err := readSummary(dir)
	if err != nil {
		return fmt.Errorf("verify %s: %w", digest, err)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return fmt.Errorf("verify %s: %w", digest, err)
	}
	if hash := sha256.Sum256(manifest); hex.EncodeToString(hash[:]) != sum.Manifest || sum.Digest != digest {
		return fmt.Errorf("verify %s: %w: its manifest is another one", digest, ErrChanged)
	}
	var entries []Entry
	if err := json.Unmarshal(manifest, &entries); err != nil {
		return fmt.Errorf("verify %s: %w: %w", digest, ErrChanged, err)
	}
	found, err := compare(ctx, filepath.Join(dir, filesDir), entries)
	if err != nil {
		return fmt.Errorf("verify %s: %w", digest, err)
	}
	if len(found) > 0 {
		return fmt.Errorf("verify %s: %w: %s", digest, ErrChanged, strings.Join(found, "; "))
	}
	return nil
}

// compare returns the differences between a folder and a manifest in words.
func compare(ctx context.Context, dir string, entries []Entry) (found []string, err error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{"its files are missing"}, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	known := map[string]bool{".": true}
	for _, e := range entries {
		known[e.Path] = true
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		difference, err := compareEntry(ctx, root, e)
		if err != nil {
			return nil, err
		}
		if difference != "" {
			found = append(found, fmt.Sprintf("%s %s", e.Path, difference))
		}
	}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !known[name] {
			found = append(found, name+" was added")
		}
		return context.Cause(ctx)
	})
	slices.Sort(found)
	if len(found) > maxFindings {
		found = append(found[:maxFindings], fmt.Sprintf("and %d more", len(found)-maxFindings))
	}
	return found, err
}

func compareEntry(ctx context.Context, root *os.Root, e Entry) (difference string, err error) {
	name := filepath.FromSlash(e.Path)
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "is missing", nil
	}
	if err != nil {
		return "cannot be looked at: " + err.Error(), nil // a folder above it may be a link now
	}
	want := modeDir | fs.ModeDir
	switch e.Kind {
	case kindLink:
		target, err := root.Readlink(name)
		if err != nil || filepath.ToSlash(target) != e.Target {
			return "is no longer a link to " + e.Target, nil
		}
		return "", nil
	case kindFile:
		want = modeOf(e.Exec)
	}
	switch {
	case info.Mode().Type() != want.Type():
		return "is no longer a " + e.Kind, nil
	case runtime.GOOS != "windows" && info.Mode() != want:
		return fmt.Sprintf("has the mode %v instead of %v", info.Mode(), want), nil
	case e.Kind == kindDir:
		return "", nil
	case info.Size() != e.Size:
		return fmt.Sprintf("has %d bytes instead of %d", info.Size(), e.Size), nil
	}
	f, err := root.Open(name)
	if err != nil {
		return "cannot be read: " + err.Error(), nil
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, &cancelReader{ctx, f}); err != nil {
		return "", err
	}
	if hex.EncodeToString(hash.Sum(nil)) != e.SHA256 {
		return "has another content", nil
	}
	return "", nil
}
