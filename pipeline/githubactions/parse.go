package githubactions

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// The limits that [Options] has where it names none.
const (
	// DefaultMaxFileSize is the vendor's, in bytes.
	DefaultMaxFileSize = 1 << 20
	// DefaultMaxCallDepth is how deep workflows may call others at the vendor: ten levels, the top one included.
	DefaultMaxCallDepth = 9
	// DefaultMaxJobs bounds all jobs of a workflow and of those it calls, before matrices expand.
	DefaultMaxJobs = 10_000
)

// Options are what reading a workflow depends on, apart from the file. The zero Options read a file that calls nothing.
type Options struct {
	// FS is the repository, for workflows that are called by a path ("./.github/workflows/build.yml").
	FS fs.FS
	// Resolver finds workflows of other repositories.
	Resolver Resolver
	// Alone reads the file on its own: called workflows are not followed, which is a warning, and such a pipeline can be
	// checked and planned but not run.
	Alone bool

	// MaxFileSize is in bytes, MaxCallDepth the number of levels below the first file, MaxJobs counts the jobs of all files
	// together. Zero: the default.
	MaxFileSize, MaxCallDepth, MaxJobs int
	// Permissions is what the job token may do where a file says nothing, for the check that called workflows ask for no
	// more than their callers have. Empty: not checked against a default.
	Permissions PermissionsPolicy
}

// ErrNotFollowed is what a [Resolver] answers where a call is not to be followed: that is a warning, and the pipeline can be
// checked and planned but not run, for the Call has no Pipeline.
var ErrNotFollowed = errors.New("it lies in another repository")

// Resolver finds workflows of other repositories.
type Resolver interface {
	// Workflow returns the content of "owner/repo/path@ref", with the name to show for it. An error says why it cannot be had
	// and, where a person can act, what to do.
	Workflow(ref string) (file string, content []byte, err error)
}

// Parse reads a workflow file. file is its path in the repository, for places and messages. The pipeline is nil when one of
// the diagnostics is an error; all errors that can be told apart are reported together.
func Parse(file string, content []byte, o Options) (*pipeline.Pipeline, pipeline.Diagnostics) {
	var diags pipeline.Diagnostics
	if o.MaxFileSize <= 0 {
		o.MaxFileSize = DefaultMaxFileSize
	}
	if o.MaxCallDepth <= 0 {
		o.MaxCallDepth = DefaultMaxCallDepth
	}
	if o.MaxJobs <= 0 {
		o.MaxJobs = DefaultMaxJobs
	}
	run := &session{options: o, diags: &diags}
	p := run.workflow(file, content, nil)
	diags.Sort()
	if diags.HasErrors() {
		return nil, diags
	}
	return p, diags
}

// session is the reading of one workflow and of all that it calls.
type session struct {
	options Options
	diags   *pipeline.Diagnostics
	// jobs counts the jobs read so far, in all files.
	jobs    int
	tooMany bool
}

// caller is the job that calls a workflow.
type caller struct {
	above *caller
	file  string
	depth int
	// allowed are the permissions that the caller has; nil: not known.
	allowed map[string]string
}

// workflow reads one file. It returns nil where nothing can be made of it; errors are in the diagnostics.
func (s *session) workflow(file string, content []byte, from *caller) *pipeline.Pipeline {
	root, src := load(file, content, s.options.MaxFileSize, s.diags)
	if root == nil {
		return nil
	}
	r := &reader{src: src, diags: s.diags}
	r.read(root, workflowShape(), nil)
	if root.kind != kindMapping {
		return nil
	}
	w := &workflow{session: s, src: src, diags: s.diags, root: root, from: from}
	return w.lower(file)
}

// Find returns the paths of all workflow files of a repository in their order: .yml and .yaml in .github/workflows. A
// repository without that folder has none.
func Find(fsys fs.FS) ([]string, error) {
	const dir = ".github/workflows"
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("listing workflows: %w", err)
	}
	var files []string
	for _, e := range entries {
		if ext := path.Ext(e.Name()); !e.IsDir() && (ext == ".yml" || ext == ".yaml") && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, path.Join(dir, e.Name()))
		}
	}
	slices.Sort(files)
	return files, nil
}
