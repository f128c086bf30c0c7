package pack

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
)

// digestOf is the digest of the candidate that an archive becomes.
func digestOf(t testing.TB, archive []byte) string {
	t.Helper()
	b, err := packed(archive)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func packed(archive []byte) ([]byte, error) {
	p, err := Open(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = p.Write(context.Background(), &b)
	return b.Bytes(), err
}

// zipEntry is an entry of an archive that a test makes.
type zipEntry struct {
	name, content string
	mode          fs.FileMode
	time          time.Time
}

func zipOf(t testing.TB, entries ...zipEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: e.time}
		if e.mode != 0 {
			h.SetMode(e.mode)
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPack makes the same candidate of the same files, whatever their order, times and folders, and finds out which can be executed.
func TestPack(t *testing.T) {
	early, late := time.Unix(1e9, 0), time.Unix(2e9, 0)
	one := zipOf(t, zipEntry{name: "bin/", time: early}, zipEntry{"bin/web", "\x7fELF...", 0, early}, zipEntry{"readme", "text", 0, early},
		zipEntry{"run", "x", 0o755, early}, zipEntry{"empty/", "", 0, early}, zipEntry{"link", "bin/web", fs.ModeSymlink | 0o777, early}, zipEntry{"nothing", "", 0o644, early})
	two := zipOf(t, zipEntry{"nothing", "", 0o600, late}, zipEntry{"readme", "text", 0o640, late}, zipEntry{"link", "bin/web", fs.ModeSymlink | 0o777, late},
		zipEntry{"empty/", "", 0, late}, zipEntry{"run", "x", 0o700, late}, zipEntry{"bin/web", "\x7fELF...", 0o644, late})
	if digestOf(t, one) != digestOf(t, two) {
		t.Error("the same files are different candidates")
	}
	if digestOf(t, one) == digestOf(t, zipOf(t, zipEntry{"readme", "text", 0, early})) {
		t.Error("different files are the same candidate")
	}
	b, err := packed(one)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || !h.ModTime.IsZero() && h.ModTime.Unix() != 0 || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s is %+v, %v", h.Name, h, err)
		}
		got = append(got, fmt.Sprintf("%s %c %o %s%q", h.Name, h.Typeflag, h.Mode, h.Linkname, content))
	}
	want := []string{`bin/web 0 755 "\x7fELF..."`, `empty/ 5 755 ""`, `link 2 777 bin/web""`, `nothing 0 644 ""`, `readme 0 644 "text"`, `run 0 755 "x"`}
	if !slices.Equal(got, want) {
		t.Errorf("it has\n%s", strings.Join(got, "\n"))
	}
}

// claims is an archive that says of a file how large it is.
func claims(t testing.TB, size uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateRaw(&zip.FileHeader{Name: "zeros", Method: zip.Deflate, CompressedSize64: 1, UncompressedSize64: size})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPackRefuses refuses what no agent would take, with the entry.
func TestPackRefuses(t *testing.T) {
	large := claims(t, freeRatio+1)
	broken := zipOf(t, zipEntry{"a", strings.Repeat("abc", 1000), 0, time.Time{}})
	broken[60] ^= 0xff
	for name, c := range map[string]struct {
		archive []byte
		want    string
	}{
		"no archive":           {[]byte("PK\x03\x04"), "as a zip archive it is broken"},
		"an empty one":         {zipOf(t), "there is nothing in it"},
		"a way up":             {zipOf(t, zipEntry{name: "../a"}), `"../a" has a name that leads elsewhere`},
		"a way up within":      {zipOf(t, zipEntry{name: "a/../../b"}), "leads elsewhere"},
		"from the root":        {zipOf(t, zipEntry{name: "/etc/passwd"}), "leads elsewhere"},
		"a backslash":          {zipOf(t, zipEntry{name: `..\a`}), "no usable name"},
		"twice":                {zipOf(t, zipEntry{name: "a"}, zipEntry{name: "a"}), "is there twice"},
		"a file and a folder":  {zipOf(t, zipEntry{name: "a"}, zipEntry{name: "a/"}), "is there twice"},
		"below a file":         {zipOf(t, zipEntry{name: "a"}, zipEntry{name: "a/b"}), `"a/b" lies below one that is no folder`},
		"below a link":         {zipOf(t, zipEntry{"a", "b", fs.ModeSymlink, time.Time{}}, zipEntry{name: "a/b"}), "lies below one that is no folder"},
		"a link out":           {zipOf(t, zipEntry{"a/b", "../../c", fs.ModeSymlink, time.Time{}}), "leads out of the archive"},
		"a link to the root":   {zipOf(t, zipEntry{"a", "/etc/passwd", fs.ModeSymlink, time.Time{}}), "leads out of the archive"},
		"a device":             {zipOf(t, zipEntry{"a", "", fs.ModeDevice, time.Time{}}), "neither a file, a folder nor a link"},
		"too deep":             {zipOf(t, zipEntry{name: strings.Repeat("a/", maxDepth) + "b"}), "lies too deep"},
		"too long":             {zipOf(t, zipEntry{name: strings.Repeat("a", maxComponent+1)}), "too long a name"},
		"far larger unpacked":  {large, "larger than a candidate may be"},
		"not what it promises": {broken, "it "},
	} {
		if _, err := packed(c.archive); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzPack takes any bytes: what it does not refuse is an archive whose entries lie within, and the same each time.
func FuzzPack(f *testing.F) {
	f.Add(zipOf(f, zipEntry{"bin/web", "#!/bin/sh", 0o755, time.Unix(1e9, 0)}, zipEntry{"link", "bin/web", fs.ModeSymlink, time.Unix(1e9, 0)}))
	f.Add(zipOf(f, zipEntry{name: "../a"}, zipEntry{name: "a/"}, zipEntry{name: "a/b", content: "x"}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		b, err := packed(archive)
		if err != nil {
			if !errors.Is(err, ErrRefused) {
				t.Fatalf("an error that is no refusal: %v", err)
			}
			return
		}
		again, err := packed(archive)
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("a second time it is something else, %v", err)
		}
		last := ""
		for r := tar.NewReader(bytes.NewReader(b)); ; {
			h, err := r.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimSuffix(h.Name, "/")
			if !fs.ValidPath(name) || name <= last {
				t.Fatalf("%q comes after %q", name, last)
			}
			last = name
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Fatal(err)
			}
		}
	})
}
