package bundle

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Formats of artifacts.
const (
	FormatTar   = "tar"
	FormatTarGz = "tar.gz"
	FormatZip   = "zip"
	// FormatBinary is one executable file, which is called [BinaryName] in its bundle.
	FormatBinary = "binary"
)

// BinaryName is the name in the bundle of an artifact that is one executable file.
const BinaryName = "app"

const tarBlock = 512

// unpack writes what is in an artifact below root. An error that is *Refused is the artifact's fault, any other is not.
func unpack(ctx context.Context, r io.ReaderAt, size int64, root *os.Root, limits Limits) (format string, entries []Entry, err error) {
	head := make([]byte, tarBlock)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", nil, err
	}
	head = head[:n]
	t := newTree(ctx, root, size, limits)
	all := io.NewSectionReader(r, 0, size)
	switch {
	case len(head) == 0:
		err = t.refuse("it is empty")
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		format = FormatTarGz
		err = t.tarGz(all)
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		format = FormatZip
		err = t.zip(r, size)
	case isTar(head):
		format = FormatTar
		err = t.tar(all)
	case isExecutable(head):
		format = FormatBinary
		if err = t.enter(BinaryName); err == nil {
			err = t.file(all, true)
		}
	default:
		err = t.refuse("it is neither a tar, a tar.gz nor a zip archive, nor an executable file or a script with #!")
	}
	if err == nil && len(t.nodes) == 0 {
		t.at = 0
		err = t.refuse("there is nothing in it")
	}
	if err != nil {
		return format, nil, err
	}
	entries, err = t.finish()
	return format, entries, err
}

// isTar looks at the first header's checksum, which every variety of the format has (POSIX.1-1988, ustar).
func isTar(head []byte) bool {
	if len(head) < tarBlock {
		return false
	}
	var want, sum int64
	if n, err := fmt.Sscanf(strings.Trim(string(head[148:156]), " \x00"), "%o", &want); n != 1 || err != nil {
		return false
	}
	for i, b := range head {
		if i >= 148 && i < 156 {
			b = ' '
		}
		sum += int64(b)
	}
	return sum == want
}

// isExecutable knows the first bytes of what systems execute: ELF, scripts, Mach-O (one architecture or several), PE.
func isExecutable(head []byte) bool {
	for _, magic := range []string{"\x7fELF", "#!", "\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", "\xca\xfe\xba\xbe", "MZ"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

func (t *tree) tarGz(r io.Reader) error {
	gz, err := gzip.NewReader(bufio.NewReaderSize(r, 64<<10))
	if err != nil {
		return t.broken("gzip", err)
	}
	first := bufio.NewReaderSize(gz, 64<<10)
	head, err := first.Peek(tarBlock)
	if err != nil && !errors.Is(err, io.EOF) {
		return t.broken("gzip", err)
	}
	if !isTar(head) {
		return t.refuse("it is compressed by gzip, but what is in it is no tar archive")
	}
	if err := t.tar(first); err != nil {
		return err
	}
	// What follows the archive's end is padding; reading it checks gzip's own sums, and that it ends.
	t.at = 0
	if _, err := io.Copy(io.Discard, &meter{t: t, r: first}); err != nil {
		return t.broken("gzip", err)
	}
	return nil
}

func (t *tree) tar(r io.Reader) error {
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			t.at++
			return t.broken("tar", err)
		}
		if err := t.enter(h.Name); err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeGNUSparse:
			err = t.file(tr, h.FileInfo().Mode()&0o111 != 0)
		case tar.TypeDir:
			err = t.dir()
		case tar.TypeSymlink:
			err = t.symlink(h.Linkname)
		case tar.TypeLink:
			err = t.hardLink(h.Linkname)
		case tar.TypeXGlobalHeader:
			// A comment of the archive as a whole, as git archive writes it.
		case tar.TypeChar, tar.TypeBlock:
			err = t.refuse("it is a device")
		case tar.TypeFifo:
			err = t.refuse("it is a named pipe")
		default:
			err = t.refuse("it is of the unknown kind %q", h.Typeflag)
		}
		if err != nil {
			return t.broken("tar", err)
		}
	}
}

// zipDirectory is how many bytes of directory an entry may have on average; zip's reader holds all of it in memory.
const zipDirectory = 512

func (t *tree) zip(r io.ReaderAt, size int64) error {
	bounded := &boundedReaderAt{r: r, left: 1<<20 + int64(t.limits.Entries)*zipDirectory}
	zr, err := zip.NewReader(bounded, size)
	if errors.Is(err, errTooMuch) {
		return t.refuse("its directory is larger than one of %d entries is", t.limits.Entries)
	}
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return t.broken("zip", err)
	}
	bounded.left = 1 << 62
	for _, f := range zr.File {
		if err := t.enter(f.Name); err != nil {
			return err
		}
		if err := t.zipped(f); err != nil {
			return t.broken("zip", err)
		}
	}
	return nil
}

func (t *tree) zipped(f *zip.File) error {
	if f.Flags&1 != 0 {
		return t.refuse("it is encrypted")
	}
	mode := f.Mode()
	switch {
	case strings.HasSuffix(f.Name, "/"), mode.IsDir():
		if f.UncompressedSize64 > 0 {
			return t.refuse("it is a folder with a content")
		}
		return t.dir()
	case mode&fs.ModeSymlink != 0:
		r, err := f.Open()
		if err != nil {
			return err
		}
		defer r.Close()
		target, err := io.ReadAll(io.LimitReader(&meter{t: t, r: r}, maxPath+1))
		if err != nil {
			return err
		}
		return t.symlink(string(target))
	case mode&fs.ModeDevice != 0:
		return t.refuse("it is a device")
	case mode&fs.ModeNamedPipe != 0:
		return t.refuse("it is a named pipe")
	case mode&fs.ModeType != 0:
		return t.refuse("it is neither a file, a folder nor a link")
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return t.file(r, mode&0o111 != 0)
}

// broken turns what a parser says into a refusal. Errors of our own reading and writing stay what they are.
func (t *tree) broken(format string, err error) error {
	var refused *Refused
	var path *fs.PathError
	var link *os.LinkError
	if errors.As(err, &refused) || errors.As(err, &path) || errors.As(err, &link) || context.Cause(t.ctx) != nil {
		return err
	}
	return t.refuse("as a %s archive it is broken: %v", format, err)
}

var errTooMuch = errors.New("too much")

// boundedReaderAt stops a reader that reads more than it may.
type boundedReaderAt struct {
	r    io.ReaderAt
	left int64
}

func (b *boundedReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errTooMuch
	}
	return b.r.ReadAt(p, off)
}
