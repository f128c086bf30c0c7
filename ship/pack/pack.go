// Package pack writes the files of a zip archive as a tar archive that depends on their names, contents and kinds alone: entries by name, no times, no
// owners, and a file is executable where the archive says so or its first bytes do. So the same files are the same bytes, whenever and wherever they
// were built.
//
// What no agent would take, and what is hostile, is refused with the entry. It writes no file and knows nothing of releases.
package pack

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of an artifact, the same as an agent's: what it would refuse is refused here, where somebody looks.
const (
	maxEntries   = 200_000
	maxUnpacked  = 8 << 30 // bytes
	maxRatio     = 100     // how many times larger than the archive its files may be, beyond freeRatio
	freeRatio    = 64 << 20
	maxPath      = 4095
	maxComponent = 255
	maxDepth     = 200
)

// entry is a file, a folder or a link of an archive.
type entry struct {
	name   string
	file   *zip.File
	folder bool
	link   bool
}

// ErrRefused: the archive itself is at fault. The same one will be refused again.
var ErrRefused = errors.New("the archive cannot be taken")

// Archive is a zip archive whose directory was read.
type Archive struct {
	entries []entry
	budget  int64
}

// IsZip looks at the first bytes, of which it needs 4.
func IsZip(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06"))
}

// Open reads an archive's directory; size is that of the archive in bytes. Errors that are [ErrRefused] are the archive's fault, others the reader's.
func Open(r io.ReaderAt, size int64) (*Archive, error) {
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("%w: as a zip archive it is broken: %v", ErrRefused, err)
	}
	if len(z.File) > maxEntries {
		return nil, fmt.Errorf("%w: it has more than %d entries", ErrRefused, maxEntries)
	}
	p := &Archive{budget: min(maxUnpacked, max(freeRatio, size*maxRatio))}
	kinds := map[string]bool{} // whether a name is a folder
	for _, f := range z.File {
		e, err := newEntry(f)
		if err != nil {
			return nil, fmt.Errorf("%w: the entry %.200q %v", ErrRefused, f.Name, err)
		}
		if folder, twice := kinds[e.name]; twice && !(folder && e.folder) {
			return nil, fmt.Errorf("%w: the entry %.200q is there twice", ErrRefused, f.Name)
		} else if twice {
			continue
		}
		kinds[e.name] = e.folder
		p.entries = append(p.entries, e)
	}
	parents := map[string]bool{}
	for _, e := range p.entries {
		for dir := path.Dir(e.name); dir != "."; dir = path.Dir(dir) {
			if folder, ok := kinds[dir]; ok && !folder {
				return nil, fmt.Errorf("%w: the entry %.200q lies below one that is no folder", ErrRefused, e.name)
			}
			parents[dir] = true
		}
	}
	// A folder that something lies in need not be told: whether an archive has entries for those depends on what has made it.
	p.entries = slices.DeleteFunc(p.entries, func(e entry) bool { return e.folder && parents[e.name] })
	slices.SortFunc(p.entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	if len(p.entries) == 0 {
		return nil, fmt.Errorf("%w: there is nothing in it", ErrRefused)
	}
	return p, nil
}

// newEntry checks an entry's name and kind; the error is what the entry is or has.
func newEntry(f *zip.File) (entry, error) {
	e := entry{file: f, name: strings.TrimSuffix(f.Name, "/")}
	mode := f.Mode()
	switch {
	case e.name == "" || !utf8.ValidString(f.Name) || strings.ContainsAny(f.Name, "\x00\\"):
		return e, errors.New("has no usable name")
	case !fs.ValidPath(e.name) || e.name == ".":
		return e, errors.New("has a name that leads elsewhere")
	case len(e.name) > maxPath || strings.Count(e.name, "/") >= maxDepth:
		return e, errors.New("lies too deep")
	case f.Flags&1 != 0:
		return e, errors.New("is encrypted")
	}
	for part := range strings.SplitSeq(e.name, "/") {
		if len(part) > maxComponent {
			return e, errors.New("has too long a name")
		}
	}
	switch {
	case strings.HasSuffix(f.Name, "/"), mode.IsDir():
		e.folder = true
		if f.UncompressedSize64 > 0 {
			return e, errors.New("is a folder with a content")
		}
	case mode&fs.ModeSymlink != 0:
		e.link = true
	case mode&fs.ModeType != 0:
		return e, errors.New("is neither a file, a folder nor a link")
	}
	return e, nil
}

