package bundle

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// item is an entry of an archive of a test.
type item struct {
	name, body, link string
	kind             byte // as tar has it; 0: a file
	mode             int64
}

func file(name, body string) item         { return item{name: name, body: body, mode: 0o644} }
func executable(name, body string) item   { return item{name: name, body: body, mode: 0o755} }
func folder(name string) item             { return item{name: name, kind: tar.TypeDir, mode: 0o755} }
func symlink(name, target string) item    { return item{name: name, link: target, kind: tar.TypeSymlink} }
func hardLink(name, target string) item   { return item{name: name, link: target, kind: tar.TypeLink} }
func special(name string, kind byte) item { return item{name: name, kind: kind} }

func tarOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		kind := i.kind
		if kind == 0 {
			kind = tar.TypeReg
		}
		if err := w.WriteHeader(&tar.Header{Name: i.name, Typeflag: kind, Mode: i.mode, Size: int64(len(i.body)), Linkname: i.link}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(i.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gz(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, i := range items {
		h := &zip.FileHeader{Name: i.name, Method: zip.Deflate}
		mode := fs.FileMode(i.mode)
		body := i.body
		switch i.kind {
		case tar.TypeDir:
			mode |= fs.ModeDir
		case tar.TypeSymlink:
			mode |= fs.ModeSymlink
			body = i.link
		case tar.TypeFifo:
			mode |= fs.ModeNamedPipe
		case tar.TypeChar:
			mode |= fs.ModeDevice | fs.ModeCharDevice
		}
		h.SetMode(mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return digestPrefix + hex.EncodeToString(sum[:])
}

func open(t testing.TB, limits Limits) *Store {
	t.Helper()
	dir := t.TempDir()
	// The folders of bundles are read-only: who is not root cannot remove them as they are.
	t.Cleanup(func() { removeAll(dir) })
	s, err := Open(filepath.Join(dir, "bundles"), Options{Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// leftovers are the names in a store that are no bundle's.
func leftovers(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := digestOf(e.Name()); !ok {
			names = append(names, e.Name())
		}
	}
	return names
}
