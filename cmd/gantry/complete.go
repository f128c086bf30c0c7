package main

import (
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions"
)

// readable returns the workflows that can be read, for completions: mistakes are no concern there.
func (s *selection) readable() []*pipeline.Pipeline {
	p, err := openProject(s.dir)
	if err != nil {
		return nil
	}
	files, err := p.files(s.dir, s.files)
	if err != nil {
		return nil
	}
	var out []*pipeline.Pipeline
	for _, f := range files {
		content, err := os.ReadFile(p.path(f))
		if err != nil {
			continue
		}
		if pl, _ := githubactions.Parse(f, content, githubactions.Options{Alone: true}); pl != nil {
			out = append(out, pl)
		}
	}
	return out
}

// completeJobs offers the keys of the jobs, described by their workflows.
func (s *selection) completeJobs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, p := range s.readable() {
		for _, j := range p.Jobs {
			if !slices.Contains(s.jobs, j.Key) {
				out = append(out, cobra.CompletionWithDesc(j.Key, p.Name))
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeEvents offers the events that the workflows start on.
func (s *selection) completeEvents(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, p := range s.readable() {
		for _, t := range p.Triggers {
			if !slices.Contains(out, t.Event) {
				out = append(out, t.Event)
			}
		}
	}
	slices.Sort(out)
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeFiles offers the project's workflows, and files as ever.
func (s *selection) completeFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	p, err := openProject(s.dir)
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	files, err := githubactions.Find(p.fs)
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return files, cobra.ShellCompDirectiveDefault
}
