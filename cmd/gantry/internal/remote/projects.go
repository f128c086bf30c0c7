package remote

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/api/client"
	"github.com/gantry-ops/gantry/cmd/gantry/internal/tables"
	"github.com/gantry-ops/gantry/runs"
)

func (r *remote) projectsCommand() *cobra.Command {
	t := &target{r: r}
	list := &cobra.Command{
		Use: "list", Short: "The projects that you may see", Example: "  gantry projects list -o json", Args: args(),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, _ []string) error {
			all, err := c.Projects(ctx)
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), all, func(w io.Writer) error {
				if len(all) == 0 {
					_, err := fmt.Fprintln(w, "there is no project that you may see; add one by: gantry projects create NAME --url URL")
					return err
				}
				table := [][]string{{"PROJECT", "NAME", "SOURCE", "STARTS BY ITSELF"}}
				for _, p := range all {
					table = append(table, []string{p.ID, p.Name, strings.TrimSpace(p.Source.URL + " " + p.Source.Path), starts(p)})
				}
				return tables.Write(w, table...)
			})
		}),
	}
	cmd := &cobra.Command{
		Use: "projects", Short: "List, show, add and remove the projects of a server",
		Example: "  gantry projects\n  gantry projects show gateway\n  gantry projects create gateway --url https://git.example.com/desk/gateway.git --poll 60",
		Args:    args(), RunE: list.RunE,
	}
	t.register(cmd)
	cmd.AddCommand(list, r.projectsShow(t), r.projectsCreate(t), r.projectsDelete(t))
	return cmd
}

// starts says what starts a project's pipelines.
func starts(p runs.Project) string {
	switch {
	case p.Paused:
		return "paused"
	case p.Poll > 0:
		return fmt.Sprintf("every %d s", p.Poll)
	case p.Forge.HasWebhookSecret:
		return "webhooks"
	}
	return "by hand"
}

func (r *remote) projectsShow(t *target) *cobra.Command {
	return &cobra.Command{
		Use: "show PROJECT", Short: "One project with its pipelines", Example: "  gantry projects show gateway", Args: args("the project"),
		ValidArgsFunction: firstOnly(t.complete(projectIDs)),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			p, err := c.Project(ctx, args[0])
			if err != nil {
				return err
			}
			pipelines, err := c.Pipelines(ctx, p.ID, "")
			if err != nil {
				return err
			}
			both := struct {
				*runs.Project
				Pipelines []runs.PipelineInfo `json:"pipelines"`
			}{p, pipelines}
			return t.show(cmd.OutOrStdout(), both, func(w io.Writer) error {
				fmt.Fprintf(w, "%s  %s\n  %s %s\n  starts: %s\n  %s/projects/%s\n\n", p.ID, p.Name, p.Source.URL, p.Source.Path, starts(*p), c.URL(), p.ID)
				table := [][]string{{"FILE", "PIPELINE", "ON", "INPUTS", "ERRORS"}}
				for _, i := range pipelines {
					var inputs []string
					for _, in := range i.Inputs {
						inputs = append(inputs, in.Name)
					}
					table = append(table, []string{i.File, i.Name, strings.Join(i.Events, ", "), strings.Join(inputs, ", "), strings.Join(i.Errors, "; ")})
				}
				return tables.Write(w, table...)
			})
		}),
	}
}

func (r *remote) projectsCreate(t *target) *cobra.Command {
	var p runs.Project
	cmd := &cobra.Command{
		Use: "create ID", Short: "Add a project",
		Long: "Create adds a repository, or with --folder a folder of the server's machine, as a project. The ID names it in addresses: small letters,\n" +
			"digits and dashes, beginning with a letter.",
		Example: "  gantry projects create gateway --url https://git.example.com/desk/gateway.git --poll 60\n  gantry projects create desk --url /srv/desk --folder",
		Args:    args("the project's ID"),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			p.ID = args[0]
			if p.Source.URL == "" {
				return usagef("--url is missing: what git clones, or with --folder a folder of the server's machine")
			}
			made, err := c.CreateProject(ctx, p)
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), made, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s is added: %s/projects/%s\n", made.ID, c.URL(), made.ID)
				return err
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&p.Source.URL, "url", "", "what git clones, or with --folder a folder of the server's machine")
	f.StringVar(&p.Source.Path, "path", "", "the `FOLDER` of the repository that is the project")
	f.BoolVar(&p.Source.Folder, "folder", false, "the URL is a folder, whose files are taken as they are, committed or not")
	f.StringVar(&p.Source.DefaultBranch, "default-branch", "", "the `BRANCH` (default: what the repository says)")
	f.StringVar(&p.Name, "name", "", "the `NAME` that is shown")
	f.IntVar(&p.Poll, "poll", 0, "look for new commits every so many `SECONDS`; 0: never, webhooks tell")
	return cmd
}

func (r *remote) projectsDelete(t *target) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete PROJECT", Short: "Remove a project with its runs, logs, artifacts and secrets",
		Example: "  gantry projects delete gateway --yes", Args: args("the project"), ValidArgsFunction: firstOnly(t.complete(projectIDs)),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			if !yes {
				return usagef("the runs, logs, artifacts, secrets and grants of %s go with it, and nothing brings them back; say --yes", args[0])
			}
			if err := c.DeleteProject(ctx, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is removed\n", args[0])
			return nil
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "that it is meant")
	return cmd
}
