//go:build unix

package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gantry-ops/gantry/runner"
)

func TestReadAndWrite(t *testing.T) {
	ctx := context.Background()
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	file := filepath.Join(w.Machine().Temp, "a", "b", "c")
	if _, err := w.ReadFile(ctx, file, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	for _, content := range []string{"0123456789", "", "short"} {
		if err := w.WriteFile(ctx, file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := w.ReadFile(ctx, file, 10); err != nil || string(got) != content {
			t.Errorf("got %q, %v, want %q", got, err, content)
		}
	}
	if _, err := w.ReadFile(ctx, file, 4); err == nil || !strings.Contains(err.Error(), "5 bytes") {
		t.Errorf("too large: %v", err)
	}
	fifo := filepath.Join(w.Machine().Temp, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, w.Machine().Temp, "/dev/zero"} {
		if _, err := w.ReadFile(ctx, path, 10); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := os.Chmod(file, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFile(ctx, file, []byte("again"), 0o644); err != nil {
		t.Errorf("replace one that may not be written: %v", err)
	}
}

func TestDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this machine has no /dev/full")
	}
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	err := w.WriteFile(context.Background(), "/dev/full", []byte("x"), 0o644)
	if err == nil || !strings.Contains(err.Error(), "/dev/full") || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("got %v", err)
	}
}

func TestCopy(t *testing.T) {
	ctx := context.Background()
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{})
	from, to := t.TempDir(), filepath.Join(w.Machine().Temp, "to")
	for name, mode := range map[string]os.FileMode{"plain": 0o644, "run": 0o755, "deep/er/file": 0o600} {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(from, "deep"), 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(from, "deep"), 0o755) })
	for _, name := range []string{"kept", "link/file"} { // a folder where a link is to be, and a file that stays
		if err := w.WriteFile(ctx, filepath.Join(to, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.CopyIn(ctx, from, to); err == nil {
		t.Error("a link replaced a folder with files in it")
	}
	if err := os.RemoveAll(filepath.Join(to, "link")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time onto what is there
		if err := w.CopyIn(ctx, from, to); err != nil {
			t.Fatal(err)
		}
	}
	out, exit := execute(t, w, runner.Command{Argv: []string{"bash", "-c", "stat -c '%A %n' * deep/er/*; readlink link; cat run"}, Dir: to, Env: w.Environ()})
	want := "dr-xr-xr-x deep\n-rw-r--r-- kept\nlrwxrwxrwx link\n-rw-r--r-- plain\n-rwxr-xr-x run\n-rw------- deep/er/file\nnowhere\nrun"
	if exit.Code != 0 || out != want {
		t.Errorf("%+v\n%s\nwant\n%s", exit, out, want)
	}
	back := filepath.Join(t.TempDir(), "new", "file")
	if err := w.CopyOut(ctx, filepath.Join(to, "run"), back); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(back); err != nil || string(data) != "run" {
		t.Errorf("%q, %v", data, err)
	}
	if err := syscall.Mkfifo(filepath.Join(from, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.CopyIn(ctx, from, to); err == nil || !strings.Contains(err.Error(), "pipe") {
		t.Errorf("pipe: %v", err)
	}
}
