package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/api/client"
	"github.com/gantry-ops/gantry/cmd/gantry/internal/tables"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
)

const runsLong = `Runs lists, shows and starts runs on a server.

A RUN is the ID of a run, or a project's, which stands for its newest run.`

func (r *remote) runsCommand() *cobra.Command {
	t := &target{r: r}
	list := r.runsList(t)
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List, show, start and watch runs on a server",
		Long:  runsLong,
		Example: "  gantry runs                                         the newest runs\n  gantry runs list --project gateway --status failure\n" +
			"  gantry runs show gateway                            the newest run of a project\n  gantry runs start gateway --ref main --input venue=lit --watch",
		Args: args(),
		RunE: list.RunE,
	}
	t.register(cmd)
	cmd.AddCommand(list, r.runsShow(t), r.runsStart(t), r.runsWatch(t))
	return cmd
}

func (r *remote) runsList(t *target) *cobra.Command {
	var q runs.RunQuery
	var status []string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "The newest runs first",
		Example: "  gantry runs list --project gateway --branch main\n  gantry runs list --status failure,cancelled -o json",
		Args:    args(),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, _ []string) error {
			for _, s := range status {
				q.Status = append(q.Status, runs.Status(s))
			}
			list, err := c.Runs(ctx, q, max(limit, 1))
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), list, func(w io.Writer) error { return r.runTable(w, list) })
		}),
	}
	f := cmd.Flags()
	f.StringSliceVarP(&q.Projects, "project", "p", nil, "only of these `PROJECTS`")
	f.StringSliceVar(&status, "status", nil, "only in these `STATES`: pending, queued, waiting, running, success, failure, cancelled, skipped")
	f.StringVar(&q.Branch, "branch", "", "only of this `BRANCH`")
	f.StringVar(&q.Event, "event", "", "only those that this `EVENT` started")
	f.StringVar(&q.Actor, "by", "", "only those that this `NAME` started")
	f.IntVar(&limit, "limit", 20, "how many to show at most")
	must(cmd.RegisterFlagCompletionFunc("project", t.complete(projectIDs)))
	must(cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions([]string{"pending", "queued", "waiting", "running", "success", "failure", "cancelled", "skipped"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func (r *remote) runTable(w io.Writer, list []runs.Run) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no run matches")
		return err
	}
	p := r.painter(w)
	table := [][]string{{"RUN", "STATUS", "PROJECT", "PIPELINE", "BRANCH", "TITLE", "TOOK", "STARTED"}}
	for _, run := range list {
		table = append(table, []string{run.ID, string(run.Status), run.Project, fmt.Sprintf("%s #%d", run.Pipeline, run.Number), short(run.Branch, 24), short(run.Title, 40), took(run.StartedAt, run.FinishedAt), ago(run.CreatedAt)})
	}
	if !p {
		return tables.Write(w, table...)
	}
	// Colours have no width, which the table would not know: they are put in afterwards.
	var b strings.Builder
	if err := tables.Write(&b, table...); err != nil {
		return err
	}
	lines := strings.SplitAfter(b.String(), "\n")
	for i, run := range list {
		_, color := mark(run.Status)
		lines[i+1] = strings.Replace(lines[i+1], string(run.Status), p.paint(color, string(run.Status)), 1)
	}
	_, err := io.WriteString(w, strings.Join(lines, ""))
	return err
}

func projectIDs(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.Projects(ctx)
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = cobra.CompletionWithDesc(p.ID, first(p.Name, p.Source.URL))
	}
	return out, err
}

// runIDs offers the newest runs, or those in some states.
func runIDs(status ...runs.Status) func(context.Context, *client.Client) ([]string, error) {
	return func(ctx context.Context, c *client.Client) ([]string, error) {
		list, err := c.Runs(ctx, runs.RunQuery{Status: status}, 20)
		out := make([]string, len(list))
		for i, run := range list {
			out[i] = cobra.CompletionWithDesc(run.ID, fmt.Sprintf("%s %s #%d, %s: %s", run.Project, run.Pipeline, run.Number, run.Status, tables.OneLine(run.Title)))
		}
		return out, err
	}
}

// findRun returns a run by its ID, or the newest of a project.
func findRun(ctx context.Context, c *client.Client, what string) (*runs.Run, error) {
	if strings.Trim(what, "0123456789") == "" {
		return c.Run(ctx, what)
	}
	list, err := c.Runs(ctx, runs.RunQuery{Projects: []string{what}}, 1)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%q is no run's ID, and there is no project of this name that has runs (gantry runs lists them)", what)
	}
	return &list[0], nil
}

