package forge

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFullDisk(t *testing.T) {
	full := t.TempDir()
	if err := unix.Mount("tmpfs", full, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small file system cannot be mounted (not root?), so a full disk is not tried: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(full, 0); err != nil {
			t.Error(err)
		}
	})
	repo := t.TempDir()
	runGit(t, repo, "init", "-q", "-b", "main")
	if err := os.WriteFile(filepath.Join(repo, "large"), []byte(strings.Repeat("0123456789abcdef", 64<<10)), 0o644); err != nil {
		t.Fatal(err)
	}
	runGit(t, repo, "add", "-A")
	runGit(t, repo, "commit", "-qm", "one")
	l, err := OpenLocal(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.CheckOut(t.Context(), filepath.Join(full, "copy"), CheckOut{})
	if err == nil || !strings.Contains(err.Error(), "the disk of") || !strings.Contains(err.Error(), "is full") {
		t.Errorf("the error does not say that the disk is full: %v", err)
	}
}
