package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gantry-ops/gantry/api/client"
	"github.com/gantry-ops/gantry/cmd/gantry/internal/tables"
)

const secretsLong = `Secrets sets, lists and removes the secrets of a project.

A value is read from standard input, from a file, or typed at a terminal, and never from the command line, which others on the machine
can read. It is never shown again. A line end at its end is not part of it; with --from-file, the file is taken as it is.`

func (r *remote) secretsCommand() *cobra.Command {
	t := &target{r: r}
	var project, environment string
	list := &cobra.Command{
		Use: "list", Short: "The names of a project's secrets", Example: "  gantry secrets list -p gateway", Args: args(),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, _ []string) error {
			all, err := c.Secrets(ctx, project)
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), all, func(w io.Writer) error {
				table := [][]string{{"NAME", "ENVIRONMENT", "VERSION", "SET", "BY"}}
				for _, s := range all {
					table = append(table, []string{s.Name, first(s.Environment, "all"), strconv.FormatInt(s.Version, 10), ago(s.UpdatedAt), s.UpdatedBy})
				}
				return tables.Write(w, table...)
			})
		}),
	}
	var file string
	set := &cobra.Command{
		Use: "set NAME", Short: "Set a secret", Args: args("the secret's name"),
		Example: "  gantry secrets set -p gateway VENUE_TOKEN < token\n  gantry secrets set -p gateway --environment production SIGNING_KEY --from-file key.pem",
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			value, err := r.secretValue(cmd, args[0], file)
			if err != nil {
				return err
			}
			s, err := c.PutSecret(ctx, project, environment, args[0], value)
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), s, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s of %s is kept as version %d\n", s.Name, project, s.Version)
				return err
			})
		}),
	}
	set.Flags().StringVar(&file, "from-file", "", "`FILE` whose content is the value, as it is")
	remove := &cobra.Command{
		Use: "delete NAME", Short: "Remove a secret", Example: "  gantry secrets delete -p gateway VENUE_TOKEN", Args: args("the secret's name"),
		ValidArgsFunction: firstOnly(t.complete(func(ctx context.Context, c *client.Client) ([]string, error) {
			all, err := c.Secrets(ctx, project)
			var out []string
			for _, s := range all {
				out = append(out, s.Name)
			}
			return out, err
		})),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			if err := c.DeleteSecret(ctx, project, environment, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s of %s is removed\n", args[0], project)
			return nil
		}),
	}
	cmd := &cobra.Command{
		Use: "secrets", Short: "Set, list and remove the secrets of a project", Long: secretsLong,
		Example: "  gantry secrets -p gateway\n  gantry secrets set -p gateway VENUE_TOKEN < token", Args: args(), RunE: list.RunE,
	}
	t.register(cmd)
	f := cmd.PersistentFlags()
	f.StringVarP(&project, "project", "p", "", "the `PROJECT`")
	f.StringVar(&environment, "environment", "", "only for jobs of this `ENVIRONMENT`")
	must(cmd.RegisterFlagCompletionFunc("project", t.complete(projectIDs)))
	checked := cmd.PersistentPreRunE
	cmd.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if project == "" {
			return usagef("--project is missing")
		}
		return checked(cmd, args)
	}
	cmd.AddCommand(list, set, remove)
	return cmd
}

// secretLimit is what a server takes, in bytes.
const secretLimit = 64 << 10

func (r *remote) secretValue(cmd *cobra.Command, name, file string) (string, error) {
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read the secret: %w", err)
		}
		return string(b), nil
	}
	if r.o.IsTerminal(os.Stdin) {
		fmt.Fprintf(cmd.ErrOrStderr(), "Value of %s: ", name)
		b, err := term.ReadPassword(int(os.Stdin.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(b), err
	}
	b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), secretLimit+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read the secret: %w", err)
	case len(b) > secretLimit:
		return "", fmt.Errorf("the secret has more than %d bytes", secretLimit)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if value == "" {
		return "", errors.New("standard input is empty: give the secret's value there, or --from-file")
	}
	return value, nil
}
