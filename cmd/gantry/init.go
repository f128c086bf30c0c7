package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	manifest "github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/project/detect"
)

const initLong = `Init looks at a repository and writes a first gantry.yaml, which says what is released, how it is started and watched, and where it goes.

It finds CI files with the artifacts that they upload, Go programs, package.json files with a start script, Dockerfiles, Procfiles and Compose
files, and the ports and health paths that stand in their code. It says what it found, and what it guessed. It runs nothing, and never
overwrites a file without --force.

Exit codes: 0 written, 2 there is a gantry.yaml already, or the folder cannot be read.`

const initExample = `  gantry init
  gantry init services/gateway
  gantry init --dry-run > gantry.yaml
  gantry init --schema > gantry.schema.json`

// initialisation is what init is asked for.
type initialisation struct {
	force, dryRun, schema bool
	output                choiceFlag
}

func newInitCommand() *cobra.Command {
	var i initialisation
	cmd := &cobra.Command{
		Use:     "init [DIR]",
		Short:   "Write a gantry.yaml for a repository",
		Long:    initLong,
		Example: initExample,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("unexpected argument %q", args[1])
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if i.schema {
				_, err := cmd.OutOrStdout().Write(manifest.Schema())
				return err
			}
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return i.run(cmd.OutOrStdout(), cmd.ErrOrStderr(), dir)
		},
	}
	i.output.register(cmd, "text", "json")
	cmd.Flags().BoolVar(&i.force, "force", false, "overwrite a gantry.yaml that is there")
	cmd.Flags().BoolVar(&i.dryRun, "dry-run", false, "write to standard output and change nothing")
	cmd.Flags().BoolVar(&i.schema, "schema", false, "print the JSON schema of gantry.yaml, and do nothing else")
	return cmd
}

// initReport is what --output json says.
type initReport struct {
	File    string `json:"file"`
	Written bool   `json:"written"`
	// Content is the file, where it was not written.
	Content string `json:"content,omitempty"`
	*detect.Found
}

func (i *initialisation) run(stdout, stderr io.Writer, dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find the folder: %w", err)
	}
	if info, err := os.Stat(abs); err != nil {
		return fmt.Errorf("find the folder: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("find the folder: %s is no folder", dir)
	}
	file := filepath.Join(dir, manifest.FileName)
	if _, err := os.Lstat(file); err == nil && !i.force && !i.dryRun {
		return alreadyThere(file)
	}
	found, err := detect.Scan(os.DirFS(abs), filepath.Base(abs))
	if err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	text := found.YAML(manifest.SchemaURL)
	if p, diags := manifest.Parse(manifest.FileName, text); p == nil {
		return fmt.Errorf("what was found makes no valid %s, which is a mistake of Gantry's: %w", manifest.FileName, diags.Err())
	}
	report := initReport{File: file, Written: !i.dryRun, Found: found}
	if i.dryRun {
		report.Content = string(text)
	} else if err := writeManifest(file, text, i.force); err != nil {
		return err
	}
	return i.report(stdout, stderr, report)
}

func alreadyThere(file string) error {
	return fmt.Errorf("%s is there already; --force overwrites it, --dry-run shows what would be written", file)
}

// writeManifest writes the file as a whole or not at all.
func writeManifest(file string, text []byte, force bool) error {
	if !force {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return alreadyThere(file)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
		_, err = f.Write(text)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("write %s: %w", file, errors.Join(err, os.Remove(file)))
		}
		return nil
	}
	temp, err := os.CreateTemp(filepath.Dir(file), "."+manifest.FileName+"-")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	_, err = temp.Write(text)
	err = errors.Join(err, temp.Chmod(0o644), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, errors.Join(err, os.Remove(temp.Name())))
	}
	return nil
}

func (i *initialisation) report(stdout, stderr io.Writer, r initReport) error {
	if i.output.value == "json" {
		enc := json.NewEncoder(stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	var b bytes.Buffer
	guesses := 0
	for _, s := range r.Services {
		fmt.Fprintf(&b, "%s\n", s.Name)
		for _, f := range s.Facts {
			sign := "found"
			if f.Guess {
				sign = "guessed"
				guesses++
			}
			fmt.Fprintf(&b, "  %-8s %v\n", sign, f)
		}
	}
	for _, f := range r.Left {
		fmt.Fprintf(&b, "left out: %v\n", f)
	}
	if r.Written {
		fmt.Fprintf(&b, "wrote %s: %s, %s to look at\n", r.File, plural(len(r.Services), "service"), guessed(guesses))
	}
	if _, err := stderr.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if !r.Written {
		if _, err := io.WriteString(stdout, r.Content); err != nil {
			return fmt.Errorf("write the file: %w", err)
		}
	}
	return nil
}

func guessed(n int) string {
	if n == 1 {
		return "1 guess"
	}
	return fmt.Sprintf("%d guesses", n)
}