// whole is a run with its jobs, as JSON has it.
type whole struct {
	*runs.Run
	Jobs        []jobs.Job        `json:"jobs"`
	Annotations []jobs.Annotation `json:"annotations,omitempty"`
	Artifacts   []jobs.Artifact   `json:"artifacts,omitempty"`
}

func readRun(ctx context.Context, c *client.Client, run *runs.Run) (w whole, err error) {
	w.Run = run
	if w.Jobs, err = c.Jobs(ctx, run.ID, run.Attempt); err != nil {
		return w, err
	}
	if w.Annotations, err = c.Annotations(ctx, run.ID); err != nil {
		return w, err
	}
	w.Artifacts, err = c.Artifacts(ctx, run.ID)
	return w, err
}

func (r *remote) runsShow(t *target) *cobra.Command {
	return &cobra.Command{
		Use: "show RUN", Short: "One run with its jobs, annotations and artifacts",
		Example:           "  gantry runs show gateway\n  gantry runs show 1795410874041081 -o json | jq '.jobs[] | select(.status == \"failure\") | .name'",
		Args:              args("the run"),
		ValidArgsFunction: firstOnly(t.complete(runIDs())),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			run, err := findRun(ctx, c, args[0])
			if err != nil {
				return err
			}
			w, err := readRun(ctx, c, run)
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), w, func(out io.Writer) error { return r.showRun(out, c, w) })
		}),
	}
}

func (r *remote) showRun(out io.Writer, c *client.Client, w whole) error {
	p := r.painter(out)
	run := w.Run
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s %s #%d: %s\n", p.status(run.Status), run.Project, run.Pipeline, run.Number, tables.OneLine(run.Title))
	if run.Reason != "" {
		fmt.Fprintf(&b, "  %s\n", tables.OneLine(run.Reason))
	}
	fmt.Fprintf(&b, "  %s on %s at %.12s, by %s, %s", run.Event, run.Branch, run.SHA, run.StartedBy, ago(run.CreatedAt))
	if run.Attempt > 1 {
		fmt.Fprintf(&b, ", attempt %d", run.Attempt)
	}
	fmt.Fprintf(&b, "\n  %s/runs/%s\n\n", c.URL(), run.ID)
	for _, j := range w.Jobs {
		fmt.Fprintf(&b, "  %s\n", p.job(j))
	}
	if len(w.Annotations) > 0 {
		b.WriteByte('\n')
	}
	for _, a := range w.Annotations {
		place := ""
		if a.File != "" {
			place = a.File + ":"
			if a.Line > 0 {
				place += fmt.Sprintf("%d:", a.Line)
			}
			place += " "
		}
		fmt.Fprintf(&b, "  %s%s: %s\n", place, a.Level, tables.OneLine(a.Message))
	}
	if len(w.Artifacts) > 0 {
		b.WriteByte('\n')
	}
	for _, a := range w.Artifacts {
		fmt.Fprintf(&b, "  artifact %s, %d bytes, %s\n", a.Name, a.Size, a.Digest)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// job is a line that says how a job stands.
func (p painter) job(j jobs.Job) string {
	text := p.status(j.Status) + "  " + tables.OneLine(j.Name)
	if t := took(j.StartedAt, j.FinishedAt); t != "" && !j.Reused {
		text += "  " + p.paint("2", t)
	}
	if j.Reused {
		text += "  " + p.paint("2", "from an earlier attempt")
	}
	if j.Environment != "" {
		text += "  to " + j.Environment
	}
	if j.Reason != "" {
		text += "  " + p.paint("2", tables.OneLine(j.Reason))
	}
	return text
}

func (r *remote) runsStart(t *target) *cobra.Command {
	var file, ref string
	var inputs map[string]string
	var watch bool
	cmd := &cobra.Command{
		Use: "start PROJECT", Short: "Start a pipeline by hand",
		Long: "Start starts the pipeline of a project that can be started by hand, or the one that --file names where there are several. It prints the\n" +
			"run's ID. With --watch it says how the jobs get on, and ends with 1 when the run does not succeed.",
		Example:           "  gantry runs start gateway --watch\n  gantry runs start gateway --file .github/workflows/deploy.yml --ref v1.4.0 --input venue=lit",
		Args:              args("the project"),
		ValidArgsFunction: firstOnly(t.complete(projectIDs)),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			if file == "" {
				var err error
				if file, err = onlyManual(ctx, c, args[0], ref); err != nil {
					return err
				}
			}
			s, err := c.Start(ctx, args[0], file, ref, inputs)
			if err != nil {
				return err
			}
			if len(s.Runs) == 0 {
				for _, n := range s.NotStarted {
					return fmt.Errorf("%s was not started: %s", n.File, n.Reason)
				}
				return errors.New("nothing was started")
			}
			return t.begun(ctx, cmd, c, &s.Runs[0], watch)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&file, "file", "", "the pipeline's `FILE`, where there are several")
	f.StringVar(&ref, "ref", "", "a branch, a tag or a commit (default: the default branch)")
	f.StringToStringVar(&inputs, "input", nil, "an input as `NAME=VALUE`; may be repeated")
	f.BoolVar(&watch, "watch", false, "wait for the end, and say how the jobs get on")
	must(cmd.RegisterFlagCompletionFunc("file", func(_ *cobra.Command, given []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(given) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return t.complete(func(ctx context.Context, c *client.Client) ([]string, error) {
			list, err := manual(ctx, c, given[0], ref)
			var out []string
			for _, i := range list {
				out = append(out, cobra.CompletionWithDesc(i.File, i.Name))
			}
			return out, err
		})(nil, nil, prefix)
	}))
	return cmd
}

// manual are the pipelines that a person can start.
func manual(ctx context.Context, c *client.Client, project, ref string) ([]runs.PipelineInfo, error) {
	list, err := c.Pipelines(ctx, project, ref)
	return slices.DeleteFunc(list, func(i runs.PipelineInfo) bool { return !i.Manual }), err
}

func onlyManual(ctx context.Context, c *client.Client, project, ref string) (string, error) {
	list, err := manual(ctx, c, project, ref)
	switch {
	case err != nil:
		return "", err
	case len(list) == 1:
		return list[0].File, nil
	case len(list) == 0:
		return "", fmt.Errorf("no pipeline of %s can be started by hand; give one a manual trigger (on: workflow_dispatch)", project)
	}
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.File
	}
	return "", usagef("several pipelines of %s can be started by hand; say which by --file: %s", project, strings.Join(names, ", "))
}

// begun tells of a run that was started, and watches it where that is wished.
func (t *target) begun(ctx context.Context, cmd *cobra.Command, c *client.Client, run *runs.Run, watch bool) error {
	if !watch {
		return t.show(cmd.OutOrStdout(), run, func(w io.Writer) error {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s %s #%d, attempt %d: %s/runs/%s\n", run.Project, run.Pipeline, run.Number, run.Attempt, c.URL(), run.ID)
			_, err := fmt.Fprintln(w, run.ID)
			return err
		})
	}
	return t.watch(ctx, cmd, c, run)
}

func (r *remote) runsWatch(t *target) *cobra.Command {
	return &cobra.Command{
		Use: "watch RUN", Short: "Wait for the end of a run, and say how its jobs get on",
		Long:    "Watch waits for the end of a run. It ends with 1 when the run does not succeed. Ctrl-C ends the watching, not the run.",
		Example: "  gantry runs watch gateway && echo green", Args: args("the run"),
		ValidArgsFunction: firstOnly(t.complete(runIDs(runs.Pending, runs.Queued, runs.Waiting, runs.Running))),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			run, err := findRun(ctx, c, args[0])
			if err != nil {
				return err
			}
			return t.watch(ctx, cmd, c, run)
		}),
	}
}

