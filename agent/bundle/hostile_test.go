package bundle

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestHostile(t *testing.T) {
	long := strings.Repeat("x", 256)
	deep := strings.Repeat("d/", 300) + "f"
	encrypted := zipOf(t, file("a", "secret"))
	setFlag(encrypted, 1)
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "it is empty"},
		{"text", []byte("hello"), "it is neither a tar"},
		{"gzip of text", gz(t, []byte("hello")), "no tar archive"},
		{"gzip of nothing", gz(t, nil), "no tar archive"},
		{"cut gzip", gz(t, tarOf(t, file("a", strings.Repeat("x", 5000))))[:60], "broken"},
		{"cut tar", tarOf(t, file("a", strings.Repeat("x", 5000)))[:2000], `entry 1 ("a"): as a tar archive it is broken`},
		{"an archive of nothing", tarOf(t, folder("./")), "there is nothing in it"},
		{"empty zip", zipOf(t), "there is nothing in it"},
		{"up", tarOf(t, file("ok", ""), file("../x", "")), `entry 2 ("../x"): its path has a .. in it`},
		{"up and down", tarOf(t, file("a/../../x", "")), `its path has a .. in it`},
		{"up in a zip", zipOf(t, file("a/../x", "")), `its path has a .. in it`},
		{"absolute", tarOf(t, file("/etc/x", "")), `entry 1 ("/etc/x"): its path is absolute`},
		{"absolute in a zip", zipOf(t, file("/etc/x", "")), `its path is absolute`},
		{"backslash", zipOf(t, file(`..\x`, "")), "backslash"},
		{"control", tarOf(t, file("a\nb", "")), "control character"},
		{"not UTF-8", tarOf(t, file("a\xff", "")), "not UTF-8"},
		{"long name", tarOf(t, file("a/"+long, "")), "255 is the most"},
		{"deep", tarOf(t, file(deep, "")), "200 is the most"},
		{"twice", tarOf(t, file("a", "1"), file("./a", "2")), `entry 2 ("./a"): the archive has a file of this name already`},
		{"twice in a zip", zipOf(t, file("a", "1"), file("a", "2")), "has a file of this name already"},
		{"a folder that is a file", tarOf(t, file("a", "1"), folder("a")), "has a file of this name already"},
		{"a file that is a folder", tarOf(t, folder("a"), file("a", "1")), "has a dir of this name already"},
		{"below a file", tarOf(t, file("a", "1"), file("a/b", "1")), `"a" above it is not a folder but a file`},
		{"below a link", tarOf(t, symlink("a", "."), file("a/b", "1")), `"a" above it is not a folder but a link`},
		{"in the bundle's place", tarOf(t, file("./.", "1")), "the bundle's own place"},
		{"absolute link", tarOf(t, symlink("a", "/etc/passwd")), "a link to the absolute path"},
		{"absolute link in a zip", zipOf(t, symlink("a", "/etc/passwd")), "a link to the absolute path"},
		{"link out", tarOf(t, symlink("d/a", "../../x")), "leaves the bundle"},
		{"link out by links", tarOf(t, folder("a/b"), symlink("a/b/c", "../.."), symlink("z", "a/b/c/../x")), "leaves the bundle"},
		{"links without an end", tarOf(t, symlink("a", "b"), symlink("b", "a")), "has no end"},
		{"link to nowhere", zipOf(t, symlink("a", "")), "a link to nowhere"},
		{"hard link out", tarOf(t, hardLink("a", "/etc/passwd")), "no file that the archive has before it"},
		{"hard link to a link", tarOf(t, symlink("l", "x"), hardLink("a", "l")), "no file that the archive has before it"},
		{"hard link to what comes later", tarOf(t, hardLink("a", "b"), file("b", "")), "no file that the archive has before it"},
		{"device", tarOf(t, special("null", tar.TypeChar)), "it is a device"},
		{"disk", tarOf(t, special("sda", tar.TypeBlock)), "it is a device"},
		{"pipe", tarOf(t, special("p", tar.TypeFifo)), "it is a named pipe"},
		{"unknown kind", tarOf(t, special("p", 'Z')), "unknown kind"},
		{"device in a zip", zipOf(t, special("null", tar.TypeChar)), "it is a device"},
		{"pipe in a zip", zipOf(t, special("p", tar.TypeFifo)), "it is a named pipe"},
		{"encrypted", encrypted, "it is encrypted"},
		{"broken zip", append([]byte("PK\x03\x04"), make([]byte, 100)...), "as a zip archive it is broken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(tt.name, "link") {
				t.Skip("links need a privilege there")
			}
			s := open(t, Limits{})
			_, err := s.Put(t.Context(), digest(tt.data), bytes.NewReader(tt.data))
			var refused *Refused
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			if names, err := os.ReadDir(filepath.Dir(s.dir)); len(names) != 1 {
				t.Errorf("beside the store: %v, %v", names, err)
			}
			if names, err := os.ReadDir(s.dir); len(names) != 0 {
				t.Errorf("left over: %v, %v", names, err)
			}
		})
	}
}

// setFlag sets a bit of the general purpose flags in all directory headers (APPNOTE.TXT, 4.3.12).
func setFlag(archive []byte, flag uint16) {
	header := []byte("PK\x01\x02")
	for at := 0; ; {
		i := bytes.Index(archive[at:], header)
		if i < 0 {
			return
		}
		at += i + len(header)
		flags := archive[at+4 : at+6]
		binary.LittleEndian.PutUint16(flags, binary.LittleEndian.Uint16(flags)|flag)
	}
}

