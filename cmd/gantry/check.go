package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions"
)

const checkLong = `Check finds mistakes in workflows and action definitions without running anything.

Without arguments it checks all workflows of the project, and the actions that it has in its top folder and in
.github/actions. It reads only local files: workflows of other repositories that
are called are not followed.

Exit codes: 0 no errors (there may be warnings), 2 errors.`

const checkExample = `  gantry check
  gantry check .github/workflows/ci.yml action.yml
  gantry check --output sarif > gantry.sarif`

func newCheckCommand() *cobra.Command {
	var output choiceFlag
	var dir string
	cmd := &cobra.Command{
		Use:     "check [FILE...]",
		Short:   "Find mistakes in workflows",
		Long:    checkLong,
		Example: checkExample,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yml", "yaml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return check(cmd.OutOrStdout(), dir, args, output.value)
		},
	}
	addDirFlag(cmd, &dir)
	output.register(cmd, "text", "json", "sarif")
	return cmd
}

func addDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVarP(dir, "directory", "C", ".", "work as if started in `DIR`")
	if err := cmd.MarkFlagDirname("directory"); err != nil {
		panic(err) // the flag has just been made
	}
}

func check(w io.Writer, dir string, args []string, output string) error {
	p, err := openProject(dir)
	if err != nil {
		return err
	}
	files, err := p.files(dir, args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		files = append(files, p.actions()...)
	}
	var all pipeline.Diagnostics
	for _, f := range files {
		ds, err := p.check(f)
		if err != nil {
			return err
		}
		all = append(all, ds...)
	}
	// Called workflows are read once for each caller.
	all.Sort()
	c := count(all)
	switch output {
	case "json":
		err = writeCheckJSON(w, all, len(files), c)
	case "sarif":
		err = writeSARIF(w, all, p.source)
	default:
		showDiagnostics(w, all, p.source, w == io.Writer(os.Stdout) && colorful(os.Stdout))
		_, err = fmt.Fprintf(w, "%s checked: %s, %s\n", plural(len(files), "file"), plural(c.errors, "error"), plural(c.warnings, "warning"))
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if c.errors > 0 {
		return told(exitUsage)
	}
	return nil
}

// actions returns the definitions of the project's own actions, where people put them.
func (p *project) actions() []string {
	var out []string
	for _, pattern := range []string{"action.yml", "action.yaml", ".github/actions/*/action.yml", ".github/actions/*/action.yaml"} {
		found, err := fs.Glob(p.fs, pattern)
		if err != nil {
			panic(err) // a mistake in the patterns above
		}
		out = append(out, found...)
	}
	return out
}

// check reads one file, which is an action's definition where it is called like one.
func (p *project) check(file string) (pipeline.Diagnostics, error) {
	if base := path.Base(file); base == "action.yml" || base == "action.yaml" {
		content, err := p.load(file)
		if err != nil {
			return nil, err
		}
		_, ds := githubactions.ParseAction(file, content)
		return ds, nil
	}
	w, err := p.read(file, githubactions.Options{Resolver: notFollowed{}})
	return w.diags, err
}

// notFollowed stands for other repositories where nothing is fetched.
type notFollowed struct{}

// Workflow implements [githubactions.Resolver].
func (notFollowed) Workflow(ref string) (string, []byte, error) {
	return ref, nil, fmt.Errorf("%w, and check reads only local files", githubactions.ErrNotFollowed)
}

type checkReport struct {
	Files       int            `json:"files"`
	Errors      int            `json:"errors"`
	Warnings    int            `json:"warnings"`
	Notes       int            `json:"notes"`
	Diagnostics []checkFinding `json:"diagnostics"`
}

type checkFinding struct {
	Severity string `json:"severity"`
	pipeline.Pos
	Width   int    `json:"width"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func writeCheckJSON(w io.Writer, ds pipeline.Diagnostics, files int, c counts) error {
	r := checkReport{Files: files, Errors: c.errors, Warnings: c.warnings, Notes: c.notes, Diagnostics: []checkFinding{}}
	for _, d := range ds {
		r.Diagnostics = append(r.Diagnostics, checkFinding{d.Severity.String(), d.Pos, max(1, d.Width), d.Code, d.Message, d.Hint})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