// watch writes a line for each job whose status changes, until the run has ended.
func (t *target) watch(ctx context.Context, cmd *cobra.Command, c *client.Client, run *runs.Run) error {
	out := cmd.OutOrStdout()
	p := t.r.painter(out)
	if t.output == "text" {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s %s #%d, attempt %d: %s/runs/%s\n", run.Project, run.Pipeline, run.Number, run.Attempt, c.URL(), run.ID)
	}
	seen := map[string]runs.Status{}
	attempt := run.Attempt
	err := poll(ctx, func() (bool, error) {
		// The run before its jobs: when it has ended, what is read after it is the end of each.
		var err error
		if run, err = c.Run(ctx, run.ID); err != nil {
			return false, err
		}
		list, err := c.Jobs(ctx, run.ID, attempt)
		if err != nil {
			return false, err
		}
		for _, j := range list {
			if seen[j.ID] == j.Status || t.output == "json" {
				continue
			}
			seen[j.ID] = j.Status
			if j.Status != runs.Pending && j.Status != runs.Queued {
				fmt.Fprintln(out, p.job(j))
			}
		}
		return run.Status.Ended() || run.Attempt > attempt, nil
	})
	if err != nil {
		return err
	}
	if t.output == "json" {
		w, err := readRun(ctx, c, run)
		if err != nil {
			return err
		}
		if err := t.show(out, w, nil); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "\n%s  %s %s #%d in %s%s\n", p.status(run.Status), run.Project, run.Pipeline, run.Number, took(run.StartedAt, run.FinishedAt), because(run.Reason))
	}
	if run.Status != runs.Success {
		return ErrFailed
	}
	return nil
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + tables.OneLine(reason)
}
