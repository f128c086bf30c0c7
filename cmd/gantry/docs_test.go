package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestDocsNameEverything: docs/cli.md names every command, flag and exit code.
func TestDocsNameEverything(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	docs := string(content)
	root := newRoot()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if !strings.Contains(docs, "gantry "+cmd.Name()) {
			t.Errorf("docs/cli.md does not name gantry %s", cmd.Name())
		}
		if cmd.Name() == "completion" {
			continue // cobra's own, with its own help
		}
		if cmd.Example == "" {
			t.Errorf("gantry %s has no examples", cmd.Name())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			known := strings.Contains(docs, "--"+f.Name) || f.Shorthand != "" && strings.Contains(docs, "-"+f.Shorthand+" ")
			if f.Name != "help" && !known {
				t.Errorf("docs/cli.md does not name --%s of gantry %s", f.Name, cmd.Name())
			}
		})
	}
	for _, code := range []string{"| 0 |", "| 1 |", "| 2 |", "| 130 |"} {
		if !strings.Contains(docs, code) {
			t.Errorf("docs/cli.md does not name the exit code %s", code)
		}
	}
}