func TestLimits(t *testing.T) {
	zeros := strings.Repeat("\x00", 1<<20)
	many := make([]item, 100)
	for i := range many {
		many[i] = file("d"+string(rune('a'+i%26))+"/"+strings.Repeat("f", i+1), "")
	}
	bomb := file("bomb", strings.Repeat("\x00", 4<<20))
	tests := []struct {
		name   string
		data   []byte
		limits Limits
		want   string
	}{
		{"packed", tarOf(t, file("a", "x")), Limits{Packed: 100}, "larger than 100 bytes"},
		{"bytes", gz(t, tarOf(t, file("a", zeros))), Limits{Bytes: 1 << 19}, "larger than 524288 bytes"},
		{"bytes in a zip", zipOf(t, file("a", zeros)), Limits{Bytes: 1 << 19}, "larger than 524288 bytes"},
		{"behind the archive's end", gz(t, append(tarOf(t, file("a", "")), zeros...)), Limits{Bytes: 1 << 19}, "larger than 524288 bytes"},
		{"entries", tarOf(t, many...), Limits{Entries: 50}, "more than 50"},
		{"entries in a zip", zipOf(t, many...), Limits{Entries: 50}, "more than 50"},
		{"folders that no entry has", tarOf(t, file("a/b/c/d/e/f", "")), Limits{Entries: 5}, "more than 5 files, folders and links"},
		{"ratio", gz(t, tarOf(t, bomb)), Limits{floor: 1 << 20}, "more than 100 times as large"},
		{"ratio in a zip", zipOf(t, bomb), Limits{floor: 1 << 20}, "more than 100 times as large"},
		{"a target that is a bomb", zipOf(t, symlink("l", zeros)), Limits{Bytes: 1 << 30}, "no file here can have"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, tt.limits)
			_, err := s.Put(t.Context(), digest(tt.data), bytes.NewReader(tt.data))
			var refused *Refused
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			if left := leftovers(t, s.dir); left != nil {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

// TestZipDirectory refuses a directory of far more entries than its end says before it is all in memory.
func TestZipDirectory(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for range 66_000 { // more than the 16 bits of the count hold
		if _, err := w.CreateHeader(&zip.FileHeader{Name: "same", Comment: strings.Repeat("c", 40)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, Limits{Entries: 100})
	_, err := s.Put(t.Context(), digest(b.Bytes()), bytes.NewReader(b.Bytes()))
	var refused *Refused
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "its directory is larger") {
		t.Errorf("got %v", err)
	}
}

func TestModesAreStripped(t *testing.T) {
	data := tarOf(t, item{name: "su", body: "x", mode: 0o6755}, item{name: "sticky", kind: tar.TypeDir, mode: 0o1777}, item{name: "open", body: "x", mode: 0o666})
	s := open(t, Limits{})
	b, err := s.Put(t.Context(), digest(data), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("modes are another thing there")
	}
	for name, want := range map[string]fs.FileMode{"su": 0o555, "sticky": fs.ModeDir | 0o555, "open": 0o444} {
		info, err := os.Stat(filepath.Join(b.Dir, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s has the mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

// FuzzUnpack holds the unpacker to its promises on any bytes: no panic, nothing outside of its folder, nothing but files, folders and links
// that stay within, nothing that can be written or runs as somebody else, and a manifest of exactly what is there.
func FuzzUnpack(f *testing.F) {
	f.Add(tarOf(f, executable("bin/server", "run"), symlink("l", "bin"), hardLink("h", "bin/server"), folder("d")))
	f.Add(gz(f, tarOf(f, file("a", "b"))))
	f.Add(zipOf(f, executable("bin/server", "run"), symlink("l", "bin/server"), folder("d/")))
	f.Add(tarOf(f, file("../x", "")))
	f.Add([]byte("#!/bin/sh"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		defer removeAll(filepath.Join(dir, "in"))
		if err := os.Mkdir(filepath.Join(dir, "in"), 0o700); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(filepath.Join(dir, "in"))
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		limits := Limits{Bytes: 1 << 20, Entries: 100}.withDefaults()
		_, entries, err := unpack(t.Context(), bytes.NewReader(data), int64(len(data)), root, limits)
		if names, _ := os.ReadDir(dir); len(names) != 1 {
			t.Fatalf("beside the folder: %v", names)
		}
		var refused *Refused
		if err != nil {
			if !errors.As(err, &refused) {
				t.Fatalf("an error that is no refusal: %v", err)
			}
			return
		}
		found, err := compare(t.Context(), filepath.Join(dir, "in"), entries)
		if err != nil || len(found) > 0 {
			t.Fatalf("not as the manifest has it: %v, %v", found, err)
		}
		resolved, err := filepath.EvalSymlinks(filepath.Join(dir, "in"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			to, err := filepath.EvalSymlinks(filepath.Join(resolved, filepath.FromSlash(e.Path)))
			if err == nil && to != resolved && !strings.HasPrefix(to, resolved+string(filepath.Separator)) {
				t.Fatalf("%s leads to %s", e.Path, to)
			}
		}
	})
}
