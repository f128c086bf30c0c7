package web

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// npm skips where the browser's half has not been installed, and runs one of its scripts otherwise.
func npm(t *testing.T, env []string, args ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped by -short: it starts Node")
	}
	if _, err := exec.LookPath("npx"); err != nil {
		t.Skip("the pages are not tested: there is no npx on the PATH; install Node 20 with npm")
	}
	if _, err := os.Stat("node_modules/vitest"); err != nil {
		t.Skip("the pages are not tested: their packages are not installed; run make ui")
	}
	c := exec.Command("npx", args...)
	c.Env = append(append(os.Environ(), "NO_COLOR=1", "CI=1"), env...)
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("npx %v: %v", args, err)
	}
}

// TestPages runs the tests of what the pages are made of.
func TestPages(t *testing.T) {
	npm(t, nil, "vitest", "run")
}

// TestPerson drives Chromium through a real server, and keeps pictures of each screen in e2e/shots.
func TestPerson(t *testing.T) {
	chromium := ""
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			chromium = path
			break
		}
	}
	if chromium == "" {
		t.Skip("no person is tried: there is no Chromium on the PATH; install it, or name it by CHROMIUM")
	}
	if !Built() {
		t.Skip("no person is tried: the pages are not built; run make ui")
	}
	gantry := filepath.Join(t.TempDir(), "gantry")
	if testing.Short() {
		t.Skip("skipped by -short: it starts a browser")
	}
	build := exec.Command("go", "build", "-trimpath", "-o", gantry, "../cmd/gantry")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build gantry: %v\n%s", err, out)
	}
	npm(t, []string{"GANTRY_BIN=" + gantry, "CHROMIUM=" + chromium}, "vitest", "run", "--config", "e2e/vitest.config.ts")
}
