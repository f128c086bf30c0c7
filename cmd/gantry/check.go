package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions"
	manifest "github.com/gantry-ops/gantry/project"
)

const checkLong = `Check finds mistakes in workflows, action definitions and gantry.yaml without running anything.

Without arguments it checks all workflows of the project, the actions that it has in its top folder and in
.github/actions, and the nearest gantry.yaml with the calendars and objectives that it names. It reads only local files: workflows of other
repositories that are called are not followed.

Exit codes: 0 no errors (there may be warnings), 2 errors.`

const checkExample = `  gantry check
  gantry check .github/workflows/ci.yml action.yml
  gantry check gantry.yaml
  gantry check --output sarif > gantry.sarif`

func newCheckCommand() *cobra.Command {
	var output choiceFlag
	var dir string
	cmd := &cobra.Command{
		Use:     "check [FILE...]",
		Short:   "Find mistakes in workflows and gantry.yaml",
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
	files, err := p.toCheck(dir, args)
	if err != nil {
		return err
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

// toCheck returns the files asked for, or all that there is to check.
func (p *project) toCheck(dir string, args []string) ([]string, error) {
	if len(args) > 0 {
		return p.files(dir, args)
	}
	own, err := p.manifest(dir)
	if err != nil {
		return nil, err
	}
	files, err := githubactions.Find(p.fs)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 && own == "" {
		return p.files(dir, args) // says where it has looked
	}
	files = append(files, p.actions()...)
	if own != "" {
		files = append(files, own)
	}
	return files, nil
}

// manifest returns the name of the gantry.yaml that is nearest to a folder of the project, or "".
func (p *project) manifest(dir string) (string, error) {
	at, err := filepath.Abs(dir)
	if err == nil {
		at, err = filepath.EvalSymlinks(at)
	}
	if err != nil {
		return "", fmt.Errorf("find %s: %w", manifest.FileName, err)
	}
	for ; ; at = filepath.Dir(at) {
		if file := filepath.Join(at, manifest.FileName); exists(file) {
			return p.name(file), nil
		}
		if at == p.dir || at == filepath.Dir(at) {
			return "", nil
		}
	}
}

// checkManifest reads a gantry.yaml, and what it names.
func (p *project) checkManifest(name string) (pipeline.Diagnostics, error) {
	file := p.path(name)
	_, diags, err := manifest.Load(os.DirFS(filepath.Dir(file)), filepath.Base(file), manifest.Options{CheckQuery: checkQuery})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s", name)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	// Its own folder was the top; people and forges name files from the project's.
	for i := range diags {
		diags[i].Pos.File = path.Join(path.Dir(name), diags[i].Pos.File)
	}
	return diags, nil
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

// check reads one file, which is an action's definition or a gantry.yaml where it is called like one.
func (p *project) check(file string) (pipeline.Diagnostics, error) {
	if base := path.Base(file); base == "action.yml" || base == "action.yaml" {
		content, err := p.load(file)
		if err != nil {
			return nil, err
		}
		_, ds := githubactions.ParseAction(file, content)
		return ds, nil
	}
	if path.Base(file) == manifest.FileName {
		return p.checkManifest(file)
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
