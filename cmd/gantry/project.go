package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions"
)

// project is a folder with the workflows that it has: a repository, or a part of one with workflows of its own.
type project struct {
	dir string
	fs  fs.FS
	// sources keeps what was read, for the lines that diagnostics show.
	mu      sync.Mutex
	sources map[string][]byte
}

// openProject finds the project that a folder belongs to: the nearest folder above, itself included, that has workflows or
// is the top of a repository; where there is none, the folder itself.
func openProject(dir string) (*project, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the project: %w", err)
	}
	// Symbolic links are resolved so that the folder has one name, also to git.
	abs, err = filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, fmt.Errorf("find the project: %w", err)
	}
	if info, err := os.Stat(abs); err != nil {
		return nil, fmt.Errorf("find the project: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("find the project: %s is no folder", dir)
	}
	top := abs
	for at := abs; ; at = filepath.Dir(at) {
		if exists(filepath.Join(at, ".github", "workflows")) || exists(filepath.Join(at, ".git")) {
			top = at
			break
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	return &project{dir: top, fs: os.DirFS(top), sources: map[string][]byte{}}, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// name returns what a file is called in messages: its path in the project with forward slashes, or as given when it
// lies elsewhere.
func (p *project) name(file string) string {
	abs, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(dir, filepath.Base(abs))
	}
	rel, err := filepath.Rel(p.dir, abs)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return file
	}
	return filepath.ToSlash(rel)
}

// path is the reverse of name.
func (p *project) path(name string) string {
	if filepath.IsAbs(name) || strings.HasPrefix(name, "../") {
		return name
	}
	return filepath.Join(p.dir, filepath.FromSlash(name))
}

// source returns a file's text for the lines that diagnostics show; nil where it cannot be read.
func (p *project) source(name string) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b, ok := p.sources[name]; ok {
		return b
	}
	b, _ := os.ReadFile(p.path(name))
	p.sources[name] = b
	return b
}

// workflow is a file that was read.
type workflow struct {
	file string
	// pipeline is nil where the diagnostics have errors.
	pipeline *pipeline.Pipeline
	diags    pipeline.Diagnostics
}

// files returns the names of the workflows asked for, or of all that the project has. Those asked for are relative to the
// folder base.
func (p *project) files(base string, asked []string) ([]string, error) {
	if len(asked) == 0 {
		found, err := githubactions.Find(p.fs)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("there are no workflows in %s (looked for .github/workflows/*.yml and *.yaml; --file names one elsewhere)", p.dir)
		}
		return found, nil
	}
	var names []string
	for _, f := range asked {
		if !filepath.IsAbs(f) {
			f = filepath.Join(base, f)
		}
		names = append(names, p.name(f))
	}
	return names, nil
}

// read reads a workflow. An error is for a file that cannot be read at all.
func (p *project) read(name string, o githubactions.Options) (workflow, error) {
	content, err := p.load(name)
	if err != nil {
		return workflow{}, err
	}
	o.FS = p.fs
	w := workflow{file: name}
	w.pipeline, w.diags = githubactions.Parse(name, content, o)
	return w, nil
}

func (p *project) load(name string) ([]byte, error) {
	content, err := os.ReadFile(p.path(name))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no file %s", name)
		}
		return nil, fmt.Errorf("read the workflow: %w", err)
	}
	p.mu.Lock()
	p.sources[name] = content
	p.mu.Unlock()
	return content, nil
}
