package forge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// GitError is a git command that failed.
type GitError struct {
	// Command is the name of the subcommand; the arguments are not kept.
	Command string
	// Output are the last lines that git printed on standard error.
	Output string
	// Code is git's exit code, -1 where it was killed.
	Code int
	Err  error
}

func (e *GitError) Error() string {
	if e.Output == "" {
		return fmt.Sprintf("git %s: %v", e.Command, e.Err)
	}
	return fmt.Sprintf("git %s: %s", e.Command, e.Output)
}

func (e *GitError) Unwrap() error { return e.Err }

// errorLines is how many of git's last lines an error shows.
const errorLines = 4

// git is how git is run: in a folder, with variables on top of the clean environment.
type git struct {
	dir string
	env []string
	in  []byte
}

// run runs git and returns what it prints.
func (g git) run(ctx context.Context, args ...string) ([]byte, error) {
	// No hooks or monitors of the user's are started, and nothing is tidied up in the background.
	args = append([]string{"-c", "core.fsmonitor=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false"}, args...)
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = g.dir
	cmd.Env = append(cleanEnv(), g.env...)
	cmd.WaitDelay = time.Second // helpers that git has started may hold the pipes
	if g.in != nil {
		cmd.Stdin = bytes.NewReader(g.in)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err == nil {
		return out.Bytes(), nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("git %s: %w", subcommand(args), context.Cause(ctx))
	}
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("git is not installed, or not in PATH")
	}
	e := &GitError{Command: subcommand(args), Output: lastLines(errs.String()), Code: -1, Err: err}
	if cmd.ProcessState != nil {
		e.Code = cmd.ProcessState.ExitCode()
	}
	return nil, hint(e)
}

// subcommand returns the first argument that is neither an option nor the value of "-c".
func subcommand(args []string) string {
	for i := 0; i < len(args); i++ {
		if args[i] == "-c" {
			i++
		} else if !strings.HasPrefix(args[i], "-") {
			return args[i]
		}
	}
	return ""
}

func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > errorLines {
		lines = lines[len(lines)-errorLines:]
	}
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}

// hint adds what a person can do.
func hint(e *GitError) error {
	switch {
	case strings.Contains(e.Output, "dubious ownership"), strings.Contains(e.Output, "safe.directory"):
		return fmt.Errorf("%w (the folder belongs to another user; if you trust it: git config --global --add safe.directory FOLDER)", e)
	case strings.Contains(e.Output, "No space left on device"):
		return fmt.Errorf("%w (free some space on that disk)", e)
	case strings.Contains(e.Output, "could not read Username"), strings.Contains(e.Output, "terminal prompts disabled"), strings.Contains(e.Output, "Authentication failed"):
		return fmt.Errorf("%w (the repository does not exist, or needs a token or a credential helper)", e)
	}
	return e
}

// kept are the variables of git's that stay: how to reach servers. The others, such as GIT_DIR within a hook, would make
// git look elsewhere.
var kept = []string{"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_PROXY_COMMAND", "GIT_EXEC_PATH",
	"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"}

func cleanEnv() []string {
	env := []string{"GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_LFS_SKIP_SMUDGE=1", "LC_ALL=C"}
	ssh := false
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "GIT_") && !slices.Contains(kept, name) || name == "LC_ALL" || name == "SSH_ASKPASS" {
			continue
		}
		ssh = ssh || name == "GIT_SSH" || name == "GIT_SSH_COMMAND"
		env = append(env, v)
	}
	if !ssh {
		env = append(env, "GIT_SSH_COMMAND=ssh -o BatchMode=yes") // never ask
	}
	return env
}

// text returns what git printed, without the end of the line.
func text(out []byte) string { return strings.TrimRight(string(out), "\n") }

// fields splits what git printed with NUL bytes behind each field.
func fields(out []byte) []string {
	s := strings.TrimSuffix(string(out), "\x00")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\x00")
}
