package storage

import (
	"bufio"
	"os"
	"os/exec"
	"testing"
)

// holdEnv makes the test binary a process that is in the middle of storing, and waits to be killed.
const holdEnv = "GANTRY_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdEnv); dir != "" {
		hold(dir)
	}
	os.Exit(m.Run())
}

func hold(dir string) {
	fail := func(err error) {
		if err != nil {
			os.Stdout.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
	}
	a, err := OpenArtifacts(dir+"/artifacts", nil).Create("1", "half", ArtifactOptions{})
	fail(err)
	fail(os.WriteFile(a.Path(), []byte("half"), 0o644))
	c, err := OpenCaches(dir+"/caches", 0, nil).Create(CacheEntry{Scope: "s", Key: "half", Version: "v"})
	fail(err)
	fail(os.WriteFile(c.Path(), []byte("half"), 0o644))
	os.Stdout.WriteString("ready\n")
	select {}
}

// A process that is killed while it stores leaves nothing visible, hinders nobody, and what it leaves is swept; while it
// lives, nobody touches it.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), holdEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the process says %q", line)
	}
	src := tree(t, "a.txt")
	store := func(name string) (left int) {
		artifacts, caches := OpenArtifacts(dir+"/artifacts", nil), OpenCaches(dir+"/caches", 0, nil)
		if _, err := artifacts.Save(t.Context(), "1", name, files(src, "a.txt"), ArtifactOptions{}); err != nil {
			t.Error(err)
		}
		if _, err := caches.Save(t.Context(), CacheEntry{Scope: "s", Key: name, Version: "v", Compression: Zstd}, []PackItem{{"a.txt", src + "/a.txt"}}); err != nil {
			t.Error(err)
		}
		if _, err := artifacts.Get("1", "half"); err == nil {
			t.Error("half an artifact is visible")
		}
		if caches.Has("s", "half", "v") {
			t.Error("half a cache is visible")
		}
		for _, d := range []string{artifacts.RunDir("1"), caches.Dir() + "/s"} {
			entries, _ := os.ReadDir(d)
			for _, e := range entries {
				if e.Name()[0] == '.' {
					left++
				}
			}
		}
		return left
	}
	if left := store("while it lives"); left != 4 {
		t.Errorf("%d remains of a live process, want 4: two folders and their locks", left)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if left := store("after its death"); left != 0 {
		t.Errorf("%d remains of a dead process", left)
	}
}
