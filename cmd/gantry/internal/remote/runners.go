package remote

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/api/client"
	"github.com/gantry-ops/gantry/cmd/gantry/internal/tables"
	"github.com/gantry-ops/gantry/runs/jobs"
)

func (r *remote) runnersCommand() *cobra.Command {
	t := &target{r: r}
	list := &cobra.Command{
		Use: "list", Short: "The machines that run jobs", Example: "  gantry runners list", Args: args(),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, _ []string) error {
			all, err := c.Runners(ctx)
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), all, func(w io.Writer) error {
				table := [][]string{{"RUNNER", "NAME", "STATE", "LABELS", "JOBS", "MACHINE", "SEEN"}}
				for _, m := range all {
					state := "offline"
					if m.Online {
						state = "online"
					}
					table = append(table, []string{m.ID, m.Name, state, strings.Join(m.Labels, ", "), fmt.Sprintf("%d of %d", len(m.Jobs), m.Places), strings.Trim(m.OS+"/"+m.Arch, "/"), ago(m.LastSeen)})
				}
				return tables.Write(w, table...)
			})
		}),
	}
	var labels []string
	add := &cobra.Command{
		Use: "add NAME", Short: "Make the token of a new runner", Args: args("the runner's name"),
		Long:    "Add makes a runner and prints its token, once: it is kept as a hash and cannot be shown again.",
		Example: "  gantry runners add large-1 --labels linux,large > runner.token\n  gantry runner --server https://ci.example.com --token-file runner.token   # on its machine",
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			made, token, err := c.CreateRunner(ctx, args[0], labels)
			if err != nil {
				return err
			}
			both := struct {
				Runner *jobs.Runner `json:"runner"`
				Token  string       `json:"token"`
			}{made, token}
			return t.show(cmd.OutOrStdout(), both, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, token)
				return err
			})
		}),
	}
	add.Flags().StringSliceVar(&labels, "labels", nil, "`LABELS` that jobs may ask for by runs-on")
	remove := &cobra.Command{
		Use: "remove RUNNER", Short: "Remove a runner; its token is refused from then on", Example: "  gantry runners remove large-1", Args: args("the runner"),
		ValidArgsFunction: firstOnly(t.complete(func(ctx context.Context, c *client.Client) ([]string, error) {
			all, err := c.Runners(ctx)
			var out []string
			for _, m := range all {
				if !m.Embedded {
					out = append(out, cobra.CompletionWithDesc(m.ID, m.Name))
				}
			}
			return out, err
		})),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			all, err := c.Runners(ctx)
			if err != nil {
				return err
			}
			id := args[0]
			for _, m := range all {
				if m.Name == args[0] && !m.Embedded {
					id = m.ID
				}
			}
			if err := c.DeleteRunner(ctx, id); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is removed\n", args[0])
			return nil
		}),
	}
	cmd := &cobra.Command{
		Use: "runners", Short: "List, add and remove the machines that run a server's jobs",
		Example: "  gantry runners\n  gantry runners add large-1 --labels linux,large > runner.token", Args: args(), RunE: list.RunE,
	}
	t.register(cmd)
	cmd.AddCommand(list, add, remove)
	return cmd
}
