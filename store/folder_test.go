package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gantry-ops/gantry/store"
)

// TestMain is also the other process of TestLockDir: it locks the folder named and waits to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("GANTRY_TEST_LOCK"); dir != "" {
		previous, _, err := store.LockDir(dir, "server-1")
		fmt.Printf("%q %v\n", previous, err)
		select {}
	}
	os.Exit(m.Run())
}

func TestLockDir(t *testing.T) {
	dir := t.TempDir()
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), "GANTRY_TEST_LOCK="+dir)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "\"\" <nil>\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if _, _, err := store.LockDir(dir, "server-2"); !errors.Is(err, store.ErrInUse) {
		t.Fatalf("a folder in use: %v", err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	for _, want := range []string{"server-1", "server-3"} {
		previous, release, err := store.LockDir(dir, "server-3")
		if err != nil || previous != want {
			t.Fatalf("previous %q, %v; want %q", previous, err, want)
		}
		if _, _, err := store.LockDir(dir, "server-4"); !errors.Is(err, store.ErrInUse) {
			t.Errorf("locked twice by one process: %v", err)
		}
		if err := release(); err != nil {
			t.Error(err)
		}
		if err := release(); err != nil {
			t.Errorf("released twice: %v", err)
		}
	}
	if _, _, err := store.LockDir(filepath.Join(dir, "none"), "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
