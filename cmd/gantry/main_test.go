package main

import (
	"flag"
	"os"
	"os/signal"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expectations in the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gantry": main})
}

// isolated is the environment that keeps a test away from the user's own folders and git configuration.
func isolated(dir string) []string {
	return []string{
		"HOME=" + filepath.Join(dir, "home"),
		"XDG_STATE_HOME=" + filepath.Join(dir, "state"),
		"XDG_CACHE_HOME=" + filepath.Join(dir, "cache"),
		"XDG_CONFIG_HOME=" + filepath.Join(dir, "config"),
		"GANTRY_CACHE_DIR=" + filepath.Join(dir, "cache", "gantry"),
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.com", "GIT_AUTHOR_DATE=2026-03-04T05:06:07Z",
		"GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.com", "GIT_COMMITTER_DATE=2026-03-04T05:06:07Z",
		"CI=", "TERM=dumb", "NO_COLOR=", "GITHUB_ACTIONS=",
	}
}

func TestScripts(t *testing.T) {
	// The scripts interrupt gantry. Where the tests themselves run with SIGINT ignored, in the background of a shell, it would
	// ignore that as well; once a signal is caught here, children begin with its default.
	if signal.Ignored(os.Interrupt) {
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			for _, v := range isolated(filepath.Join(e.WorkDir, ".user")) {
				e.Vars = append(e.Vars, v)
			}
			return os.MkdirAll(filepath.Join(e.WorkDir, ".user", "home"), 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode": exitCode, "repo": makeRepo, "interrupt": interruptWhen, "server": startServer, "put": putJSON, "until": until,
		},
	})
}
