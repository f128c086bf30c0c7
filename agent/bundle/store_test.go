package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestPut(t *testing.T) {
	items := []item{
		folder("./"), folder("bin/"), executable("bin/server", "run"), file("./conf/a.json", "{}"), folder("bin/"),
		file("empty", ""), symlink("bin/latest", "server"), symlink("conf/up", "../bin/server"), symlink("conf/none", "later"),
		file("conf/x y.txt", "blank"), file("…/ü", "letters"),
	}
	withLink := append(append([]item{}, items...), hardLink("bin/again", "bin/server"))
	script := []byte("#!/bin/sh\nexit 0\n")
	tests := []struct {
		format  string
		data    []byte
		entries int
	}{
		{FormatTar, tarOf(t, withLink...), 12},
		{FormatTarGz, gz(t, tarOf(t, withLink...)), 12},
		{FormatZip, zipOf(t, items[1:]...), 11},
		{FormatBinary, script, 1},
	}
	for _, tt := range tests {
		t.Run(tt.format, func(t *testing.T) {
			s := open(t, Limits{})
			want := digest(tt.data)
			b, err := s.Put(t.Context(), want, bytes.NewReader(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			if b.Digest != want || b.Format != tt.format || b.Entries != tt.entries || b.Packed != int64(len(tt.data)) {
				t.Errorf("got %+v", b)
			}
			if got, err := s.Get(strings.TrimPrefix(want, digestPrefix)); err != nil || got != b {
				t.Errorf("Get gave %+v, %v", got, err)
			}
			if err := s.Verify(t.Context(), want); err != nil {
				t.Error(err)
			}
			if left := leftovers(t, s.dir); left != nil {
				t.Errorf("left over: %v", left)
			}
			// A second one reads nothing.
			if again, err := s.Put(t.Context(), want, strings.NewReader("something else")); err != nil || again != b {
				t.Errorf("Put again gave %+v, %v", again, err)
			}
			name, body := filepath.Join(b.Dir, "bin", "server"), "run"
			if tt.format == FormatBinary {
				name, body = filepath.Join(b.Dir, BinaryName), string(script)
			}
			if got, err := os.ReadFile(name); string(got) != body {
				t.Errorf("content %q, %v", got, err)
			}
			if info, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && info.Mode() != modeExec {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if tt.format == FormatBinary {
				return
			}
			if got, err := os.ReadFile(filepath.Join(b.Dir, "conf", "up")); string(got) != "run" {
				t.Errorf("through the link: %q, %v", got, err)
			}
			if info, err := os.Stat(filepath.Join(b.Dir, "conf", "a.json")); err != nil || runtime.GOOS != "windows" && info.Mode() != modeFile {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestPutAnotherContent(t *testing.T) {
	s := open(t, Limits{})
	data := tarOf(t, file("a", "x"))
	_, err := s.Put(t.Context(), digest([]byte("other")), bytes.NewReader(data))
	if !errors.Is(err, ErrDigest) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Get(digest([]byte("other"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
	if left := leftovers(t, s.dir); left != nil {
		t.Errorf("left over: %v", left)
	}
	for _, bad := range []string{"", "sha256:", "sha256:zz", "../x", "sha512:" + strings.Repeat("0", 64), strings.Repeat("A", 64)} {
		if _, err := s.Put(t.Context(), bad, bytes.NewReader(data)); err == nil {
			t.Errorf("digest %q was taken", bad)
		}
	}
}

// failing gives some bytes and then an error.
func failing(data []byte, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(data), readerFunc(func([]byte) (int, error) { return 0, err }))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestPutInterrupted(t *testing.T) {
	s := open(t, Limits{})
	data := tarOf(t, file("a", "x"))
	broken := errors.New("the line is cut")
	if _, err := s.Put(t.Context(), digest(data), failing(data[:100], broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Put(ctx, digest(data), readerFunc(func(p []byte) (int, error) { cancel(); return 1, nil }))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left := leftovers(t, s.dir); left != nil {
		t.Errorf("left over: %v", left)
	}
	if _, err := s.Put(t.Context(), digest(data), bytes.NewReader(data)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestPutTogether(t *testing.T) {
	s := open(t, Limits{})
	data := gz(t, tarOf(t, executable("server", "x")))
	bad := tarOf(t, file("../x", ""))
	var read, started atomic.Int32
	all := make(chan struct{})
	const many = 8
	var wg sync.WaitGroup
	put := func(data []byte, want error) {
		defer wg.Done()
		first := true
		r := bytes.NewReader(data)
		_, err := s.Put(context.Background(), digest(data), readerFunc(func(p []byte) (int, error) {
			if first {
				first = false
				read.Add(1)
				<-all
			}
			return r.Read(p)
		}))
		var refused *Refused
		if want == nil && err != nil || want != nil && !errors.As(err, &refused) {
			t.Errorf("got %v", err)
		}
	}
	for range many {
		wg.Add(2)
		go func() { started.Add(1); put(data, nil) }()
		go func() { started.Add(1); put(bad, errors.New("refused")) }()
	}
	close(all)
	wg.Wait()
	if n := read.Load(); n < 2 || n > 2*many {
		t.Errorf("%d were read", n)
	}
	if err := s.Verify(t.Context(), digest(data)); err != nil {
		t.Error(err)
	}

	// While one waits for its reader, the others wait for it, and read nothing.
	other := tarOf(t, file("other", "x"))
	gate, reading := make(chan struct{}), make(chan struct{})
	done := make(chan error, 2)
	go func() {
		r := bytes.NewReader(other)
		var once sync.Once
		_, err := s.Put(context.Background(), digest(other), readerFunc(func(p []byte) (int, error) {
			once.Do(func() { close(reading) })
			<-gate
			return r.Read(p)
		}))
		done <- err
	}()
	<-reading
	go func() {
		_, err := s.Put(context.Background(), digest(other), readerFunc(func([]byte) (int, error) {
			return 0, errors.New("the second was read")
		}))
		done <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, digest(other), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("who waits cannot give up: %v", err)
	}
	close(gate)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestVerifyFinds(t *testing.T) {
	data := tarOf(t, executable("bin/server", "run"), file("conf", "{}"), symlink("link", "conf"), folder("d"))
	tests := []struct {
		name   string
		change func(dir string) error
		want   string
	}{
		{"content", func(d string) error { return rewrite(filepath.Join(d, "conf"), "[]") }, "conf has another content"},
		{"size", func(d string) error { return rewrite(filepath.Join(d, "conf"), "[1]") }, "conf has 3 bytes instead of 2"},
		{"missing", func(d string) error { return os.Remove(filepath.Join(d, "bin", "server")) }, "bin/server is missing"},
		{"added", func(d string) error { return os.WriteFile(filepath.Join(d, "bin", "more"), nil, 0o444) }, "bin/more was added"},
		{"mode", func(d string) error { return os.Chmod(filepath.Join(d, "conf"), 0o644) }, "conf has the mode -rw-r--r-- instead of -r--r--r--"},
		{"link", func(d string) error {
			return errors.Join(os.Remove(filepath.Join(d, "link")), os.Symlink("/etc/passwd", filepath.Join(d, "link")))
		}, "link is no longer a link to conf"},
		{"kind", func(d string) error {
			return errors.Join(os.Remove(filepath.Join(d, "d")), os.WriteFile(filepath.Join(d, "d"), nil, 0o444))
		}, "d is no longer a dir"},
		{"folder replaced by a link out", func(d string) error {
			return errors.Join(os.RemoveAll(filepath.Join(d, "bin")), os.Symlink(os.TempDir(), filepath.Join(d, "bin")))
		}, "bin is no longer a dir"},
		{"all", func(d string) error { return removeAll(d) }, "its files are missing"},
		{"record", func(d string) error { return os.Remove(filepath.Join(d, "..", summaryFile)) }, "its record is missing"},
		{"manifest", func(d string) error { return rewrite(filepath.Join(d, "..", manifestFile), "[]") }, "its manifest is another one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && tt.name != "content" {
				t.Skip("links and modes are other things there")
			}
			s := open(t, Limits{})
			b, err := s.Put(t.Context(), digest(data), bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			// Somebody with the right to do so, or root.
			err = filepath.WalkDir(b.Dir, func(name string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					return os.Chmod(name, 0o755)
				}
				return err
			})
			if err := errors.Join(err, tt.change(b.Dir)); err != nil {
				t.Fatal(err)
			}
			if tt.name != "all" {
				filepath.WalkDir(b.Dir, func(name string, d fs.DirEntry, err error) error {
					if err == nil && d.IsDir() {
						os.Chmod(name, modeDir)
					}
					return nil
				})
			}
			err = s.Verify(t.Context(), b.Digest)
			if !errors.Is(err, ErrChanged) || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
	s := open(t, Limits{})
	if err := s.Verify(t.Context(), digest(data)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of none: %v", err)
	}
}

func rewrite(name, body string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return errors.Join(os.Chmod(name, 0o644), os.WriteFile(name, []byte(body), 0o644), os.Chmod(name, info.Mode()))
}

func TestSweep(t *testing.T) {
	s := open(t, Limits{})
	var digests []string
	for i := range 4 {
		data := tarOf(t, file("d/n", fmt.Sprint(i)))
		b, err := s.Put(t.Context(), digest(data), bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, b.Digest)
	}
	removed, err := s.Sweep(digests[1:3])
	if err != nil || len(removed) != 2 {
		t.Errorf("removed %v, %v", removed, err)
	}
	all, err := s.List()
	if err != nil || len(all) != 2 {
		t.Errorf("left %v, %v", all, err)
	}
	for _, b := range all {
		if b.Digest != digests[1] && b.Digest != digests[2] {
			t.Errorf("%s stayed", b.Digest)
		}
	}
	if left := leftovers(t, s.dir); left != nil {
		t.Errorf("left over: %v", left)
	}
	if _, err := s.Sweep([]string{"what"}); err == nil {
		t.Error("a digest that is none was taken: all would be gone")
	}
	if removed, err := s.Sweep(nil); err != nil || len(removed) != 2 {
		t.Errorf("removed %v, %v", removed, err)
	}
}

func TestOpenLeavesOthersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a store is for one process there")
	}
	s := open(t, Limits{})
	for _, dead := range []string{incoming + "1", trash + "1"} {
		sub := filepath.Join(s.dir, dead, "files", "ro")
		if err := errors.Join(os.MkdirAll(sub, 0o755), os.WriteFile(filepath.Join(sub, "f"), nil, 0o444), os.Chmod(sub, 0o555)); err != nil {
			t.Fatal(err)
		}
	}
	temp, release, err := s.temp()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := Open(s.dir, Options{}); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, s.dir); len(left) != 1 || left[0] != filepath.Base(temp) {
		t.Errorf("left over: %v, want %s", left, filepath.Base(temp))
	}
}
