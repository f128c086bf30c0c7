package storage

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Compression is the name of a compression as the vendor's cache package counts it into a version.
type Compression string

// The compressions that cache archives have.
const (
	Zstd Compression = "zstd-without-long"
	Gzip Compression = "gzip"
)

// CacheVersion returns the version that the vendor's cache package gives to an archive of these paths, as the workflow
// writes them: entries of the built-in action and of JavaScript actions are the same then
// (https://github.com/actions/toolkit/tree/main/packages/cache, on a system other than Windows).
func CacheVersion(paths []string, c Compression) string {
	return digestOf(strings.Join(append(append([]string{}, paths...), string(c), "1.0"), "|"))
}

// PackItem is a file or folder to pack, with all that is in it.
type PackItem struct {
	// Name in the archive: relative to the work folder, or absolute for what lies elsewhere.
	Name string
	// Path on the host.
	Path string
}

// Pack writes items as a compressed tar: files, folders, symbolic links as such, modes and times; owners are not kept. What is
// neither (sockets, devices) is left out, and files that vanish meanwhile are too.
func Pack(ctx context.Context, w io.Writer, items []PackItem, c Compression) error {
	buffered := bufio.NewWriterSize(w, 256<<10)
	compressed, err := compressor(buffered, c)
	if err != nil {
		return err
	}
	t := tar.NewWriter(compressed)
	p := &packer{ctx: ctx, tar: t, seen: map[string]bool{}, buf: make([]byte, 256<<10)}
	for _, item := range items {
		if err := p.add(item.Name, item.Path); err != nil {
			compressed.Close()
			return err
		}
	}
	return errors.Join(t.Close(), compressed.Close(), buffered.Flush())
}

func compressor(w io.Writer, c Compression) (io.WriteCloser, error) {
	switch c {
	case Zstd:
		return zstd.NewWriter(w)
	case Gzip:
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	}
	return nil, fmt.Errorf("compression %q is not known", c)
}

type packer struct {
	ctx  context.Context
	tar  *tar.Writer
	seen map[string]bool
	buf  []byte
}

func (p *packer) add(name, file string) error {
	if err := context.Cause(p.ctx); err != nil {
		return err
	}
	if p.seen[name] {
		return nil
	}
	info, err := os.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	p.seen[name] = true
	switch {
	case info.IsDir():
		return p.addDir(name, file, info)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(file)
		if err != nil {
			return err
		}
		return p.header(name, target, info)
	case info.Mode().IsRegular():
		return p.addFile(name, file)
	}
	return nil
}

func (p *packer) addDir(name, dir string, info fs.FileInfo) error {
	if err := p.header(name+"/", "", info); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := p.add(path.Join(name, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) addFile(name, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := p.header(name, "", info); err != nil {
		return err
	}
	// A file that grows meanwhile is cut to the size announced; one that shrinks makes the archive unreadable: an error.
	n, err := io.CopyBuffer(p.tar, io.LimitReader(contextReader{p.ctx, f}, info.Size()), p.buf)
	if err == nil && n < info.Size() {
		err = fmt.Errorf("%s became shorter while it was packed", file)
	}
	return err
}

func (p *packer) header(name, link string, info fs.FileInfo) error {
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name = name
	h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
	h.Format = tar.FormatPAX
	return p.tar.WriteHeader(h)
}

// Unpack reads a tar, compressed by zstd or gzip, which it tells by the first bytes. place returns the host path for a name
// of the archive, or an empty one to leave it out; names may be absolute or begin with "..", because caches hold folders
// outside of the work folder. Existing files are replaced, folders merge.
func Unpack(ctx context.Context, r io.Reader, place func(name string) (string, error)) error {
	plain, done, err := decompress(contextReader{ctx, r})
	if err != nil {
		return err
	}
	defer done()
	u := &unpacker{place: place, tar: tar.NewReader(plain), made: map[string]bool{}, buf: make([]byte, 256<<10)}
	for {
		h, err := u.tar.Next()
		if err == io.EOF {
			return u.finish()
		}
		if err != nil {
			return err
		}
		if err := u.entry(h); err != nil {
			return err
		}
	}
}

func decompress(r io.Reader) (plain io.Reader, done func(), err error) {
	b := bufio.NewReaderSize(r, 256<<10)
	head, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		// The window that the command line tool uses at its highest levels is 128 MiB, with --long more.
		z, err := zstd.NewReader(b, zstd.WithDecoderMaxWindow(1<<30))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { z.Close() }, nil
	}
	return nil, nil, errors.New("the archive is compressed neither by zstd nor by gzip")
}

type unpacker struct {
	place func(string) (string, error)
	tar   *tar.Reader
	made  map[string]bool
	buf   []byte
	// dirs get their modes at the end, because a folder may forbid to write into it.
	dirs []func() error
}

func (u *unpacker) entry(h *tar.Header) error {
	target, err := u.place(h.Name)
	if err != nil || target == "" {
		return err
	}
	target = filepath.Clean(target)
	mode := h.FileInfo().Mode().Perm()
	if h.Typeflag == tar.TypeDir {
		if err := u.mkdir(target); err != nil {
			return err
		}
		u.dirs = append(u.dirs, func() error { return os.Chmod(target, mode) })
		return nil
	}
	if err := u.mkdir(filepath.Dir(target)); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return u.file(target, mode, h)
	case tar.TypeSymlink:
		if err := vacate(target); err != nil {
			return err
		}
		return os.Symlink(h.Linkname, target)
	case tar.TypeLink:
		source, err := u.place(h.Linkname)
		if err != nil || source == "" {
			return err
		}
		if err := vacate(target); err != nil {
			return err
		}
		return os.Link(source, target)
	}
	return nil // devices and the like cannot be in an archive of ours, and are left out
}

// mkdir makes a folder. One that is there may be a link, for example from a home folder to another disk, and is left so.
func (u *unpacker) mkdir(dir string) error {
	if u.made[dir] {
		return nil
	}
	u.made[dir] = true
	return os.MkdirAll(dir, 0o755)
}

func (u *unpacker) file(target string, mode fs.FileMode, h *tar.Header) error {
	f, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, fs.ErrExist) {
		if err := vacate(target); err != nil {
			return err
		}
		f, err = os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	}
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(onlyWriter{f}, u.tar, u.buf)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	// The times matter: tools such as Go and make compare them.
	return os.Chtimes(target, h.ModTime, h.ModTime)
}

// onlyWriter hides ReadFrom, which would not use the buffer.
type onlyWriter struct{ io.Writer }

func (u *unpacker) finish() error {
	for i := len(u.dirs) - 1; i >= 0; i-- {
		if err := u.dirs[i](); err != nil {
			return err
		}
	}
	return nil
}

// vacate removes what stands in a file's place; a folder with something in it is an error.
func vacate(target string) error {
	err := os.Remove(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// items returns what to pack of the matches of a search: each with all that is in it, relative to root where it lies there.
func items(matches []Match, root string) []PackItem {
	out := make([]PackItem, 0, len(matches))
	for _, m := range matches {
		name := filepath.ToSlash(m.Path)
		if within(root, m.Path) {
			if rel, err := filepath.Rel(root, m.Path); err == nil {
				name = filepath.ToSlash(rel)
			}
		}
		out = append(out, PackItem{Name: strings.TrimSuffix(name, "/"), Path: m.Host})
	}
	return out
}
