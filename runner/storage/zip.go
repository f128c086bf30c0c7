package storage

import (
	"archive/zip"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	kflate "github.com/klauspost/compress/flate"
)

// DefaultLevel is the compression that artifacts get where nothing is asked for, as the vendor's.
const DefaultLevel = 6

// File is a file to pack: its name in the archive, with forward slashes, and its path on the host.
type File struct{ Name, Path string }

// writeZip packs files, with their content as it is when links are followed. level is 0 (store) to 9 (smallest). Names
// are checked by [CheckFileName]. Modes are not kept, as the vendor's artifacts do not keep them.
func writeZip(ctx context.Context, w io.Writer, files []File, level int) error {
	z := zip.NewWriter(w)
	// A compressor is a megabyte of tables: one serves all files, which are packed one after another.
	var deflate *kflate.Writer
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		if deflate != nil {
			deflate.Reset(w)
			return deflate, nil
		}
		var err error
		deflate, err = kflate.NewWriter(w, level)
		return deflate, err
	})
	for _, f := range files {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := addToZip(ctx, z, f, level); err != nil {
			return err
		}
	}
	return z.Close()
}

func addToZip(ctx context.Context, z *zip.Writer, f File, level int) error {
	in, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", f.Path)
	}
	h := &zip.FileHeader{Name: f.Name, Method: zip.Deflate, Modified: info.ModTime()}
	if level == flate.NoCompression {
		h.Method = zip.Store
	}
	h.SetMode(0o644)
	out, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, contextReader{ctx, in})
	return err
}

// extractZip unpacks a zip file into a folder, which is made. Files that are there are replaced. A name that leads out of
// the folder, also by a link, is an error.
func extractZip(ctx context.Context, archive, dest string) (files int, err error) {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return 0, err
	}
	defer z.Close()
	if err := os.MkdirAll(dest, 0o755); err != nil {
		return 0, err
	}
	root, err := os.OpenRoot(dest)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	for _, f := range z.File {
		if err := context.Cause(ctx); err != nil {
			return files, err
		}
		name := filepath.FromSlash(f.Name)
		if strings.HasSuffix(f.Name, "/") {
			if err := root.MkdirAll(filepath.Clean(name), 0o755); err != nil {
				return files, err
			}
			continue
		}
		if !filepath.IsLocal(name) {
			return files, fmt.Errorf("the archive's file %q leads out of the folder", f.Name)
		}
		if err := extractFile(ctx, root, name, f); err != nil {
			return files, err
		}
		files++
	}
	return files, nil
}

func extractFile(ctx context.Context, root *os.Root, name string, f *zip.File) error {
	if dir := filepath.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	// A new file instead of the old one's content: the old one may be a link, or run.
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	mode := fs.FileMode(0o644)
	if f.Mode()&0o111 != 0 {
		mode = 0o755
	}
	out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, contextReader{ctx, in})
	return errors.Join(err, out.Close())
}

// contextReader ends a long copy when the context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

const badInName = "\":<>|*?\r\n"

// CheckArtifactName returns an error for a name that the vendor refuses.
func CheckArtifactName(name string) error {
	switch name {
	case "":
		return errors.New("an artifact needs a name")
	case ".", "..":
		return fmt.Errorf("artifact name %q would be another folder where it is downloaded", name)
	}
	if i := strings.IndexAny(name, badInName+`\/`); i >= 0 {
		return fmt.Errorf(`artifact name %q has the character %q; none of " : < > | * ? \ / nor line ends are allowed`, name, name[i])
	}
	return nil
}

// CheckFileName returns an error for the name of a file that the vendor refuses in an artifact, because not every file
// system could hold it.
func CheckFileName(name string) error {
	if i := strings.IndexAny(name, badInName); i >= 0 {
		return fmt.Errorf(`path %q has the character %q; none of " : < > | * ? nor line ends are allowed in an artifact`, name, name[i])
	}
	return nil
}

// named gives files their names in an archive: relative to root.
func named(matches []Match, root string) ([]File, error) {
	out := make([]File, 0, len(matches))
	for _, m := range matches {
		if !m.Info.Mode().IsRegular() {
			continue // a socket, a pipe: nothing that can be stored
		}
		rel, err := filepath.Rel(root, m.Path)
		if err != nil {
			return nil, err
		}
		name := filepath.ToSlash(rel)
		if err := CheckFileName(name); err != nil {
			return nil, err
		}
		out = append(out, File{name, m.Host})
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b File) bool { return a.Name == b.Name }), nil
}