// Write writes the files as a tar archive. Each time it writes the same bytes.
func (p *Archive) Write(ctx context.Context, w io.Writer) error {
	t := tar.NewWriter(w)
	left := p.budget
	for _, e := range p.entries {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := e.write(t, &left); err != nil {
			return fmt.Errorf("the entry %.200q: %w", e.name, err)
		}
	}
	return t.Close()
}

var errTooLarge = fmt.Errorf("%w: its files are larger than a candidate may be, or than its archive can be taken for", ErrRefused)

func (e entry) write(t *tar.Writer, left *int64) error {
	h := &tar.Header{Name: e.name, Mode: 0o644, Format: tar.FormatPAX}
	if e.folder {
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, e.name+"/", 0o755
		return t.WriteHeader(h)
	}
	if e.file.UncompressedSize64 > uint64(*left) {
		return errTooLarge
	}
	size := int64(e.file.UncompressedSize64)
	*left -= size
	r, err := e.file.Open()
	if err != nil {
		return fmt.Errorf("%w: it cannot be unpacked: %v", ErrRefused, err)
	}
	defer r.Close()
	if e.link {
		target, err := io.ReadAll(io.LimitReader(r, maxPath+1))
		if err != nil {
			return fmt.Errorf("%w: it cannot be unpacked: %v", ErrRefused, err)
		}
		if err := inside(e.name, string(target)); err != nil {
			return err
		}
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, string(target), 0o777
		return t.WriteHeader(h)
	}
	head := make([]byte, min(size, 4))
	if _, err := io.ReadFull(r, head); err != nil {
		return fmt.Errorf("%w: it cannot be unpacked: %v", ErrRefused, err)
	}
	// Archives of artifacts seldom keep modes.
	if e.file.Mode()&0o111 != 0 && e.file.Mode()&0o444 != 0 && e.file.CreatorVersion>>8 == creatorUnix || isExecutable(head) {
		h.Mode = 0o755
	}
	h.Typeflag, h.Size = tar.TypeReg, size
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	if _, err := t.Write(head); err != nil {
		return err
	}
	n, err := io.Copy(t, &source{io.LimitReader(r, size-int64(len(head)))})
	var bad *sourceError
	switch {
	case errors.As(err, &bad):
		return fmt.Errorf("%w: it cannot be unpacked: %v", ErrRefused, bad.err)
	case err != nil:
		return err
	case n != size-int64(len(head)):
		return fmt.Errorf("%w: it is shorter than the archive says", ErrRefused)
	}
	// zip compares its sum when the end is read.
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it is not what the archive says: %v", ErrRefused, err)
	}
	return nil
}

// creatorUnix marks archives whose attributes are modes (APPNOTE.TXT, 4.4.2).
const creatorUnix = 3

// source tells errors of reading from those of writing.
type source struct{ r io.Reader }

type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &sourceError{err}
	}
	return n, err
}

// inside refuses a link that leads out of the archive.
func inside(name, target string) error {
	if target == "" || len(target) > maxPath || path.IsAbs(target) || strings.ContainsAny(target, "\x00\\") || !utf8.ValidString(target) || !fs.ValidPath(path.Join(path.Dir(name), target)) {
		return fmt.Errorf("%w: it is a link that leads out of the archive", ErrRefused)
	}
	return nil
}

// isExecutable knows the first bytes of what systems execute: ELF, scripts, Mach-O of one architecture or several, PE.
func isExecutable(head []byte) bool {
	for _, magic := range []string{"\x7fELF", "#!", "\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", "\xca\xfe\xba\xbe", "MZ"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}
