package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/pipeline"
)

const planLong = `Plan shows what a run with the same flags would do: the jobs with what they wait for, the legs of matrices, the steps,
and for each workflow, job and step that will not run, why. It runs nothing.

What only the run will tell is marked with a question mark.`

const planExample = `  gantry plan
  gantry plan --event pull_request --base main
  gantry plan --job deploy --output json`

func newPlanCommand() *cobra.Command {
	var s selection
	var output choiceFlag
	cmd := &cobra.Command{
		Use:     "plan",
		Short:   "Show what would run, and why the rest would not",
		Long:    planLong,
		Example: planExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.choose(cmd.Context())
			if err != nil {
				return err
			}
			showDiagnostics(os.Stderr, c.diags, c.project.source, colorful(os.Stderr))
			view := planView{Workflows: []planWorkflow{}, NotStarted: append([]notStarted{}, c.notStarted...)}
			for i := range c.started {
				st := &c.started[i]
				p := pipeline.NewPlan(st.pipeline, c.scope(st), st.jobs, c.matrix)
				view.Workflows = append(view.Workflows, planWorkflow{
					File: st.pipeline.File, Name: st.pipeline.Name, Event: st.run.Event.Name, Ref: st.run.Change.Ref, Jobs: viewJobs(p.Jobs),
				})
			}
			w := cmd.OutOrStdout()
			if output.value == "json" {
				return view.writeJSON(w)
			}
			return view.writeText(w, w == io.Writer(os.Stdout) && colorful(os.Stdout))
		},
	}
	s.register(cmd)
	output.register(cmd, "text", "json")
	return cmd
}
