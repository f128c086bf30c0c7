package remote

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/api/client"
	"github.com/gantry-ops/gantry/cmd/gantry/internal/tables"
	"github.com/gantry-ops/gantry/runs"
)

// decideCommand is `gantry approve` or `gantry reject`.
func (r *remote) decideCommand(approve bool) *cobra.Command {
	t := &target{r: r}
	verb, done := "reject", "rejected"
	if approve {
		verb, done = "approve", "approved"
	}
	var comment, environment string
	cmd := &cobra.Command{
		Use:   verb + " [RUN|APPROVAL]",
		Short: strings.ToUpper(verb[:1]) + verb[1:] + " what waits for an approval",
		Long: strings.ToUpper(verb[:1]) + verb[1:] + " decides about a job that waits: by the ID of the approval, or by its run, where just one waits there or --environment names it.\n" +
			"Without an argument, it lists what waits.",
		Example:           "  gantry " + verb + "                                    what waits\n  gantry " + verb + " gateway --environment production --comment 'change 4711'",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: firstOnly(t.complete(waitingIDs)),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			if len(args) == 0 {
				list, err := c.Approvals(ctx, runs.ApprovalQuery{Status: []runs.Status{runs.Waiting}}, 100)
				if err != nil {
					return err
				}
				return t.show(cmd.OutOrStdout(), list, func(w io.Writer) error { return approvalTable(w, list) })
			}
			id, err := findApproval(ctx, c, args[0], environment)
			if err != nil {
				return err
			}
			a, err := c.Decide(ctx, id, approve, comment)
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), a, func(w io.Writer) error {
				text := ""
				if approve {
					given := len(slices.DeleteFunc(slices.Clone(a.Decisions), func(d runs.Decision) bool { return !d.Approve }))
					text = fmt.Sprintf(", %d of %d", given, a.Required)
				}
				_, err := fmt.Fprintf(w, "%s %s of run %s%s\n", done, first(a.Environment, a.JobName), a.Run, text)
				return err
			})
		}),
	}
	t.register(cmd)
	cmd.Flags().StringVarP(&comment, "comment", "m", "", "a `TEXT` that is kept with the decision")
	cmd.Flags().StringVar(&environment, "environment", "", "the `NAME` of the environment, where several wait")
	return cmd
}

func approvalTable(w io.Writer, list []runs.Approval) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "nothing waits")
		return err
	}
	table := [][]string{{"APPROVAL", "PROJECT", "ENVIRONMENT", "JOB", "RUN", "TITLE", "GIVEN", "STARTED BY", "ASKED"}}
	for _, a := range list {
		given := len(slices.DeleteFunc(slices.Clone(a.Decisions), func(d runs.Decision) bool { return !d.Approve }))
		table = append(table, []string{a.ID, a.Project, a.Environment, a.JobName, a.Run, short(a.RunTitle, 40), fmt.Sprintf("%d of %d", given, a.Required), a.StartedBy, ago(a.CreatedAt)})
	}
	return tables.Write(w, table...)
}

func waitingIDs(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.Approvals(ctx, runs.ApprovalQuery{Status: []runs.Status{runs.Waiting}}, 50)
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = cobra.CompletionWithDesc(a.ID, fmt.Sprintf("%s to %s: %s", a.Project, first(a.Environment, a.JobName), tables.OneLine(a.RunTitle)))
	}
	return out, err
}

// findApproval returns the ID of what waits: in a run, or of this ID.
func findApproval(ctx context.Context, c *client.Client, what, environment string) (string, error) {
	list, err := c.Approvals(ctx, runs.ApprovalQuery{Status: []runs.Status{runs.Waiting}}, 0)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(list, func(a runs.Approval) bool { return a.ID == what }) {
		return what, nil
	}
	in := slices.DeleteFunc(list, func(a runs.Approval) bool {
		return a.Run != what && a.Project != what || environment != "" && a.Environment != environment
	})
	switch len(in) {
	case 1:
		return in[0].ID, nil
	case 0:
		return "", fmt.Errorf("nothing waits for an approval in %s (gantry approve lists what waits)", what)
	}
	names := make([]string, len(in))
	for i, a := range in {
		names[i] = fmt.Sprintf("%s (%s of run %s)", a.ID, first(a.Environment, a.JobName), a.Run)
	}
	return "", usagef("several wait in %s; say which by --environment or by its ID: %s", what, strings.Join(names, ", "))
}

func (r *remote) cancelCommand() *cobra.Command {
	t := &target{r: r}
	var kill bool
	cmd := &cobra.Command{
		Use: "cancel RUN", Short: "Cancel a run",
		Long: "Cancel stops the jobs of a run. What runs gets SIGINT, later SIGTERM and SIGKILL, and steps that ask to run after a cancel still do.\n" +
			"With --kill everything ends at once.",
		Example: "  gantry cancel gateway\n  gantry cancel 1795410874041081 --kill", Args: args("the run"),
		ValidArgsFunction: firstOnly(t.complete(runIDs(runs.Pending, runs.Queued, runs.Waiting, runs.Running))),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			run, err := findRun(ctx, c, args[0])
			if err != nil {
				return err
			}
			if run, err = c.Cancel(ctx, run.ID, kill); err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), run, func(w io.Writer) error {
				text := "is asked to stop"
				if run.Status.Ended() {
					text = "is " + string(run.Status)
				}
				_, err := fmt.Fprintf(w, "run %s of %s %s\n", run.ID, run.Project, text)
				return err
			})
		}),
	}
	t.register(cmd)
	cmd.Flags().BoolVar(&kill, "kill", false, "end everything at once, without clean-up")
	return cmd
}

func (r *remote) rerunCommand() *cobra.Command {
	t := &target{r: r}
	var failed, watch bool
	var job string
	cmd := &cobra.Command{
		Use: "rerun RUN", Short: "Run an ended run again: all of it, what failed, or from one job on",
		Example: "  gantry rerun gateway --failed --watch\n  gantry rerun 1795410874041081 --job deploy", Args: args("the run"),
		ValidArgsFunction: firstOnly(t.complete(runIDs(runs.Success, runs.Failure, runs.Cancelled))),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			run, err := findRun(ctx, c, args[0])
			if err != nil {
				return err
			}
			mode, id := runs.RerunAll, ""
			switch {
			case failed:
				mode = runs.RerunFailed
			case job != "":
				mode = runs.RerunJob
				j, err := findJob(ctx, c, run, job)
				if err != nil {
					return err
				}
				id = j.ID
			}
			if run, err = c.Rerun(ctx, run.ID, mode, id); err != nil {
				return err
			}
			return t.begun(ctx, cmd, c, run, watch)
		}),
	}
	t.register(cmd)
	cmd.Flags().BoolVar(&failed, "failed", false, "only jobs that did not succeed, and what needs them")
	cmd.Flags().StringVar(&job, "job", "", "only the job of this `NAME`, and what needs it")
	cmd.Flags().BoolVar(&watch, "watch", false, "wait for the end, and say how the jobs get on")
	cmd.MarkFlagsMutuallyExclusive("failed", "job")
	return cmd
}
