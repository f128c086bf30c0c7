package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// contender is one way to do a workload.
type contender struct {
	name string
	// command returns the process for a workload that is set up in dir.
	command func(w workload, dir string) *exec.Cmd
}

// floor is bash with the same shells and nothing else.
func floor() contender {
	return contender{"floor", func(w workload, dir string) *exec.Cmd {
		cmd := exec.Command("bash", "--noprofile", "--norc", filepath.Join(dir, "floor.sh"))
		cmd.Dir = filepath.Join(dir, "floor")
		return cmd
	}}
}

// gantryBinary is what is being measured.
func gantryBinary(binary string) contender {
	return contender{"gantry", func(w workload, dir string) *exec.Cmd {
		args := []string{"run", "-C", filepath.Join(dir, "repository")}
		if w.jobs > 0 {
			args = append(args, "--jobs", fmt.Sprint(w.jobs))
		}
		return withSecrets(exec.Command(binary, args...), w, "--secret")
	}}
}

// actBinary is act on the host: every label is this machine.
func actBinary(binary string) contender {
	return contender{"act", func(w workload, dir string) *exec.Cmd {
		args := []string{"push", "-P", "ubuntu-latest=-self-hosted", "-C", filepath.Join(dir, "repository")}
		if w.jobs > 0 {
			args = append(args, "--concurrent-jobs", fmt.Sprint(w.jobs))
		}
		return withSecrets(exec.Command(binary, args...), w, "--secret")
	}}
}

// withSecrets hands the workload's secrets over by name; the values are in the environment, not among the arguments.
func withSecrets(cmd *exec.Cmd, w workload, flag string) *exec.Cmd {
	cmd.Env = os.Environ()
	for _, name := range slices.Sorted(maps.Keys(w.secrets)) {
		cmd.Args = append(cmd.Args, flag, name)
		cmd.Env = append(cmd.Env, name+"="+w.secrets[name])
	}
	return cmd
}

// setUp makes the folders of a workload: a repository with one commit, and the floor's scripts.
func (w workload) setUp(dir string) error {
	files := map[string]string{
		"repository/.github/workflows/bench.yml": w.workflow,
		"floor.sh":                               w.floor,
	}
	for name, content := range w.files {
		files[filepath.Join("floor", name)] = content
	}
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch", "main"},
		{"add", "."},
		{"-c", "user.name=bench", "-c", "user.email=bench@example.com", "commit", "--quiet", "--message", "bench"},
		{"remote", "add", "origin", "https://example.com/bench/bench.git"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Dir = filepath.Join(dir, "repository")
		// The person's own settings (signing, hooks, templates) have no part in it.
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	return nil
}
