package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestDocsNameEverything: docs/cli.md names every command, flag and exit code, and every command has examples.
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
		documented(t, docs, cmd)
		for _, sub := range cmd.Commands() {
			// The table names the first with the command, as `gantry runs list`, and the others behind it, as `show RUN`.
			if !strings.Contains(docs, cmd.CommandPath()+" "+sub.Name()) && !strings.Contains(docs, "`"+sub.Use+"`") {
				t.Errorf("docs/cli.md does not name %s", sub.CommandPath())
			}
			documented(t, docs, sub)
		}
	}
	for _, code := range []string{"| 0 |", "| 1 |", "| 2 |", "| 130 |"} {
		if !strings.Contains(docs, code) {
			t.Errorf("docs/cli.md does not name the exit code %s", code)
		}
	}
}

// documented: a command has examples, and the page names its flags.
func documented(t *testing.T, docs string, cmd *cobra.Command) {
	t.Helper()
	if cmd.Example == "" {
		t.Errorf("%s has no examples", cmd.CommandPath())
	}
	flags := func(f *pflag.Flag) {
		known := strings.Contains(docs, "--"+f.Name) || f.Shorthand != "" && strings.Contains(docs, "-"+f.Shorthand+" ")
		if f.Name != "help" && !known {
			t.Errorf("docs/cli.md does not name --%s of %s", f.Name, cmd.CommandPath())
		}
	}
	cmd.Flags().VisitAll(flags)
	cmd.PersistentFlags().VisitAll(flags)
}
