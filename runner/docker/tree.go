package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// writeTree writes a tree as an archive: first the folders, which did not exist, then the tree under the name prefix.
func writeTree(ctx context.Context, to io.Writer, src fs.FS, name, prefix string, folders []string) error {
	t := tar.NewWriter(to)
	for _, f := range folders {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: f + "/", Mode: 0o755}); err != nil {
			return err
		}
	}
	err := walkTree(ctx, src, name, func(p string, info fs.FileInfo) error {
		rest, _ := below(name, p, "/")
		return writeEntry(t, src, p, path.Join(prefix, rest), info)
	})
	return errors.Join(err, t.Close())
}

// walkTree visits a tree in the order of names; the root is not followed where it is a link.
func walkTree(ctx context.Context, src fs.FS, name string, visit func(p string, info fs.FileInfo) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	info, err := fs.Lstat(src, name)
	if err != nil {
		return err
	}
	err = visit(name, info)
	if errors.Is(err, fs.SkipDir) {
		return nil
	}
	if err != nil || !info.IsDir() {
		return err
	}
	entries, err := fs.ReadDir(src, name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := walkTree(ctx, src, path.Join(name, e.Name()), visit); err != nil {
			return err
		}
	}
	return nil
}

// writeEntry writes a file, link or folder, without owner and time: they mean nothing elsewhere, and an archive of the same
// files is the same bytes.
func writeEntry(t *tar.Writer, src fs.FS, p, name string, info fs.FileInfo) error {
	h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm())}
	switch info.Mode().Type() {
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case fs.ModeSymlink:
		target, err := fs.ReadLink(src, p)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
	case 0:
		f, err := src.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		h.Typeflag, h.Size = tar.TypeReg, info.Size()
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err = io.CopyN(t, f, h.Size); errors.Is(err, io.EOF) {
			err = fmt.Errorf("%s became shorter while it was read", p)
		}
		return err
	default:
		return nil // sockets, pipes and devices mean nothing elsewhere
	}
	return t.WriteHeader(h)
}

// readTree unpacks an archive whose entries all lie at or below top, which becomes name. Nothing is written outside of dst.
func readTree(ctx context.Context, from io.Reader, top string, dst *os.Root, name string) error {
	r := tar.NewReader(from)
	type folder struct {
		path string
		mode fs.FileMode
	}
	var folders []folder
	place := func(entry string) (string, error) {
		entry = strings.TrimPrefix(path.Clean("/"+entry), "/")
		if top == "/" {
			return filepath.Join(name, filepath.FromSlash(entry)), nil
		}
		rest, ok := below(top, entry, "/")
		if !ok {
			return "", fmt.Errorf("unexpected entry %q in the archive of %q", entry, top)
		}
		return filepath.Join(name, filepath.FromSlash(rest)), nil
	}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		to, err := place(h.Name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(h.Mode).Perm()
		switch h.Typeflag {
		case tar.TypeDir:
			err = makeFolder(dst, to)
			folders = append(folders, folder{to, mode})
		case tar.TypeReg:
			err = writeFile(dst, to, r, mode)
		case tar.TypeSymlink:
			if err = clear(dst, to); err == nil {
				err = dst.Symlink(h.Linkname, to)
			}
		case tar.TypeLink:
			var old string
			if old, err = place(h.Linkname); err == nil {
				if err = clear(dst, to); err == nil {
					err = dst.Link(old, to)
				}
			}
		}
		if err != nil {
			return err
		}
	}
	for i := len(folders) - 1; i >= 0; i-- {
		if err := dst.Chmod(folders[i].path, folders[i].mode); err != nil {
			return err
		}
	}
	return nil
}
